"""python -m baselines.glide.train_base: the base model, 32 pixels, that draws and inpaints.

The released GLIDE learned to inpaint afterwards, as a second model (arXiv 2112.10741, section 3.2). Here one model
learns both: most examples show it no known pixels, as when it draws, the others all but a rectangle.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float32
from torch import Tensor

from baselines.diffusion.noise import seeded_generators
from baselines.glide import training_set
from baselines.glide.config import UNetConfig
from baselines.glide.losses import hybrid_loss
from baselines.glide.pipeline import diffusion_of, draw
from baselines.glide.training_set import NoisedPictures, TrainingSet
from baselines.glide.unet import UNet
from baselines.training.batches import to_device
from baselines.training.losses import CAPTION_DROPOUT, LossAndLog, stratified_timesteps
from baselines.training.options import RunOptions, command, option
from baselines.training.run import train_only
from baselines.training.training import Training
from baselines.weight_files import load_weights
from submission.errors import run
from submission.hashes import file_sha256
from submission.sheet import spread

INPAINTING = 0.2  # fraction of the examples
NOISIER = 0.5  # fraction whose t is of the noisier half: there the text decides the colours, later they can be seen
PREVIEW_PROMPTS = 20


@dataclass(frozen=True, kw_only=True)
class BaseOptions(RunOptions):
    """The base model's training."""

    out: Path = Path("runs/glide-base")
    images: int = 1_900_000
    batch_size: int = 192
    init: Path | None = option(None, "a base model's safetensors to start from (default: at random)")
    text_encoder: Path | None = option(None, "train_text_encoder's safetensors, kept (default: trained along)")


def config(vocab_size: int) -> UNetConfig:
    """2.7 million parameters, 0.9 GFLOP a forward pass; attention from 8 pixels down, which is nearly free."""
    return UNetConfig(
        image_size=32,
        model_channels=40,
        num_res_blocks=1,
        channel_mult=(1, 2, 2),
        attention_resolutions=(8,),
        num_head_channels=40,
        text_length=training_set.TEXT_LENGTH,
        text_width=128,
        text_layers=2,
        text_heads=4,
        vocab_size=vocab_size,
        noise_schedule="squaredcos_cap_v2",
        inpaint=True,
        dropout=0.0,
        norm_groups=8,
    )


def random_masks(
    count: int, size: int, fraction: float, generator: torch.Generator
) -> Float32[Tensor, "count 1 size size"]:
    """What is known: 1 outside of a rectangle of a quarter to all of each side; nowhere for all but `fraction`."""
    sides = size // 4 + (torch.rand(count, 2, generator=generator) * (size * 3 // 4 + 1)).long()
    corners = (torch.rand(count, 2, generator=generator) * (size + 1 - sides)).long()
    at = torch.arange(size)
    inside = (at >= corners[..., None]) & (at < (corners + sides)[..., None])  # count, 2, size
    known = ~(inside[:, 0, :, None] & inside[:, 1, None, :])
    shown = torch.rand(count, generator=generator) < fraction
    return (known & shown[:, None, None])[:, None].float()


class BaseLoss(NoisedPictures):
    """Of the base model, on images at its size, most of which are to be drawn and the others to be inpainted."""

    def __call__(self, model: UNet, indices: Tensor, generator: torch.Generator, done: float) -> LossAndLog:
        x0 = self.pictures(indices)
        t = stratified_timesteps(len(x0), len(self.diffusion), generator)
        noisier = torch.rand(len(t), generator=generator) < NOISIER
        t = to_device(torch.where(noisier, (len(self.diffusion) + t) // 2, t), self.device)
        noise, x = self.noised(x0, t, generator)
        mask = to_device(random_masks(len(x0), self.size, INPAINTING, generator), self.device)
        tokens, real = self.pick_captions(indices, generator)
        real = training_set.dropped(real, CAPTION_DROPOUT, generator)
        with self.accelerator.autocast():
            output = model(x, t, model.encode_text(tokens, real), known=torch.cat([x0 * mask, mask], dim=1))
        return hybrid_loss(self.diffusion, output.float(), x0, noise, x, t)


def train_base(options: BaseOptions) -> Path:
    """Trains the base model and returns the path of its averaged weights.

    Raises:
        UsageError, OSError: a file to begin with is not there, or not one of such a network.
    """
    training = Training(options, ema_decay=0.999, preview_images=250_000)
    data = TrainingSet(options.data)
    model = UNet(config(data.vocab_size))
    kept: dict[str, object] = {"config": str(model.config), **data.kept}
    if options.init:
        load_weights(model, options.init)
        kept["init"] = file_sha256(options.init)
    if options.text_encoder:
        # A `Reader`'s stays as it is, but for the pooled state's projection. Trained on with the base model, it would
        # unlearn the order of words: pixels say little of it.
        load_weights(model.text_encoder, options.text_encoder, part="text_encoder.")
        train_only(model.text_encoder, "pooled_projection")
        kept["text_encoder"] = file_sha256(options.text_encoder)
    shown = [data.captions[index] for index in spread(len(data.captions), PREVIEW_PROMPTS)]

    def preview(model: UNet, path: Path) -> None:
        process, generators = diffusion_of(model.config, "20"), seeded_generators(range(len(shown)))
        tokenizer = data.text_tokenizer
        images = draw(model, tokenizer, shown, generators, process, sampler="ancestral", guidance_scale=3.0)
        training_set.sheet([images], path)

    loss = BaseLoss(training, data, data.text_tokenizer, diffusion_of(model.config), model.config.image_size)
    return training.train_and_print(model, loss, len(data.images), preview, **kept)


main = command(train_base, __doc__, BaseOptions())

if __name__ == "__main__":
    raise SystemExit(run(main))
