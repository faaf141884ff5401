"""python -m baselines.glide.train_base: the base model, 32 pixels, that draws and inpaints.

The released GLIDE learned to inpaint afterwards, as a second model (arXiv 2112.10741, section 3.2). Here one model
learns both: most examples show it no known pixels, as when it draws, the others all but a rectangle.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from jaxtyping import Float32
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.diffusion.noise import seeded_generators
from baselines.glide import training_set
from baselines.glide.config import UNetConfig
from baselines.glide.losses import hybrid_loss
from baselines.glide.pipeline import diffusion_of, draw
from baselines.glide.unet import UNet
from baselines.training.losses import CAPTION_DROPOUT, stratified_timesteps
from baselines.training.options import accelerator_of, add_data, add_run, command_parser
from baselines.training.schedule import Schedule
from baselines.training.trainer import train
from submission.errors import run
from submission.hashes import file_sha256
from submission.sheet import spread

INPAINTING = 0.2  # share of the examples
PREVIEW_PROMPTS = 20


def config(vocab_size: int) -> UNetConfig:
    """1.9 million parameters, 0.6 GFLOP a forward pass; attention from 8 pixels down, which is nearly free."""
    return UNetConfig(
        image_size=32,
        model_channels=32,
        num_res_blocks=1,
        channel_mult=(1, 2, 2),
        attention_resolutions=(8,),
        num_head_channels=32,
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
    count: int, size: int, share: float, generator: torch.Generator
) -> Float32[Tensor, "count 1 size size"]:
    """What is known: 1 outside of a rectangle of a quarter to all of each side; nowhere for all but `share` of them."""
    sides = size // 4 + (torch.rand(count, 2, generator=generator) * (size * 3 // 4 + 1)).long()
    corners = (torch.rand(count, 2, generator=generator) * (size + 1 - sides)).long()
    at = torch.arange(size)
    inside = (at >= corners[..., None]) & (at < (corners + sides)[..., None])  # count, 2, size
    known = ~(inside[:, 0, :, None] & inside[:, 1, None, :])
    shown = torch.rand(count, generator=generator) < share
    return (known & shown[:, None, None])[:, None].float()


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(__doc__)
    add_data(parser)
    add_run(parser, "runs/glide-base", images=60_000, batch_size=16, learning_rate=1e-3)
    parser.add_argument("--init", type=Path, help="a base model's safetensors to start from (default: at random)")
    args = parser.parse_args(argv)
    accelerator = accelerator_of(args)
    device = accelerator.device
    data = training_set.load(args.data)
    tokenizer = data.text_tokenizer
    tokens, real = tokenizer(data.captions)
    model = UNet(config(data.vocab_size))
    if args.init:
        model.load_state_dict({name: tensor.float() for name, tensor in load_file(args.init).items()})
    diffusion = diffusion_of(model.config)
    size = model.config.image_size

    def loss(
        model: nn.Module, indices: Tensor, generator: torch.Generator, done: float
    ) -> tuple[Tensor, dict[str, float]]:
        unet = accelerator.unwrap_model(model)
        x0 = F.adaptive_avg_pool2d(data.images[indices].float() / 127.5 - 1, size)
        t = stratified_timesteps(len(x0), len(diffusion), generator)
        noise = torch.randn(x0.shape, generator=generator)
        mask = random_masks(len(x0), size, INPAINTING, generator)
        picked = data.pick_captions(indices, generator)
        mask_text = training_set.dropped(real[picked], CAPTION_DROPOUT, generator)
        x0, t, noise, mask = (one.to(device) for one in (x0, t, noise, mask))
        x = diffusion.q_sample(x0, t, noise)
        with accelerator.autocast():
            text = unet.encode_text(tokens[picked].to(device), mask_text.to(device))
            output = unet(x, t, text, known=torch.cat([x0 * mask, mask], dim=1))
        return hybrid_loss(diffusion, output.float(), x0, noise, x, t)

    shown = [data.captions[index] for index in spread(len(data.captions), PREVIEW_PROMPTS)]

    def preview(model: nn.Module, path: Path) -> None:
        process = diffusion_of(model.config, "20")
        generators = seeded_generators(range(len(shown)))
        images = draw(model, tokenizer, shown, generators, process, sampler="ancestral", guidance_scale=3.0)
        training_set.sheet([images], path)

    schedule = Schedule(
        args.images, args.batch_size, learning_rate=args.learning_rate, ema_decay=0.998, preview_images=15_000
    )
    options = {"captions": len(data.captions), "config": str(model.config)}
    if args.init:
        options["init"] = file_sha256(args.init)
    accelerator.print(
        train(
            model,
            loss,
            len(data.images),
            schedule,
            args.out,
            accelerator=accelerator,
            preview=preview,
            options=options,
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
