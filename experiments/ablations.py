"""python -m experiments.ablations: what each element of the monster's recipe brings, as a table.

A small UNet is trained on the bestiary once for each arm, every arm with the same pictures, steps and seeds; then each
draws the validation prompts, which the scorer measures. An arm is the plain recipe with one thing changed. The plain
one is trained three times: the range of its scores is what chance does. An arm that differs from it by less than twice
that range is trained three times, too, before anything is said of it. Samplers share one training.

Everything is kept in one folder: what was interrupted goes on where it was.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import redirect_stderr
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from diffusers import DDPMScheduler, SchedulerMixin
from PIL import Image

from baselines.diffusion.noise import randn, seeded_generators
from baselines.diffusion.solver import sample
from baselines.diffusion.text import encode
from baselines.hardware import Hardware, decide
from baselines.monster.frozen import Frozen, load_frozen
from baselines.monster.sampling import NOISE_SCHEDULE, solver
from baselines.monster.train_unet import UNetOptions, build_all, unet_of
from baselines.monster.unets import build
from baselines.pixels import to_arrays, to_pixels
from baselines.training.denoising import Prediction
from baselines.training.latents import Encoded, encode_all
from baselines.training.objective import Objective
from baselines.training.options import TrainingOptions, option, parsed
from baselines.training.pictures import Pictures, load_pictures
from baselines.training.schedule import Schedule
from experiments.ablation_table import METRICS, markdown, undecided
from experiments.points import csv_text
from scorer import score
from scorer.attributes import ATTRIBUTES
from scorer.confidence import bootstrap_intervals
from scorer.families import Families
from submission import Competition, atomic, image_seed
from submission.errors import run
from submission.locking import exclusive
from submission.progress import Progress

PARTS = Path(__file__).resolve().parents[1] / "baselines" / "weights" / "monster"  # its autoencoder and text encoder
PLAIN_SEEDS = (0, 1, 2)
BATCH, RATE, MIDWAY = 64, 1e-3, 0.5


@dataclass(frozen=True)
class Sampler:
    """How an arm draws."""

    solver: str = "dpm++"
    steps: int = 20
    guidance_scale: float = 2.5

    def scheduler(self, prediction: Prediction) -> SchedulerMixin:
        """diffusers' scheduler on the schedule of the training."""
        if self.solver == "dpm++":
            return solver(prediction=prediction)
        noise = NOISE_SCHEDULE | {"prediction_type": prediction}
        return DDPMScheduler(**noise, clip_sample=False, timestep_spacing="linspace")


@dataclass(frozen=True)
class Arm:
    """The plain recipe with something changed: `what`, in words."""

    what: str
    objective: Objective = Objective()  # noqa: RUF009 - frozen
    ema: tuple[float, float] = (0.0, 0.0)  # the average's decay, and from which fraction of the training it is kept
    optimizer: Literal["adamw", "muon"] = "adamw"
    sampler: Sampler = Sampler()
    trained_as: str | None = None  # the arm whose training it shares


EMA, LATE_EMA, UNGUIDED = (0.995, 0.0), (0.995, MIDWAY), Sampler(guidance_scale=1.0)
ARMS = {
    "plain": Arm("velocity, squared error, caption dropout 10 %, a random caption, flips; DPM++ 20 steps"),
    "ema": Arm("average of the weights from the start", ema=EMA),
    "ema-midway": Arm("average of the weights from midway", ema=LATE_EMA),
    "lpips": Arm("perceptual distance × 0.1 from 43 %", Objective(perceptual_from=0.43)),
    "kl": Arm("posterior's divergence × 0.01 from 87 %", Objective(kl_from=0.87)),
    "recipe": Arm("both, and the average from midway", Objective(perceptual_from=0.43, kl_from=0.87), LATE_EMA),
    "augment": Arm("strong augmentation from the start", Objective(augment_from=0.0)),
    "augment-late": Arm("strong augmentation from midway", Objective(augment_from=MIDWAY)),
    "dropout-0": Arm("no caption dropout", Objective(caption_dropout=0.0)),
    "dropout-20": Arm("caption dropout 20 %", Objective(caption_dropout=0.2)),
    "first-caption": Arm("always the first caption", Objective(random_caption=False)),
    "no-flips": Arm("no flips", Objective(flips=False)),
    "epsilon": Arm("the noise instead of the velocity", Objective(prediction="epsilon")),
    "min-snr": Arm("min-SNR-5 weights", Objective(min_snr_gamma=5.0)),
    "muon": Arm("Muon instead of AdamW", optimizer="muon"),
    "alignment": Arm("representation alignment × 0.5", Objective(alignment_weight=0.5)),
    "unguided": Arm("without guidance", sampler=UNGUIDED, trained_as="plain"),
    "dropout-0-unguided": Arm(
        "no caption dropout, without guidance", Objective(caption_dropout=0.0), sampler=UNGUIDED, trained_as="dropout-0"
    ),
} | {
    f"{name}-{steps}": Arm(f"{name}, {steps} steps", sampler=Sampler(name, steps), trained_as="plain")
    for name, steps in product(("dpm++", "ddpm"), (10, 20, 50, 130))
    if (name, steps) != ("dpm++", 20)
}


