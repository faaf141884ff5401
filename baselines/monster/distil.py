"""python -m baselines.monster.distil: students that draw in a few passes what their teacher draws in many.

The teacher draws from noise and captions, with guidance, and each step of a student learns to reach in one pass what
several steps of the teacher, of two passes each, have reached: distillation of guidance (Meng et al., arXiv 2210.03142,
section 3.1) and of steps (Salimans & Ho, arXiv 2202.00512, section 3) in one. The states are the teacher's own rather
than noised pictures, as in Luhman & Luhman (arXiv 2101.02388), so that no picture is needed and the teacher's passes
are paid once for all students. A student of fewer steps begins as the one of more, but each is trained on what the
teacher drew: no error is handed on. What is trained and stored is a small change of the teacher's weights (`adapter`).
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from diffusers import AutoencoderKL, UNet2DConditionModel
from jaxtyping import Float, Float32, Int64
from safetensors.torch import load_file, save
from torch import Tensor, nn
from transformers import CLIPTextModel

from baselines.diffusion.solver import sample
from baselines.diffusion.text import encode
from baselines.hardware import training_memory_format
from baselines.monster import adapter
from baselines.monster.pipeline import DISTILLED, PARTS
from baselines.monster.sampling import alphas_cumprod, solver, timesteps
from baselines.pixels import save_grid, to_pixels
from baselines.pretrained import SAMPLING_FILE, Pretrained
from baselines.training.batches import Examples, to_device
from baselines.training.data import read_training_data
from baselines.training.denoising import Latents, PerExample
from baselines.training.losses import LossAndLog, stratified_timesteps
from baselines.training.options import RunOptions, command, option
from baselines.training.training import Training
from baselines.weight_files import load_tokenizer
from submission import atomic, commands
from submission.errors import UsageError, run
from submission.hashes import file_sha256
from submission.progress import Progress

PREVIEW_PROMPTS = 16
TEACHER_BATCH = 512


@dataclass(frozen=True, kw_only=True)
class DistilOptions(RunOptions):
    """The students' trainings, and what the teacher draws for them."""

    out: Path = Path("runs/distil")
    images: int = option(1_000_000, "a student's images in all")
    batch_size: int = 512
    learning_rate: float = 2e-3
    teacher: str | None = option(None, "a monster's folder (default: the shipped one)")
    teacher_steps: int = option(24, "in which it draws what the students are shown")
    steps: tuple[int, ...] = option((8, 4), "a student of each, from the one before")
    trajectories: int = option(65_536, "from noise to image, of a caption each")
    rank: int = option(16, "of the change of a large weight")


def velocity_between(x: Latents, y: Latents, a: PerExample, b: PerExample) -> Latents:
    """The velocity that takes x, where alphas_cumprod is a, to y, where it is b, in one step of DDIM.

    With a = cos^2 s and b = cos^2 t that step is y = cos(s - t) x - sin(s - t) v (Salimans & Ho, arXiv 2202.00512,
    appendix D), here solved for v.
    """
    signal_a, noise_a, signal_b, noise_b = (part.sqrt().view(-1, 1, 1, 1) for part in (a, 1 - a, b, 1 - b))
    return ((signal_a * signal_b + noise_a * noise_b) * x - y) / (noise_a * signal_b - signal_a * noise_b)


class StepLoss:
    """Squared error of the velocity that takes one state of a trajectory to the next in one step.

    Args:
        latents: states of the teacher, at which the student's steps begin, and the last one ends.
        hidden, pooled: text states.
        times: the timestep of each of the states but the last, which is the image.
    """

    def __init__(
        self,
        latents: Float[Tensor, "n k c h w"],
        hidden: Float[Tensor, "n l d"],
        pooled: Float[Tensor, "n d"],
        times: Int64[Tensor, " k-1"],
        accelerator: Accelerator,
    ) -> None:
        self.times, self.accelerator = times, accelerator
        self.levels = torch.cat([alphas_cumprod()[times], torch.ones(1)])
        tables = latents.flatten(0, 1), hidden, pooled
        self.states, self.hidden, self.pooled = (Examples(table, accelerator.device) for table in tables)

    def __call__(self, model: nn.Module, indices: Tensor, generator: torch.Generator, done: float) -> LossAndLog:
        device = self.accelerator.device
        step = stratified_timesteps(len(indices), len(self.times), generator)
        t, a, b = (
            to_device(of[at], device) for of, at in ((self.times, step), (self.levels, step), (self.levels, step + 1))
        )
        state = indices * len(self.levels) + step
        x, y = self.states[state].float(), self.states[state + 1].float()
        with self.accelerator.autocast():
            v = model(x, t, self.hidden[indices].float(), class_labels=self.pooled[indices].float()).sample
        return (v.float() - velocity_between(x, y, a, b)).square().mean(), {}


