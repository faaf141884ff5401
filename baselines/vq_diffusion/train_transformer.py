"""python -m baselines.vq_diffusion.train_transformer: the network that fills in a picture's codes, given a caption.

Discrete diffusion with the mask-and-replace noise of Gu et al. (arXiv 2111.14822, section 4.1). The loss is the
cross-entropy of the clean codes at every place, all times alike: their auxiliary objective (and that of Austin et
al., D3PM, arXiv 2107.03006, equation 5) alone, without the variational bound beside it. For masked places the bound is
that same cross-entropy with the weight 1/t, and a more even weight gives better pictures (Bond-Taylor et al., arXiv
2111.12701). One caption in ten is replaced by learned embeddings, which stand for no caption in classifier-free
guidance (Tang et al., arXiv 2205.16007).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from diffusers import Transformer2DModel, VQDiffusionScheduler, VQModel
from diffusers.models.attention_processor import AttnProcessor
from diffusers.pipelines.deprecated.vq_diffusion import LearnedClassifierFreeSamplingEmbeddings
from jaxtyping import Float16, Int32
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextModel

from baselines.diffusion.noise import seeded_generators
from baselines.diffusion.text import encode_normalised
from baselines.pixels import save_grid
from baselines.pretrained import WEIGHTS, Pretrained
from baselines.training.batches import Examples, to_device
from baselines.training.latents import in_batches
from baselines.training.losses import CAPTION_DROPOUT, LossAndLog, drop_mask, stratified_timesteps
from baselines.training.options import MoreOptions, RunOptions, command, option
from baselines.training.pictures import Pictures
from baselines.training.training import Training
from baselines.vq_diffusion.sampling import decode, sample
from baselines.vq_diffusion.train_vqmodel import codes_of
from baselines.vq_diffusion.transformer import EMBEDDINGS, load_transformer, logits, with_time_per_image
from baselines.weight_files import load_network, load_tokenizer
from submission.errors import UsageError, run
from submission.hashes import file_sha256
from submission.paths import readable

TIMESTEPS = 64  # and the most steps that it can be drawn with
LAYERS = 6
PREVIEW_PROMPTS = 16
PREVIEW_SAMPLING: dict[str, Any] = {"steps": 16, "guidance_scale": 2.0, "truncation_rate": 0.9}


@dataclass(frozen=True, kw_only=True)
class TransformerOptions(RunOptions, MoreOptions):
    """The transformer's training."""

    out: Path = Path("runs/vq_transformer")
    images: int = 3_000_000
    batch_size: int = 128
    learning_rate: float = 1.5e-3
    vqmodel: Path = option(Path("runs/vqmodel/model"), "diffusers folder")
    text_encoder: Path = option(WEIGHTS / "monster", "folder with text_encoder/ and tokenizer/")
    init: Path | None = option(None, "a finished folder to start from (default: at random)")


class Denoiser(nn.Module):
    """Transformer and learned embeddings for no caption, trained together."""

    def __init__(self, codes: int, size: int, text_width: int, text_length: int) -> None:
        super().__init__()
        self.transformer = build(codes, size, text_width)
        self.null = LearnedClassifierFreeSamplingEmbeddings(True, text_width, text_length)

    def start_from(self, folder: Pretrained) -> None:
        """Takes a finished folder's weights, of as many blocks or, as `deepen` has it, of fewer.

        Raises:
            MissingPart, UsageError: as `load_transformer`; its networks have another shape.
        """
        network = folder.network(EMBEDDINGS, LearnedClassifierFreeSamplingEmbeddings)
        transformer = deepen(load_transformer(folder), len(self.transformer.transformer_blocks))
        try:
            self.transformer.load_state_dict(transformer.state_dict())
            self.null.load_state_dict(network.state_dict())
        except RuntimeError:
            other = f"other codes, another text encoder or size, or more than {LAYERS} blocks"
            raise UsageError(f"the transformer in {readable(folder.path)} is not this training's: {other}") from None


def build(codes: int, size: int, text_width: int) -> Transformer2DModel:
    """2.3 million parameters, for `codes` codes and the mask on size x size places."""
    model = Transformer2DModel(
        num_attention_heads=4,
        attention_head_dim=32,
        num_layers=LAYERS,
        num_vector_embeds=codes + 1,
        sample_size=size,
        cross_attention_dim=text_width,
        attention_bias=True,
        activation_fn="geglu-approximate",
        norm_type="ada_norm",
        num_embeds_ada_norm=TIMESTEPS,
    )
    for block in model.transformer_blocks:
        # The text's states have length 1, not components of size 1: without this they would hardly count at first.
        for projection in (block.attn2.to_k, block.attn2.to_v):
            projection.weight.data *= text_width**0.5
    return with_time_per_image(model)


def deepen(transformer: Transformer2DModel, layers: int) -> Transformer2DModel:
    """`transformer` itself with so many blocks; where it has fewer, new ones evenly between, which add nothing yet.

    Each begins as a copy of the block before it whose last layers are zero, so that the whole computes what it did
    (Net2Net: Chen et al., arXiv 1511.05641, section 2.4).
    """
    old = list(transformer.transformer_blocks)
    new = max(0, layers - len(old))
    blocks = []
    for number, block in enumerate(old, 1):
        blocks.append(block)
        for _ in range(number * new // len(old) - (number - 1) * new // len(old)):
            added = copy.deepcopy(block)
            for last in (added.attn1.to_out[0], added.attn2.to_out[0], added.ff.net[2]):
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)
            blocks.append(added)
    transformer.transformer_blocks = nn.ModuleList(blocks)
    return transformer