@dataclass(frozen=True, kw_only=True)
class AblationOptions(TrainingOptions):
    """A study, all of whose processes share the one device; travels to them."""

    competition: str | None = option(None, "where to draw and score (default: DATA/validation)")
    out: Path = option(Path("runs/ablations"), "the study's folder")
    images: int = option(60_000, "training images of each arm")
    arms: tuple[str, ...] = option(tuple(ARMS), "only these", choices=tuple(ARMS))
    workers: int = option(1, "processes at a time, all on the one device")
    limit: int | None = option(None, "only the first so many prompts: to try out")
    once: bool = option(False, "no second and third training of arms that are near")

    @property
    def hardware(self) -> Hardware:
        """float32 where no precision is asked for: so small a network gains nothing from less."""
        return decide(self.device, "float32" if self.precision == "auto" else self.precision)

    @property
    def drawn_for(self) -> Competition:
        return Competition.load(self.competition or self.data / "validation")


@cache
def shared(study: AblationOptions) -> tuple[Pictures, Encoded, Frozen]:
    """What every arm reads: pictures, what the frozen networks make of them, from the cache where it was computed
    before, and these networks; the latter two on the device."""
    device = torch.device(study.hardware.device)
    pictures = load_pictures(study.data)
    frozen = load_frozen(str(PARTS), str(PARTS), device)
    data = encode_all(pictures, frozen.autoencoder, frozen.text, (pictures.sha256, *frozen.keys)).to(device)
    return pictures, data, frozen


def train_arm(study: AblationOptions, arm: Arm, seed: int, out: Path) -> Path:
    """The weights of an arm; a training that is done or begun is not begun again."""
    pictures, data, frozen = shared(study)
    objective, accelerator = asdict(arm.objective), study.hardware.accelerator()
    decay, ema_from = arm.ema
    options = UNetOptions(
        unet="small", out=out, images=study.images, batch_size=BATCH, learning_rate=RATE, optimizer=arm.optimizer,
        ema_decay=decay, ema_from=ema_from, keep_at=(), seed=seed, compile=study.compile, **objective,
    )  # fmt: skip
    perceptual = options.feature_network(accelerator.device)
    model, loss = build_all(options, pictures, frozen, perceptual, data, accelerator)
    return options.train(model, loss, len(pictures.images), Schedule.of(options), accelerator, objective=objective)


@torch.inference_mode()
def draw_arm(study: AblationOptions, arm: Arm, weights: Path, seed: int, out: Path) -> None:
    """The image of each prompt, each from its own noise."""
    _, data, frozen = shared(study)
    hardware, sampler = study.hardware, arm.sampler
    _, _, _, channels, size, _ = data.latents.shape
    unet = build("small", channels, size, data.pooled.shape[1])
    unet.load_state_dict(unet_of(weights))
    unet = unet.to(hardware.device, memory_format=hardware.memory_format).eval()
    prompts = study.drawn_for.prompts[: study.limit]
    generators = seeded_generators([image_seed(seed, prompt.image_name) for prompt in prompts])
    noise = randn(generators, (channels, size, size), hardware.device)
    text = encode(frozen.text_encoder, frozen.tokenizer, [prompt.text for prompt in prompts])
    scheduler = sampler.scheduler(arm.objective.prediction)
    scheduler.step = partial(scheduler.step, generator=generators)
    with hardware.autocast():
        latents = sample(
            unet, scheduler, noise, text, data.empty, steps=sampler.steps, guidance_scale=sampler.guidance_scale
        )
        images = frozen.autoencoder.decode(latents / frozen.autoencoder.config.scaling_factor).sample
    out.mkdir(parents=True, exist_ok=True)
    for prompt, pixels in zip(prompts, to_arrays(to_pixels(images)), strict=True):
        Image.fromarray(pixels).save(out / prompt.image_name, compress_level=1)


