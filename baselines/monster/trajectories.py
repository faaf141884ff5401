"""What a teacher draws from noise and captions, and what it passes on the way: all that its students are trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from accelerate import Accelerator
from diffusers import UNet2DConditionModel
from jaxtyping import Float32
from torch import Tensor
from transformers import CLIPTextModel

from baselines.diffusion.text import encode
from baselines.hardware import training_memory_format
from baselines.monster.sampling import sample, solver
from baselines.pretrained import Pretrained
from baselines.weight_files import load_tokenizer
from submission.progress import Progress

BATCH_SIZE = 512  # of the teacher


def nodes(teacher_steps: int, students: Sequence[int]) -> list[int]:
    """Which of a teacher's states, 0 (the noise) … teacher_steps (the image), some student's step begins or ends at.

    A step of a student stands for several whole ones of its teacher: the students' numbers divide the teacher's.
    """
    return sorted({k * (teacher_steps // steps) for steps in students for k in range(steps + 1)})


def states(
    unet: Callable[..., Any],
    noise: Float32[Tensor, "b c h w"],
    text: tuple[Float32[Tensor, "b l d"], Float32[Tensor, "b d"]],
    empty: tuple[Float32[Tensor, "1 l d"], Float32[Tensor, "1 d"]],
    *,
    steps: int,
    guidance_scale: float,
) -> list[Float32[Tensor, "b c h w"]]:
    """What each of the steps of `sampling.sample` begins with, and what it returns."""
    visited: list[Tensor] = []

    def recording(x: Tensor, *args: Tensor, **kwargs: Tensor) -> Any:
        visited.append(x[: len(noise)])  # guidance calls with the same again
        return unet(x, *args, **kwargs)

    image = sample(recording, solver(), noise, text, empty, steps=steps, guidance_scale=guidance_scale)
    return [*visited, image]


@torch.no_grad()
def draw_trajectories(
    teacher: Pretrained,
    captions: Sequence[str],
    keep: Sequence[int],
    *,
    steps: int,
    guidance_scale: float,
    accelerator: Accelerator,
) -> dict[str, Tensor]:
    """One trajectory for each caption, drawn by the teacher's UNet as `sampling.sample` draws.

    Returns:
        `latents`, (N, K, C, H, W), the states that `keep` names, and what the network was given: `hidden`, (N, L, D),
        and `pooled`, (N, D), of the captions; all float16, on the CPU.
    """
    device = accelerator.device
    unet = teacher.network("unet", UNet2DConditionModel).float()
    unet = unet.to(device, memory_format=training_memory_format(device.type))
    text_model = teacher.network("text_encoder", CLIPTextModel).float().to(device)
    tokenizer = load_tokenizer(teacher.part("tokenizer"), text_model)
    empty = encode(text_model, tokenizer, [""])
    shape = unet.config.in_channels, unet.config.sample_size, unet.config.sample_size
    drawn: dict[str, list[Tensor]] = {"latents": [], "hidden": [], "pooled": []}
    with Progress("drawing with the teacher", len(captions)) as progress:
        for start in range(0, len(captions), BATCH_SIZE):
            text = encode(text_model, tokenizer, captions[start : start + BATCH_SIZE])
            generator = torch.Generator().manual_seed(start)
            noise = torch.randn(len(text[0]), *shape, generator=generator).to(device)
            with accelerator.autocast():
                visited = states(unet, noise, text, empty, steps=steps, guidance_scale=guidance_scale)
            for name, tensor in zip(drawn, (torch.stack([visited[k] for k in keep], 1), *text), strict=True):
                drawn[name].append(tensor.half().cpu())
            progress.advance(len(noise))
    return {name: torch.cat(parts) for name, parts in drawn.items()}
