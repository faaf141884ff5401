"""python -m baselines.vq_diffusion.train: VQModel, transformer, decoder, ranker in order, then one folder that draws.

Each stage is a command of its own and can be interrupted: what is finished is kept, what is not goes on where it was.
The text encoder is one that was trained before, on captions and pictures: by default the monster's. The folder gets a
copy, or with `--share` says where it is.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from diffusers import VQModel
from safetensors.torch import load_file, save
from transformers import CLIPTextConfig

from baselines import pretrained
from baselines.pretrained import SAMPLING_FILE, WEIGHTS, Pretrained
from baselines.training.options import MORE, ModelOptions, SharedParts, command, option
from baselines.vq_diffusion.pipeline import DEFAULTS, PARTS
from baselines.vq_diffusion.ranker import RANKER
from baselines.vq_diffusion.train_decoder import DecoderOptions, train_decoder
from baselines.vq_diffusion.train_ranker import RankerOptions, train_ranker
from baselines.vq_diffusion.train_transformer import Denoiser, TransformerOptions, noise_schedule, train_transformer
from baselines.vq_diffusion.train_vqmodel import VQModelOptions, train_vqmodel
from baselines.vq_diffusion.transformer import EMBEDDINGS
from baselines.weight_files import in_8_bits
from submission import atomic
from submission.errors import UsageError, run

# On the 256 validation prompts a guidance scale of 2 is better than 1.5, 2.5 and 3 in FID, and purity 4 than 2 and 8 in
# colours and features; on 128 of them truncation at 0.5 than at 0.9 in colours and features (0.7: colours alone).
# On 512 prompts of monsters in no split a drawing in six steps is as good as one in eight, and the best of four shows
# more of what is asked for than one.
SAMPLING = {
    "steps": 6, "guidance_scale": 2.0, "truncation_rate": 0.5, "purity": 4.0,
    "candidates": 4, "batch_size": 32, "fixed_batch": 8,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class VQOptions(ModelOptions, SharedParts):
    """The four trainings; data and hardware are the same for all."""

    runs: Path = Path("runs/vq")
    out: Path = Path("runs/vq/model")
    text_encoder: Path = option(WEIGHTS / "monster", "folder with text_encoder/ and tokenizer/")
    vqmodel_images: int | None = option(None, "training images of the VQModel (default: its command's)")
    transformer_images: int | None = option(None, "training images of the transformer (likewise)")
    decoder_images: int | None = option(None, "training images of the VQModel's decoder alone (likewise)")
    ranker_images: int | None = option(None, "training images of the ranker (likewise)")
    more: Path | None = option(None, f"for transformer and ranker {MORE}")
    init: Path | None = option(None, "a finished folder whose transformer alone is trained on, all else kept")
    vqmodel: VQModelOptions = field(default_factory=VQModelOptions)
    transformer: TransformerOptions = field(default_factory=TransformerOptions)
    decoder: DecoderOptions = field(default_factory=DecoderOptions)
    ranker: RankerOptions = field(default_factory=RankerOptions)

    def stage(self, name: str, **changes: Any) -> Any:
        """The options of one of the trainings, as long as it is asked to be."""
        own = getattr(self, name)
        images = getattr(self, f"{name}_images") or own.images
        return self.for_stage(own, **{"out": self.runs / name, "images": images, **changes})


PRESETS = {"bestiary": VQOptions()}


def assemble(options: VQOptions, vqmodel: Path, weights: Path, ranker: Path, sampling: dict[str, Any]) -> None:
    """The parts as one folder as the hub has them, and the ranker, with the sampling defaults.

    The transformer's matrices are in 8 bits, the rest is in half precision.
    """
    out, text = options.out, options.text_encoder
    out.mkdir(parents=True, exist_ok=True)
    shutil.copytree(vqmodel, out / "vqvae", dirs_exist_ok=True)
    pretrained.bring(("text_encoder", "tokenizer"), text, out, share=options.share)
    vqvae = VQModel.load_config(out / "vqvae")
    width = CLIPTextConfig.from_pretrained(text / "text_encoder")
    size = vqvae["sample_size"] // 2 ** (len(vqvae["block_out_channels"]) - 1)
    denoiser = Denoiser(vqvae["num_vq_embeddings"], size, width.hidden_size, width.max_position_embeddings)
    denoiser.load_state_dict(load_file(weights))
    denoiser.transformer.save_config(out / "transformer")
    small = in_8_bits(denoiser.transformer.state_dict())
    atomic.write_bytes(out / "transformer" / "diffusion_pytorch_model.safetensors", save(small, {"format": "pt"}))
    denoiser.null.half().save_pretrained(out / EMBEDDINGS)
    shutil.copytree(ranker, out / RANKER, dirs_exist_ok=True)
    noise_schedule(vqvae["num_vq_embeddings"]).save_pretrained(out / "scheduler")
    atomic.write_json(out / SAMPLING_FILE, sampling)


def train_vq(options: VQOptions) -> Path:
    """Trains all parts, or the transformer of a finished folder, and returns the finished folder."""
    if options.init:
        return train_on(options, Pretrained("vq", str(options.init), (*PARTS, RANKER)))
    text = options.text_encoder
    vqmodel = train_vqmodel(options.stage("vqmodel"))
    second = options.stage("transformer", vqmodel=vqmodel, text_encoder=text)
    weights = train_transformer(second)
    shown = train_decoder(options.stage("decoder", vqmodel=vqmodel, transformer=second.out, text_encoder=text))
    ranker = train_ranker(options.stage("ranker", vqmodel=shown))
    return options.finish("vq", lambda: assemble(options, shown, weights, ranker, SAMPLING))


def train_on(options: VQOptions, start: Pretrained) -> Path:
    """Trains the transformer of `start` on, for its other parts, which stay, and returns the finished folder.

    Raises:
        UsageError: an option is for a part that stays; that folder is the one that would be written; its text encoder
            and tokenizer lie in two.
    """
    others = ("text_encoder", "vqmodel_images", "decoder_images", "ranker_images")
    if asked := [name for name in others if getattr(options, name) != getattr(PRESETS["bestiary"], name)]:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in asked)
        raise UsageError(f"{named}: with --init the transformer alone is trained, and all else is that folder's")
    vqmodel, text = start.part("vqvae"), start.part("text_encoder").parent
    if options.out.resolve() == start.path.resolve():
        raise UsageError(f"--out {options.out} is the folder to start from: give another --out")
    if start.part("tokenizer").parent != text:
        raise UsageError(f"text encoder and tokenizer of {start.path} lie in two folders: bring them into one")
    sampling = start.sampling(DEFAULTS)
    options = replace(options, text_encoder=text)
    changes = {"out": options.runs / "transformer_on", "vqmodel": vqmodel, "text_encoder": text, "init": start.path}
    weights = train_transformer(options.stage("transformer", **changes))
    return options.finish("vq", lambda: assemble(options, vqmodel, weights, start.part(RANKER), sampling))


main = command(train_vq, __doc__, PRESETS)

if __name__ == "__main__":
    raise SystemExit(run(main))