def check(steps: Sequence[int], teacher_steps: int) -> None:
    """Raises UsageError where a student's step would not begin and end at states of the teacher."""
    for own in steps:
        if own < 1 or teacher_steps % own:
            raise UsageError(f"--steps {own}: must be at least 1 and divide the teacher's {teacher_steps}")
        if not torch.equal(timesteps(own), timesteps(teacher_steps)[:: teacher_steps // own]):
            raise UsageError(f"--steps {own}: they are rounded to other times than --teacher-steps {teacher_steps}")


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
    """What each of the steps of `solver.sample` begins with, and what it returns."""
    visited: list[Tensor] = []

    def recording(x: Tensor, *args: Tensor, **kwargs: Tensor) -> Any:
        visited.append(x[: len(noise)])  # guidance calls with the same again
        return unet(x, *args, **kwargs)

    image = sample(recording, solver(), noise, text, empty, steps=steps, guidance_scale=guidance_scale)
    return [*visited, image]


def trajectories(options: DistilOptions, teacher: Pretrained, guidance_scale: float) -> dict[str, Tensor]:
    """What the teacher's UNet draws for captions of the training set, each as often as any other; kept in a file.

    Returns:
        `latents`, (N, K, C, H, W), the states that any student needs, and what the network was given: `hidden`,
        (N, L, D), and `pooled`, (N, D), of the captions; all float16, on the CPU.
    """
    captions = [caption for entry in read_training_data(options.data) for caption in entry.captions]
    rng = random.Random(0)
    rounds = -(-options.trajectories // len(captions))
    chosen = [caption for _ in range(rounds) for caption in rng.sample(captions, len(captions))][: options.trajectories]
    keep, steps = nodes(options.teacher_steps, options.steps), options.teacher_steps
    training = Training(options)
    device = training.device

    @torch.no_grad()
    def draw() -> dict[str, Tensor]:
        unet = teacher.network("unet", UNet2DConditionModel).float()
        unet = unet.to(device, memory_format=training_memory_format(device.type))
        text_model = teacher.network("text_encoder", CLIPTextModel).float().to(device)
        tokenizer = load_tokenizer(teacher.part("tokenizer"), text_model)
        empty = encode(text_model, tokenizer, [""])
        shape = unet.config.in_channels, unet.config.sample_size, unet.config.sample_size
        drawn = []
        with Progress("drawing with the teacher", len(chosen)) as progress:
            for start in range(0, len(chosen), TEACHER_BATCH):
                text = encode(text_model, tokenizer, chosen[start : start + TEACHER_BATCH])
                generator = torch.Generator().manual_seed(start)
                noise = torch.randn(len(text[0]), *shape, generator=generator).to(device)
                with training.accelerator.autocast():
                    visited = states(unet, noise, text, empty, steps=steps, guidance_scale=guidance_scale)
                tables = torch.stack([visited[k] for k in keep], 1), *text
                drawn.append([table.half().cpu() for table in tables])
                progress.advance(len(noise))
        latents, hidden, pooled = map(torch.cat, zip(*drawn, strict=True))
        return {"latents": latents, "hidden": hidden, "pooled": pooled}

    return training.encoded("trajectories", [chosen, keep, steps, guidance_scale, sha256_of(teacher)], draw)


def sha256_of(teacher: Pretrained) -> list[str]:
    """Of the weights that a trajectory depends on."""
    return [file_sha256(file) for part in ("text_encoder", "unet") for file in teacher.weights_of(part)[0]]


def train_student(
    options: DistilOptions, teacher: Pretrained, steps: int, init: Path | None, drawn: dict[str, Tensor]
) -> Path:
    """The weights of a student of so many steps, which begins as the one with the weights `init`, or as its teacher.

    Beside them is `model`, the folder that draws.
    """
    own = replace(options, out=options.out / f"{steps}-steps")
    training = Training(own, weight_decay=0.0, preview_images=max(1, options.images // 4))
    accelerator = training.accelerator
    every = nodes(options.teacher_steps, options.steps)
    latents = drawn["latents"][:, [every.index(node) for node in nodes(options.teacher_steps, [steps])]]
    loss = StepLoss(latents, drawn["hidden"], drawn["pooled"], timesteps(steps), accelerator)
    autoencoder = teacher.network("vae", AutoencoderKL).float().to(accelerator.device)
    shown = torch.arange(min(PREVIEW_PROMPTS, len(latents)))

    def preview(model: nn.Module, path: Path) -> None:
        """The student's images over the teacher's."""
        noise, target = (loss.states[shown * latents.shape[1] + k].float() for k in (0, steps))
        text = loss.hidden[shown].float(), loss.pooled[shown].float()
        unused = text[0][:1], text[1][:1]  # without guidance
        with accelerator.autocast():
            z = sample(model, solver(order=1), noise, text, unused, steps=steps, guidance_scale=1.0)
            x = autoencoder.decode(torch.cat([z, target]) / autoencoder.config.scaling_factor).sample
        save_grid(to_pixels(x), path)

    model = teacher.network("unet", UNet2DConditionModel).float()
    adapter.attach(model, options.rank)
    if init:
        model.load_state_dict(load_file(init))
    kept: dict[str, object] = {name: getattr(options, name) for name in ("rank", "teacher_steps", "trajectories")}
    kept |= {"teacher": sha256_of(teacher), "init": file_sha256(init) if init else None}
    weights = training.train(model, loss, len(latents), preview, **kept)
    training.finish(partial(assemble, teacher, weights, steps))
    return weights


def assemble(teacher: Pretrained, weights: Path, steps: int, out: Path) -> None:
    """`out`: the teacher's folder, and what makes a student of its UNet."""
    out.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        shutil.copytree(teacher.part(part), out / part, dirs_exist_ok=True)
    atomic.write_bytes(out / DISTILLED, save(adapter.change(load_file(weights))))
    atomic.write_json(out / SAMPLING_FILE, teacher.sampling() | {"distilled_steps": steps})
    print(f"{out}: draw with {commands.drawing('monster', out)}")


def distil(options: DistilOptions) -> list[Path]:
    """Trains the students and returns their folders, in the order of `options.steps`. Raises UsageError as `check`."""
    check(options.steps, options.teacher_steps)
    teacher = Pretrained("monster", options.teacher, PARTS)
    drawn = trajectories(options, teacher, teacher.sampling(needs=("guidance_scale",))["guidance_scale"])
    weights, folders = None, []
    for steps in options.steps:
        weights = train_student(options, teacher, steps, weights, drawn)
        folders.append(weights.parent / "model")
    return folders


main = command(distil, __doc__, DistilOptions())

if __name__ == "__main__":
    raise SystemExit(run(main))
