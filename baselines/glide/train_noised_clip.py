"""python -m baselines.glide.train_noised_clip: the CLIP that guides, on images as noisy as the base model meets them.

InfoNCE over the batch in both directions (Radford et al., arXiv 2103.00020, section 2.3) with x_t and t in place of the
image (GLIDE, arXiv 2112.10741, section 3.3). It is trained on the training set alone and is never the scorer's CLIP.
"""

from __future__ import annotations

import math
import sys

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.diffusion.process import Diffusion
from baselines.diffusion.schedules import betas
from baselines.glide import training_set
from baselines.glide.config import ClipTowerConfig, NoisedClipConfig
from baselines.glide.noised_clip import NoisedClip
from baselines.training.losses import contrastive_loss, stratified_timesteps
from baselines.training.options import accelerator_of, add_data, add_run, command_parser
from baselines.training.schedule import Schedule
from baselines.training.trainer import train
from submission.errors import run

MAX_LOGIT_SCALE = 100.0


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


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(__doc__)
    add_data(parser)
    add_run(parser, "runs/glide-noised-clip", images=64_000, batch_size=64, learning_rate=1e-3)
    args = parser.parse_args(argv)
    accelerator = accelerator_of(args)
    device = accelerator.device
    data = training_set.load(args.data)
    tokens, lengths = data.clip_tokenizer(data.captions)
    model = ClipInTraining(config(data.vocab_size))
    settings = model.clip.config
    diffusion = Diffusion(betas("squaredcos_cap_v2", settings.train_timesteps))  # the base model's

    def loss(
        model: nn.Module, indices: Tensor, generator: torch.Generator, done: float
    ) -> tuple[Tensor, dict[str, float]]:
        both = accelerator.unwrap_model(model)
        x0 = F.adaptive_avg_pool2d(data.images[indices].float() / 127.5 - 1, settings.image_size)
        t = stratified_timesteps(len(x0), len(diffusion), generator)
        noise = torch.randn(x0.shape, generator=generator)
        x = diffusion.q_sample(x0, t, noise).to(device)
        picked = data.pick_captions(indices, generator)
        with accelerator.autocast():
            images = both.clip.embed_images(x, t.to(device))
            texts = both.clip.embed_texts(tokens[picked].to(device), lengths[picked].to(device))
        value, hits = contrastive_loss(images.float(), texts.float(), both.logit_scale)
        return value, {"hits": hits, "logit_scale": both.logit_scale.detach()}

    schedule = Schedule(args.images, args.batch_size, learning_rate=args.learning_rate, ema_decay=0.995)
    options = {"config": str(settings)}
    accelerator.print(
        train(model, loss, len(data.images), schedule, args.out, accelerator=accelerator, options=options)
    )
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
