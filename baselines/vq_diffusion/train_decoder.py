"""python -m baselines.vq_diffusion.train_decoder: the VQModel's decoder, on codes as the transformer draws them.

Places that are drawn in the same step do not know of each other, so the codes of a drawing never fit together as well
as those of a picture. Here many of each training picture's codes are drawn again, from its caption and from its other
codes, and the decoder learns to show the picture from that, and from its own codes. Encoder and codebook stay, so that
the transformer goes with them as before. The result lies between the weights before and after (Wortsman et al., arXiv
2109.01903, section 3).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from diffusers import VQModel
from jaxtyping import Int32
from safetensors.torch import load_file
from torch import Tensor

from baselines.pretrained import WEIGHTS
from baselines.training.batches import Examples, to_device
from baselines.training.losses import LossAndLog, PictureLoss, picture_error
from baselines.training.options import RunOptions, command, option
from baselines.training.pictures import load_pictures
from baselines.training.run import train_only
from baselines.training.training import Training
from baselines.vq_diffusion.sampling import decode_values, draw_truncated
from baselines.vq_diffusion.train_transformer import TIMESTEPS, Denoiser, encode
from baselines.vq_diffusion.train_vqmodel import finish
from baselines.vq_diffusion.transformer import logits
from submission.errors import run
from submission.hashes import file_sha256
from submission.progress import track

OWN_FRACTION = 0.4  # of a batch's pictures, those that are decoded from their own codes
REDRAWN = (0.3, 0.9)  # of a picture's places, the least and the greatest fraction that is drawn again
TRUNCATION_RATE = 0.5
TRAINED_FRACTION = 0.75  # of the way from the weights before to those after; at its end colours are paler
COLOUR_WEIGHT = 5.0  # twice the VQModel's own: codes that do not fit together cost colours before they cost outlines


@dataclass(frozen=True, kw_only=True)
class DecoderOptions(RunOptions):
    """The decoder's training."""

    out: Path = Path("runs/vq_decoder")
    images: int = 40_000
    batch_size: int = 64
    vqmodel: Path = option(Path("runs/vqmodel/model"), "diffusers folder")
    transformer: Path = option(Path("runs/vq_transformer"), "the folder of the transformer's run")
    text_encoder: Path = option(WEIGHTS / "monster", "folder with text_encoder/ and tokenizer/")


def redraw(
    denoiser: Denoiser, x0: Tensor, text: Tensor, accelerator: Accelerator, generator: torch.Generator
) -> Tensor:
    """Codes, int64 (B, L), many of whose places are masked and drawn again in two steps, half of them in each.

    `text` is every token's state of each caption, (B, n, D).
    """
    low, high = REDRAWN
    fraction = low + (high - low) * torch.rand(len(x0), 1, generator=generator)
    mask = denoiser.transformer.config.num_vector_embeds - 1
    x = torch.where(torch.rand(x0.shape, generator=generator) < fraction, mask, x0)
    t = (fraction[:, 0] * TIMESTEPS).long().clamp(max=TIMESTEPS - 1)
    for later, time in ((0.5, t), (0.0, t // 2)):
        with accelerator.autocast():
            output = logits(denoiser.transformer, *(to_device(part, accelerator.device) for part in (x, time, text)))
        uniform = torch.rand(2, *x.shape, generator=generator)
        drawn = draw_truncated(output.float().softmax(-1).cpu(), TRUNCATION_RATE, uniform[0])
        x = torch.where((x == mask) & (uniform[1] >= later), drawn, x)
    return x


@dataclass(frozen=True)
class RedrawnLoss(PictureLoss):
    """Of a VQModel whose decoder alone is trained: the error of whole pictures from their own and redrawn codes."""

    codes: Int32[Tensor, "n l"]  # on the CPU, as are the next
    redrawn: Int32[Tensor, "n l"]

    def __call__(self, model: VQModel, indices: Tensor, generator: torch.Generator, done: float) -> LossAndLog:
        x = self.images[indices].float() / 127.5 - 1
        own = torch.rand(len(indices), 1, generator=generator) < OWN_FRACTION
        codes = to_device(torch.where(own, self.codes[indices], self.redrawn[indices]), x.device)
        with self.accelerator.autocast():
            y = decode_values(model, codes).float()
        return picture_error(y, x, COLOUR_WEIGHT)


def train_decoder(options: DecoderOptions) -> Path:
    """Trains the decoder and returns the diffusers folder of the VQModel that has it."""
    training = Training(options, weight_decay=1e-4, ema_decay=0.995)
    accelerator, device = training.accelerator, training.device
    pictures = load_pictures(options.data)
    transformer = options.transformer / "weights.safetensors"
    model, codes, hidden, by = encode(
        training, pictures, options.vqmodel, options.text_encoder, home=options.transformer
    )
    by.append(file_sha256(transformer))

    @torch.inference_mode()
    def redraw_all() -> dict[str, Tensor]:
        size = round(codes.shape[1] ** 0.5)
        denoiser = Denoiser(model.config.num_vq_embeddings, size, hidden.shape[-1], hidden.shape[-2])
        denoiser.load_state_dict(load_file(transformer))
        denoiser.to(device).eval()
        generator = torch.Generator().manual_seed(0)
        text = hidden[pictures.pick_captions(torch.arange(len(codes)), generator)]
        parts = zip(codes.long().split(64), text.split(64), strict=True)
        drawn = [
            redraw(denoiser, x0, states.float(), accelerator, generator).int()
            for x0, states in track(list(parts), "drawing codes again (batches)")
        ]
        return {"redrawn": torch.cat(drawn)}

    redrawn = training.encoded("redrawn", [by, pictures.kept], redraw_all)["redrawn"]
    before = copy.deepcopy(model.state_dict())
    train_only(model, "decoder", "post_quant_conv")
    loss = RedrawnLoss(Examples(pictures.images, device), accelerator, codes, redrawn)
    training.train_and_load(model, loss, len(codes), encoders=by, **pictures.kept)
    trained = model.state_dict()
    model.load_state_dict({k: v.lerp(trained[k], TRAINED_FRACTION) for k, v in before.items()})
    return training.finish(partial(finish, model.eval(), pictures.some_images.to(device)))


main = command(train_decoder, __doc__, DecoderOptions())

if __name__ == "__main__":
    raise SystemExit(run(main))
