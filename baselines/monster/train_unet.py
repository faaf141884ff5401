"""python -m baselines.monster.train_unet: the network that turns noise and a caption into latents, by a whole recipe.

A conditional latent diffusion model (Rombach et al., arXiv 2112.10752) on latents and text states that are computed
once. What it is trained on is `baselines.training.objective`, how `baselines.training.schedule`; the options name both,
the network and its frozen parts. After each epoch the folder of the model draws as it is then.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from accelerate import Accelerator
from diffusers import DDPMScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save
from torch import Tensor

from baselines.diffusion.solver import sample
from baselines.diffusion.text import encode
from baselines.monster import unets
from baselines.monster.frozen import Frozen, load_frozen
from baselines.monster.sampling import NOISE_SCHEDULE, solver
from baselines.options import flag
from baselines.pixels import save_grid, to_pixels
from baselines.pretrained import SAMPLING_FILE
from baselines.processes import in_the_first
from baselines.training.dry_run import estimate, measured_batch
from baselines.training.latents import Encoded, encode_all
from baselines.training.objective import Denoiser, DenoisingLoss, Objective
from baselines.training.options import ReadingOptions, RunOptions, command, option
from baselines.training.perceptual import FeatureNetwork, load_perceptual
from baselines.training.pictures import Captioned, PictureFiles, open_pictures
from baselines.training.schedule import SharedSchedule, indices
from baselines.weight_files import load_weights
from submission import Competition, atomic
from submission.errors import UsageError, run
from submission.hashes import file_sha256
from submission.paths import data_home
from submission.progress import duration

PREVIEW_PROMPTS, PREVIEW_STEPS, PREVIEW_GUIDANCE = 16, 18, 2.0
UNET_FILE = "diffusion_pytorch_model.safetensors"


@dataclass(frozen=True, kw_only=True)
class UNetOptions(RunOptions, ReadingOptions, Objective):
    """The bestiary's recipe, 3.9 million parameters.

    No time weighs less than 0.3: the noisy ones, in which what the caption names is settled, would hardly count. The
    pooled state is dropped for its own sake, that colours be read from the tokens; what it brings was not measured.
    """

    out: Path = Path("runs/unet")
    competition: str = option("bestiary", "whose pictures: their size, and where they lie")
    model: Path | None = option(None, "the folder that draws, for --weights (default: OUT/model)")
    autoencoder: str = option("runs/autoencoder/model", "the frozen one: a diffusers folder or a hub id")
    text_encoder: str = option("runs/text_encoder/model", "the frozen one with its tokenizer: a folder or a hub id")
    init: Path | None = option(None, "a UNet's safetensors to start from (default: at random)")
    dry_run: bool = option(False, "say what it would take, from three measured steps, and train nothing")
    unet: str = option("bestiary", "the network", choices=tuple(unets.UNETS))
    image_size: int | None = None  # the one that it is made for; None: any
    perceptual: str = option("embedded", "the network of LPIPS and of alignment", choices=("lpips", "embedded"))
    perceptual_backbone: Path | None = option(None, "torchvision's VGG-16 file (default: torch's own copy)")
    steps: int = 20  # with these two and 32 images at once the folder draws
    guidance_scale: float = 2.5
    # The objective.
    min_snr_gamma: float | None = 5.0
    least_weight: float = 0.3
    pooled_dropout: float = 0.5
    flips: bool = False
    # The schedule.
    images: int = 180_000
    epochs: int = option(0, "visits of each picture, where --images does not say how many")
    accumulation: int = option(1, "batches added up for one step of the optimizer")
    weight_decay: float = option(1e-2, "of AdamW and Muon")
    warmup: float = option(0.03, "fraction of the training in which the rate rises from 0", most=1.0)
    final_rate: float = option(0.02, "fraction of the peak at which the rate's cosine ends; 1: it stays", most=1.0)
    clip_norm: float = option(1.0, "gradients' norm at most")
    ema_decay: float = option(0.999, "of the average of the weights; 0: no average", most=1.0)
    ema_from: float = option(0.0, "fraction of the training from which weights are averaged", most=1.0)
    optimizer: str = option("adamw", "what moves the weights", choices=("adamw", "muon"))
    seed: int = option(0, "of all random numbers")
    keep_at: tuple[float, ...] = (0.1,)

    @property
    def objective(self) -> Objective:
        return Objective(**{each.name: getattr(self, each.name) for each in fields(Objective)})

    def schedule(self, pictures: int) -> SharedSchedule:
        """Previews and checkpoints come once an epoch. Raises UsageError for one without a step."""
        unnamed = self.epochs and self.images in (0, UNetOptions.images)  # nobody asked for another number of images
        images = self.epochs * pictures if unnamed else self.images
        schedule = SharedSchedule.of(self, images=images, save_images=pictures, preview_images=pictures)
        for counted in ("images", "batch_size", "accumulation"):
            if getattr(schedule, counted) < 1:
                raise UsageError(f"{flag(counted)} must be at least 1")
        return schedule

    def open_pictures(self) -> PictureFiles:
        """The pictures, every one of which is checked.

        Raises:
            UsageError: they have another size than the recipe is made for.
            CompetitionError, MissingPart: as `baselines.training.pictures.open_pictures`.
        """
        size = Competition.load(self.competition).image_size
        pictures = open_pictures(self.folder, size, caption=self.caption, skip_bad=self.skip_bad)
        if self.image_size not in (None, pictures.images.size):
            raise UsageError(
                f"this recipe is for pictures of {self.image_size} pixels, these have {pictures.images.size}:"
                " try --preset maplestory"
            )
        return pictures

    def visited(self, pictures: PictureFiles) -> PictureFiles:
        """Those that the training sees: a short one must not wait for all of a large set to be encoded."""
        count = len(pictures.images)
        asked = self.schedule(count)
        if asked.images >= count:
            return pictures
        return pictures.some(indices(0, count, asked.images, asked.seed).sort().values)

    def feature_network(self, device: torch.device) -> FeatureNetwork | None:
        """The network of LPIPS and of alignment, where the objective asks for one. Raises as `load_perceptual`."""
        return load_perceptual(self.perceptual, device, self.perceptual_backbone) if self.needs_features() else None

    @property
    def folder(self) -> Path:
        """The training set: the competition's own where no other is named."""
        unnamed = self.data == data_home() / "bestiary"
        return Competition.load(self.competition).data if unnamed else self.data


