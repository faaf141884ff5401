"""python -m baselines.glide.train: text encoder, base model, upsampler and noised CLIP, then one folder that draws.

Each training is a command of its own and can be interrupted: what is finished is kept, what is not goes on where it
was. Only the base model builds on another, that of its text encoder.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from safetensors.torch import load_file, save
from torch import nn

from baselines.glide import train_base, train_noised_clip, train_text_encoder, train_upsample
from baselines.glide.config import FILE_NAME, GlideConfig, Sampling, VocabularyConfig, write_config
from baselines.glide.train_base import BaseOptions
from baselines.glide.train_noised_clip import ClipInTraining, NoisedClipOptions
from baselines.glide.train_text_encoder import TextEncoderOptions
from baselines.glide.train_upsample import UpsampleOptions
from baselines.glide.training_set import TrainingSet
from baselines.glide.unet import UNet
from baselines.training.options import ModelOptions, command
from submission import atomic
from submission.errors import run

# Of the scales 1 to 6, classifier-free guidance is best at 1.5 on the validation prompts (`make sweep MODEL=glide`), in
# FID, CLIP-T and colours; CLIP guidance gains little from any.
SAMPLING = Sampling(
    steps=25,
    sampler="ddim",
    guidance_scale=1.5,
    clip_scale=3.0,
    inpaint_guidance_scale=3.0,
    upsample_respacing="1,1,1,1",  # the first timestep of each quarter
    batch_size=32,
    fixed_batch=32,
)


@dataclass(frozen=True, kw_only=True)
class GlideOptions(ModelOptions):
    """The four trainings; data and hardware are the same for all."""

    out: Path = Path("runs/glide")
    text_encoder: TextEncoderOptions = field(default_factory=TextEncoderOptions)
    base: BaseOptions = field(default_factory=BaseOptions)
    upsample: UpsampleOptions = field(default_factory=UpsampleOptions)
    noised_clip: NoisedClipOptions = field(default_factory=NoisedClipOptions)


PRESETS = {"bestiary": GlideOptions()}


def assemble(runs: Path, out: Path, vocabulary: VocabularyConfig, sampling: Sampling) -> None:
    """The three runs' averaged weights as one folder in half precision, with the sampling defaults."""
    assert vocabulary.rows is not None
    vocab_size = len(vocabulary.rows)
    base, upsample = UNet(train_base.config(vocab_size)), UNet(train_upsample.config(vocab_size))
    guide = ClipInTraining(train_noised_clip.config(vocab_size))
    for run_of, trained in (("base", base), ("upsample", upsample), ("noised-clip", guide)):
        trained.load_state_dict(load_file(runs / f"glide-{run_of}" / "weights.safetensors"))
    out.mkdir(parents=True, exist_ok=True)
    parts: dict[str, nn.Module] = {
        "base": base,
        "upsample": upsample,
        "clip_image_enc": guide.clip.image_encoder,
        "clip_text_enc": guide.clip.text_encoder,
    }
    for name, model in parts.items():
        atomic.write_bytes(out / f"{name}.safetensors", save(model.half().state_dict(), metadata={"format": "pt"}))
    config = GlideConfig(
        models={"base": base.config, "upsample": upsample.config},
        clip=train_noised_clip.config(vocab_size, logit_scale=round(guide.logit_scale.item(), 3)),
        text=vocabulary,
        clip_text=vocabulary,
        sampling=sampling,
    )
    write_config(out / FILE_NAME, config)


def train_glide(options: GlideOptions) -> Path:
    """Trains all four models and returns the finished folder."""
    runs = options.runs
    text_encoder = options.for_stage(options.text_encoder, out=runs / "glide-text-encoder")
    read = train_text_encoder.train_text_encoder(text_encoder)
    train_base.train_base(options.for_stage(options.base, out=runs / "glide-base", text_encoder=read))
    train_upsample.train_upsample(options.for_stage(options.upsample, out=runs / "glide-upsample"))
    train_noised_clip.train_noised_clip(options.for_stage(options.noised_clip, out=runs / "glide-noised-clip"))
    return options.finish("glide", lambda: assemble(runs, options.out, TrainingSet(options.data).vocabulary, SAMPLING))


main = command(train_glide, __doc__, PRESETS)

if __name__ == "__main__":
    raise SystemExit(run(main))
