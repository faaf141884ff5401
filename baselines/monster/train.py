"""python -m baselines.monster.train: a monster by a recipe on any training set, then one folder that draws.

Where the recipe names no frozen parts, autoencoder and text encoder are trained first. Each stage is a command of its
own and can be interrupted: what is finished is kept, what is not goes on where it was.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from baselines.monster.train_autoencoder import AutoencoderOptions, train_autoencoder
from baselines.monster.train_text_encoder import TextEncoderOptions, train_text_encoder
from baselines.monster.train_unet import UNetOptions, train_unet
from baselines.pretrained import WEIGHTS
from baselines.training.options import ModelOptions, command, option
from submission import commands
from submission.errors import run
from submission.launcher import place


@dataclass(frozen=True, kw_only=True)
class MonsterOptions(UNetOptions, ModelOptions):
    """The UNet's recipe, and the trainings of its frozen parts where `autoencoder`, `text_encoder` are empty."""

    out: Path = option(Path("runs/monster"), "the folder that draws, for --weights")
    model: Path | None = option(None, "")  # it is `out`, and the UNet's run RUNS/unet
    autoencoder: str = ""
    text_encoder: str = ""
    autoencoder_training: AutoencoderOptions = field(default_factory=AutoencoderOptions)
    text_encoder_training: TextEncoderOptions = field(default_factory=TextEncoderOptions)


PRESETS = {
    "bestiary": MonsterOptions(image_size=64),
    # As the course's report has it (Weng, 2025), which names no schedule of the rate. 43 % and 87 % are its epochs 130
    # and 260 of 300; each term does here what its name says. 225 million parameters.
    "maplestory": MonsterOptions(
        unet="maplestory",
        autoencoder="CompVis/stable-diffusion-v1-4",
        text_encoder="openai/clip-vit-base-patch32",
        perceptual="lpips",
        prediction="epsilon",
        min_snr_gamma=None,
        least_weight=0.0,
        pooled_dropout=0.0,
        flips=True,
        perceptual_from=0.43,
        kl_from=0.87,
        images=0,
        epochs=300,
        batch_size=64,
        accumulation=2,
        learning_rate=1e-4,
        warmup=0.0,
        final_rate=1.0,
        ema_decay=0.9999,
        ema_from=0.5,
        keep_at=(),
        steps=130,
        guidance_scale=8.0,
    ),
}


def train_monster(options: MonsterOptions) -> Path:
    """Trains what the recipe needs and returns the finished folder."""
    pictures = options.open_pictures()
    options = replace(options, data=options.folder)
    autoencoder, text_encoder = options.autoencoder, options.text_encoder
    if options.dry_run and not (autoencoder and text_encoder):
        print("the training of the frozen parts, which comes first, is not in these numbers")
        autoencoder, text_encoder = (part or str(WEIGHTS / "monster") for part in (autoencoder, text_encoder))
    if not autoencoder:
        stage = options.for_stage(options.autoencoder_training, out=options.runs / "autoencoder")
        autoencoder = str(train_autoencoder(stage))
    if not text_encoder:
        second = options.for_stage(options.text_encoder_training, out=options.runs / "text_encoder")
        text_encoder = str(train_text_encoder(second))
    out = options.runs / "unet"
    recipe = replace(options, autoencoder=autoencoder, text_encoder=text_encoder, out=out, model=options.out)
    train_unet(recipe, pictures)
    if place().first and not options.dry_run:
        print(f"{options.out}: draw with {commands.drawing('monster', options.out)}")
    return options.out


main = command(train_monster, __doc__, PRESETS)

if __name__ == "__main__":
    raise SystemExit(run(main))