def train_unet(options: UNetOptions, pictures: PictureFiles | None = None) -> Path:
    """Trains and returns the path of the averaged weights; the folder of the model draws from the first epoch on.

    `pictures` are those of the options, where they were opened before.
    """
    pictures = options.visited(pictures or options.open_pictures())
    accelerator = options.accelerator()
    frozen = load_frozen(options.autoencoder, options.text_encoder, accelerator.device)
    frozen.check_size(pictures.images.size)
    if options.dry_run:
        dry_run(options, pictures, frozen, accelerator)
        return options.out / "weights.safetensors"
    perceptual = options.feature_network(accelerator.device)
    folder, schedule = options.model or options.out / "model", options.schedule(len(pictures.images))
    encode_set = partial(encode_all, pictures, frozen.autoencoder, frozen.text, (pictures.sha256, *frozen.keys))
    in_the_first(accelerator, encode_set)
    data = encode_set().near(accelerator.device)  # from the cache
    model, loss = build_all(options, pictures, frozen, perceptual, data, accelerator)
    text = encode(frozen.text_encoder, frozen.tokenizer, pictures.some_captions(PREVIEW_PROMPTS))

    def preview(model: Denoiser, path: Path) -> None:
        noise = torch.randn(len(text[0]), *data.latents.shape[3:], generator=torch.Generator().manual_seed(0))
        start, process = noise.to(accelerator.device), solver(prediction=options.prediction)
        with accelerator.autocast():
            z = sample(
                model.unet, process, start, text, data.empty, steps=PREVIEW_STEPS, guidance_scale=PREVIEW_GUIDANCE
            )
            x = frozen.autoencoder.decode(z / frozen.autoencoder.config.scaling_factor).sample
        save_grid(to_pixels(x), path)

    begun = False

    def checkpoint(trained: Denoiser) -> None:
        nonlocal begun
        write_model(folder, options, frozen, trained.unet.state_dict(), None if begun else trained.unet)
        begun = True

    # What the pictures and captions were encoded with: a run must not be resumed with another.
    kept: dict[str, object] = {
        "unet": options.unet,
        "objective": asdict(options.objective),
        "perceptual": options.perceptual if options.needs_features() else None,
        "encoders": frozen.keys,
        "init": file_sha256(options.init) if options.init else None,
        **pictures.kept,
    }
    count = len(pictures.images)
    weights = options.train(model, loss, count, schedule, accelerator, preview, checkpoint, **kept)

    def finish() -> None:
        write_model(folder, options, frozen, unet_of(weights), None if begun else model.unet)
        # The same model at fractions of its training.
        for fraction in options.keep_at:
            early = folder.with_name(f"{folder.name}-at-{fraction:g}")
            kept_then = weights.with_name(f"weights-{fraction:g}.safetensors")
            write_model(early, options, frozen, unet_of(kept_then), model.unet)

    in_the_first(accelerator, finish)
    return weights