def score_arm(study: AblationOptions, submission: Path) -> dict[str, float | None]:
    """How many images were drawn; their FID and CLIP-T and the accuracy of each attribute, with their intervals."""
    competition, device = study.drawn_for, study.hardware.device
    table, limit = submission.with_name("per-image.csv"), study.limit
    card = score(submission, competition, device, limit=limit, per_image=table, cache=False, progress=False)
    row: dict[str, float | None] = {"prompts": card.n}
    for metric in METRICS:
        found = card.scores[metric]
        row |= {metric: found.value, f"{metric}_low": found.low, f"{metric}_high": found.high}
    hits, families = pd.read_csv(table), Families(competition.families[:limit])
    values = [torch.tensor(hits[attribute].to_numpy(np.float64)) for attribute in ATTRIBUTES]
    intervals = [(None, None)] * len(values) if families.why_too_few else bootstrap_intervals(values, families)
    for attribute, value, (low, high) in zip(ATTRIBUTES, values, intervals, strict=True):
        row |= {attribute: float(value.mean()), f"{attribute}_low": low, f"{attribute}_high": high}
    return row


def run_arm(study: AblationOptions, name: str, seed: int) -> dict[str, Any]:
    """Trains, draws and scores an arm as far as that is not done: its row of the table."""
    arm, folder = ARMS[name], study.out / f"{name}-{seed}"
    kept = folder / "result.json"
    if kept.exists():
        return dict(json.loads(kept.read_text(encoding="utf-8")))
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(min(torch.get_num_threads(), max(1, (os.cpu_count() or 1) // study.workers)))
    begun = monotonic()
    with open(folder / "log.txt", "a", encoding="utf-8") as log, redirect_stderr(log):
        trained_as = arm.trained_as or name
        training = study.out / f"{trained_as}-{seed}"
        training.mkdir(exist_ok=True)
        with exclusive(training / "run.lock", f"the training in {training}", -1):  # arms that share it may come at once
            weights = train_arm(study, ARMS[trained_as], seed, training / "run")
        trained = monotonic()
        draw_arm(study, arm, weights, seed, folder / "images")
        scores = score_arm(study, folder / "images")
    row = {"arm": name, "what": arm.what, "seed": seed, "images": study.images, **scores}
    row |= {"training_seconds": round(trained - begun, 1), "seconds": round(monotonic() - begun, 1)}
    atomic.write_json(kept, row)
    return row


def run_all(study: AblationOptions, jobs: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    """The rows of arms and seeds, in this order."""
    rows = {}
    with Progress("arms", len(jobs)) as progress:
        if study.workers == 1:
            for job in jobs:
                rows[job] = run_arm(study, *job)
                progress.advance(1, job[0])
        else:
            with ProcessPoolExecutor(min(study.workers, len(jobs)), mp_context=get_context("spawn")) as pool:
                futures = {pool.submit(run_arm, study, *job): job for job in jobs}
                for future in as_completed(futures):
                    rows[futures[future]] = future.result()
                    progress.advance(1, futures[future][0])
    return [rows[job] for job in jobs]


def main(argv: Sequence[str] | None = None) -> int:
    options = parsed(__doc__, AblationOptions(), argv)
    study = replace(options, data=options.data.resolve(), out=options.out.resolve())
    asked = ["plain", *(name for name in study.arms if name != "plain")]
    shared(study)  # encodes once, before there are several processes
    shared.cache_clear()
    trained = [name for name in asked if ARMS[name].trained_as is None]
    needed = dict.fromkeys([*trained, *(ARMS[name].trained_as or name for name in asked)])
    jobs = [("plain", seed) for seed in PLAIN_SEEDS] + [(name, 0) for name in needed if name != "plain"]
    rows = run_all(study, jobs)
    again = [] if study.once else undecided(pd.DataFrame(rows))
    more = [(name, seed) for name in again for seed in PLAIN_SEEDS[1:]]
    more += [(name, 0) for name in asked if ARMS[name].trained_as]
    rows += run_all(study, more) if more else []
    table = pd.DataFrame(rows)
    atomic.write_text(study.out / "ablations.csv", csv_text(table))
    atomic.write_text(study.out / "ablations.md", markdown(table))
    print(markdown(table), end="")
    print(f"{study.out / 'ablations.csv'}, {study.out / 'ablations.md'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main))
