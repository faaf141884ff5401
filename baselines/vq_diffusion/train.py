"""python -m baselines.vq_diffusion.train: VQModel, transformer, decoder in order, then one folder that draws.

Each stage is a command of its own and can be interrupted: what is finished is kept, what is not goes on where it was.
The text encoder is one that was trained before, on captions and pictures: by default the monster's. The folder gets a
copy, or with `--share` says where it is.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from diffusers import VQModel
from safetensors.torch import load_file
from transformers import CLIPTextConfig

from baselines import pretrained
from baselines.pretrained import WEIGHTS
from baselines.training.options import ModelOptions, SharedParts, command, option
from baselines.vq_diffusion.train_decoder import DecoderOptions, train_decoder
from baselines.vq_diffusion.train_transformer import (
    MORE,
    Denoiser,
    TransformerOptions,
    noise_schedule,
    train_transformer,
)
from baselines.vq_diffusion.train_vqmodel import VQModelOptions, train_vqmodel
from submission import atomic
from submission.errors import run

# On the 256 validation prompts a guidance scale of 2 is better than 1.5, 2.5 and 3 in FID, and purity 4 than 2 and 8 in
# colours and features; on 128 of them truncation at 0.5 than at 0.9 in colours and features (0.7: colours alone).
SAMPLING = {
    "steps": 25, "guidance_scale": 2.0, "truncation_rate": 0.5, "purity": 4.0, "batch_size": 32, "fixed_batch": 8
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class VQOptions(ModelOptions, SharedParts):
    """The three trainings; data and hardware are the same for all."""

    runs: Path = Path("runs/vq")
    out: Path = Path("runs/vq/model")
    text_encoder: Path = option(WEIGHTS / "monster", "folder with text_encoder/ and tokenizer/")
    vqmodel_images: int | None = option(None, "training images of the VQModel (default: its command's)")
    transformer_images: int | None = option(None, "training images of the transformer (likewise)")
    decoder_images: int | None = option(None, "training images of the VQModel's decoder alone (likewise)")
    more: Path | None = option(None, f"for the transformer {MORE}")
    vqmodel: VQModelOptions = field(default_factory=VQModelOptions)
    transformer: TransformerOptions = field(default_factory=TransformerOptions)
    decoder: DecoderOptions = field(default_factory=DecoderOptions)


PRESETS = {"bestiary": VQOptions()}


def assemble(vqmodel: Path, text: Path, transformer_weights: Path, out: Path, *, share: bool = False) -> None:
    """The parts as one folder as the hub has them, in half precision, with the sampling defaults.

    With `share` it says where text encoder and tokenizer are, instead of holding copies.
    """
    out.mkdir(parents=True, exist_ok=True)
    shutil.copytree(vqmodel, out / "vqvae", dirs_exist_ok=True)
    pretrained.bring(("text_encoder", "tokenizer"), text, out, share=share)
    vqvae = VQModel.load_config(out / "vqvae")
    width = CLIPTextConfig.from_pretrained(text / "text_encoder")
    size = vqvae["sample_size"] // 2 ** (len(vqvae["block_out_channels"]) - 1)
    denoiser = Denoiser(vqvae["num_vq_embeddings"], size, width.hidden_size, width.max_position_embeddings)
    denoiser.load_state_dict(load_file(transformer_weights))
    denoiser.to(torch.float16)
    denoiser.transformer.save_pretrained(out / "transformer")
    denoiser.null.save_pretrained(out / "learned_classifier_free_sampling_embeddings")
    noise_schedule(vqvae["num_vq_embeddings"]).save_pretrained(out / "scheduler")
    atomic.write_json(out / "sampling.json", SAMPLING)


def train_vq(options: VQOptions) -> Path:
    """Trains all parts and returns the finished folder."""
    text, runs = options.text_encoder, options.runs
    first = options.for_stage(options.vqmodel, out=runs / "vqmodel")
    vqmodel = train_vqmodel(replace(first, images=options.vqmodel_images or first.images))
    second = options.for_stage(
        options.transformer, out=runs / "transformer", vqmodel=vqmodel, text_encoder=text, more=options.more
    )
    weights = train_transformer(replace(second, images=options.transformer_images or second.images))
    third = options.for_stage(
        options.decoder, out=runs / "decoder", vqmodel=vqmodel, transformer=second.out, text_encoder=text
    )
    shown = train_decoder(replace(third, images=options.decoder_images or third.images))
    return options.finish("vq", lambda: assemble(shown, text, weights, options.out, share=options.share))


main = command(train_vq, __doc__, PRESETS)

if __name__ == "__main__":
    sys.exit(run(main))