def build_all(
    options: UNetOptions,
    pictures: Captioned,
    frozen: Frozen,
    perceptual: FeatureNetwork | None,
    data: Encoded,
    accelerator: Accelerator,
) -> tuple[Denoiser, DenoisingLoss]:
    """The network and its loss."""
    torch.manual_seed(options.seed)
    _, _, _, channels, size, _ = data.latents.shape
    unet = unets.build(options.unet, channels, size, data.pooled.shape[1])
    if options.init:
        load_weights(unet, options.init)
    model = Denoiser(unet, perceptual.widths[-1] if perceptual and options.alignment_weight else None)
    loss = DenoisingLoss(
        options.objective,
        data,
        DDPMScheduler(**NOISE_SCHEDULE).alphas_cumprod,
        device=accelerator.device,
        autocast=accelerator.autocast,
        autoencoder=frozen.autoencoder,
        perceptual=perceptual,
        pictures=pictures.images,
        process=(accelerator.process_index, accelerator.num_processes),
    )
    return model, loss


def write_model(
    folder: Path, options: UNetOptions, frozen: Frozen, state: dict[str, Tensor], unet: UNet2DConditionModel | None
) -> None:
    """The folder that draws, in half precision; where `unet` is None only its weights `state` are new there."""
    halves = {name: tensor.half().cpu().contiguous() for name, tensor in state.items()}
    if unet is None:
        atomic.write_bytes(folder / "unet" / UNET_FILE, save(halves, {"format": "pt"}))
        return
    fresh = folder.with_name(f".{folder.name}.fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    frozen.save(fresh)
    unet.save_config(fresh / "unet")
    (fresh / "unet" / UNET_FILE).write_bytes(save(halves, {"format": "pt"}))
    folder.mkdir(parents=True, exist_ok=True)
    for part in sorted(fresh.iterdir()):
        atomic.replace_folder(part, folder / part.name)
    fresh.rmdir()
    sampling = {"steps": options.steps, "guidance_scale": options.guidance_scale, "batch_size": 32}
    atomic.write_json(folder / SAMPLING_FILE, sampling | {"prediction": options.prediction})


def unet_of(weights: Path) -> dict[str, Tensor]:
    """The UNet's part of a `Denoiser`'s weights."""
    return {
        name.removeprefix("unet."): tensor for name, tensor in load_file(weights).items() if name.startswith("unet.")
    }


def dry_run(options: UNetOptions, pictures: PictureFiles, frozen: Frozen, accelerator: Accelerator) -> None:
    """Prints what the training would take, from its first pictures."""
    perceptual = options.feature_network(accelerator.device)
    schedule, count = options.schedule(len(pictures.images)), len(pictures.images)
    few = pictures.some(torch.arange(min(count, measured_batch(schedule, accelerator.device))))
    with TemporaryDirectory(prefix="drawoff-dry-run-") as folder:
        begun = time.perf_counter()
        data = encode_all(few, frozen.autoencoder, frozen.text, (few.sha256, *frozen.keys), Path(folder))
        encoding = (time.perf_counter() - begun) / len(few.images) * count
        model, loss = build_all(options, few, frozen, perceptual, data, accelerator)
        begins = [at for name, at in asdict(options.objective).items() if name.endswith("_from") and at is not None]
        found = estimate(model, loss, len(few.images), begins, schedule, accelerator)
    captions = len(pictures.distinct_captions)
    cache = count * data.latents[0].nbytes + captions * (data.hidden[0].nbytes + data.pooled[0].nbytes)
    accelerator.print(
        f"pictures    {count:,} of {pictures.images.size} pixels, {captions:,} captions\n"
        f"images      {schedule.images:,}, {schedule.images / count:.1f} of each\n"
        f"{found}\n"
        f"encoding    about {duration(encoding)} before the first step, once, into {cache / 2**30:.2f} GB of cache"
    )


main = command(train_unet, __doc__, UNetOptions())

if __name__ == "__main__":
    raise SystemExit(run(main))