def noise_schedule(codes: int) -> VQDiffusionScheduler:
    """In the end nine places of ten are masked and one holds any code (as in Gu et al.)."""
    return VQDiffusionScheduler(codes + 1, TIMESTEPS, gamma_cum_end=0.9)


def q_sample(codes: Tensor, t: Tensor, scheduler: VQDiffusionScheduler, generator: torch.Generator) -> Tensor:
    """x_t ~ q(x_t | x0 = codes), int64 (B, L), at times t (B,): kept, replaced by any code, or masked (equation 8)."""
    masked, replaced = scheduler.log_cumprod_ct[t].exp(), scheduler.log_cumprod_bt[t].exp() * scheduler.mask_class
    which = torch.rand(codes.shape, generator=generator)
    anything = torch.randint(scheduler.mask_class, codes.shape, generator=generator)
    x = torch.where(which < (masked + replaced)[:, None], anything, codes)
    return torch.where(which < masked[:, None], torch.full_like(codes, scheduler.mask_class), x)


@dataclass(frozen=True)
class CodesLoss:
    """Of a `Denoiser`: the cross-entropy of the codes that the noise has replaced or masked, and of all others."""

    pictures: Pictures
    codes: Int32[Tensor, "n l"]  # of each picture, on the CPU
    hidden: Examples  # of each caption, (L, D)
    scheduler: VQDiffusionScheduler
    accelerator: Accelerator

    def __call__(self, model: Denoiser, indices: Tensor, generator: torch.Generator, done: float) -> LossAndLog:
        device = self.accelerator.device
        picked = self.pictures.pick_captions(indices, generator)
        dropped = to_device(drop_mask(len(indices), CAPTION_DROPOUT, generator), device)
        text = torch.where(dropped[:, None, None], model.null.embeddings, self.hidden[picked].float())
        t = stratified_timesteps(len(indices), TIMESTEPS, generator)
        x0 = self.codes[indices].long()
        x = q_sample(x0, t, self.scheduler, generator)
        with self.accelerator.autocast():
            output = logits(model.transformer, to_device(x, device), to_device(t, device), text)
        return functional.cross_entropy(output.float().flatten(0, 1), to_device(x0.flatten(), device)), {}


def encode(
    training: Training, pictures: Pictures, vqmodel: Path, text: Path, home: Path | None = None
) -> tuple[VQModel, Int32[Tensor, "n l"], Float16[Tensor, "m t d"], list[str]]:
    """What VQModel and text encoder make of pictures and captions, kept in the run's folder or in `home`.

    Returns:
        The VQModel, the codes of each picture, the states of each distinct caption, and the hashes of the weights in
        both folders.
    """
    vqvae = load_network(VQModel, vqmodel).float().to(training.device).eval()

    def make() -> dict[str, Tensor]:
        text_model = load_network(CLIPTextModel, text / "text_encoder").to(training.device).float()
        tokenizer = load_tokenizer(text / "tokenizer", text_model)
        autocast = training.accelerator.autocast
        codes = in_batches(lambda x: codes_of(vqvae, x).flatten(1).int(), pictures.images, autocast)
        hidden = encode_normalised(text_model.eval(), tokenizer, pictures.distinct_captions, progress=True)
        return {"codes": codes, "hidden": hidden.half().cpu()}

    files = (vqmodel / "diffusion_pytorch_model.safetensors", text / "text_encoder" / "model.safetensors")
    by = [file_sha256(file) for file in files]
    made = training.encoded("encoded", [by, pictures.sha256, pictures.distinct_captions], make, home)
    return vqvae, made["codes"], made["hidden"], by


def train_transformer(options: TransformerOptions) -> Path:
    """Trains the transformer and returns the path of its averaged weights."""
    training = Training(options, ema_decay=0.999, save_minutes=2, preview_images=250_000)
    accelerator, device = training.accelerator, training.device
    pictures = options.pictures()
    vqvae, codes, hidden, by = encode(training, pictures, options.vqmodel, options.text_encoder)
    size = pictures.images.shape[-1] // 2 ** (len(vqvae.config.block_out_channels) - 1)
    scheduler = noise_schedule(vqvae.config.num_vq_embeddings)
    loss = CodesLoss(pictures, codes, Examples(hidden, device), scheduler, accelerator)
    shown = [pictures.distinct_captions.index(caption) for caption in pictures.some_captions(PREVIEW_PROMPTS)]
    shown_text = hidden[shown].float().to(device)

    def preview(model: Denoiser, path: Path) -> None:
        generators, null = seeded_generators(range(len(shown))), model.null.embeddings
        with accelerator.autocast():
            drawn = sample(model.transformer, scheduler, generators, shown_text, null, **PREVIEW_SAMPLING)
            save_grid(decode(vqvae, drawn), path)

    model = Denoiser(vqvae.config.num_vq_embeddings, size, hidden.shape[-1], hidden.shape[-2])
    kept = {**pictures.kept, "layers": LAYERS}
    if options.init:
        start = Pretrained("vq", str(options.init), ("transformer", EMBEDDINGS))
        model.start_from(start)
        kept["init"] = start.sha256
    if device.type == "cpu":
        for block in model.transformer.transformer_blocks:
            for attention in (block.attn1, block.attn2):
                # The fused attention's backward pass takes a third of the time there, in bfloat16.
                attention.set_processor(AttnProcessor())
    return training.train_and_print(model, loss, len(codes), preview, encoders=by, **kept)


main = command(train_transformer, __doc__, TransformerOptions())

if __name__ == "__main__":
    raise SystemExit(run(main))
