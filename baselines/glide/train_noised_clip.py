"""python -m baselines.glide.train_noised_clip: the CLIP that guides, on images as noisy as the base model meets them.

InfoNCE over the batch in both directions (Radford et al., arXiv 2103.00020, section 2.3) with x_t and t in place of the
image (GLIDE, arXiv 2112.10741, section 3.3). It is trained on the training set alone and is never the scorer's CLIP.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from baselines.diffusion.process import Diffusion
from baselines.diffusion.schedules import betas
from baselines.glide import training_set
from baselines.glide.config import ClipTowerConfig, NoisedClipConfig
from baselines.glide.noised_clip import NoisedClip
from baselines.glide.training_set import NoisedPictures, TrainingSet
from baselines.training.batches import to_device
from baselines.training.losses import LossAndLog, contrastive_loss, stratified_timesteps
from baselines.training.options import RunOptions, command
from baselines.training.training import Training
from submission.errors import run

MAX_LOGIT_SCALE = 100.0


@dataclass(frozen=True, kw_only=True)
class NoisedClipOptions(RunOptions):
    """The noised CLIP's training."""

    out: Path = Path("runs/glide-noised-clip")
    images: int = 1_920_000
    batch_size: int = 256


def config(vocab_size: int, logit_scale: float = 1 / 0.07) -> NoisedClipConfig:
    """0.6 million parameters. `logit_scale` is learned; it begins where CLIP's did."""
    return NoisedClipConfig(
        image=ClipTowerConfig(num_layers=3, num_heads=3, head_dim=32),
        text=ClipTowerConfig(num_layers=2, num_heads=2, head_dim=32),
        image_size=32,
        patch_size=4,
        embed_dim=96,
        vocab_size=vocab_size,
        text_length=training_set.CLIP_TEXT_LENGTH,
        logit_scale=logit_scale,
    )


class ClipInTraining(nn.Module):
    """The noised CLIP and the logarithm of its scale, which training learns."""

    def __init__(self, config: NoisedClipConfig) -> None:
        super().__init__()
        self.clip = NoisedClip(config)
        self.log_scale = nn.Parameter(torch.tensor(math.log(config.logit_scale)))

    @property
    def logit_scale(self) -> Tensor:
        """At most 100, as CLIP's."""
        return self.log_scale.exp().clamp(max=MAX_LOGIT_SCALE)


class NoisedContrastiveLoss(NoisedPictures):
    """Of a `ClipInTraining`: noised images against one of each one's captions."""

    def __call__(self, model: ClipInTraining, indices: Tensor, generator: torch.Generator, done: float) -> LossAndLog:
        x0 = self.pictures(indices)
        t = to_device(stratified_timesteps(len(x0), len(self.diffusion), generator), self.device)
        _, x = self.noised(x0, t, generator)
        tokens, lengths = self.pick_captions(indices, generator)
        with self.accelerator.autocast():
            images, texts = model.clip.embed_images(x, t), model.clip.embed_texts(tokens, lengths)
        value, hits = contrastive_loss(images.float(), texts.float(), model.logit_scale)
        return value, {"hits": hits, "logit_scale": model.logit_scale.detach()}


def train_noised_clip(options: NoisedClipOptions) -> Path:
    """Trains the noised CLIP and returns the path of its averaged weights."""
    training = Training(options, ema_decay=0.998)
    data = TrainingSet(options.data)
    model = ClipInTraining(config(data.vocab_size))
    shape = model.clip.config
    diffusion = Diffusion(betas("squaredcos_cap_v2", shape.train_timesteps))  # the base model's
    loss = NoisedContrastiveLoss(training, data, data.clip_tokenizer, diffusion, shape.image_size)
    return training.train_and_print(model, loss, len(data.images), config=str(shape), **data.kept)


main = command(train_noised_clip, __doc__, NoisedClipOptions())

if __name__ == "__main__":
    raise SystemExit(run(main))
