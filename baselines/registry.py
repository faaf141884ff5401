"""MODEL -> generator: the shipped baselines by name, a participant's own as `path/to/file.py:Class`."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from baselines import options as option
from baselines import participant
from baselines.generator import Generator
from baselines.hardware import PRECISIONS, Hardware, decide, resolve_device
from submission import Competition, commands
from submission.errors import MissingPart, UsageError
from submission.library_messages import quiet_libraries
from submission.paths import data_home, repo_root


@dataclass(frozen=True)
class Model:
    """A shipped baseline.

    Attributes:
        target: `module` or `module:name`, imported only to load it. The class or function (`load` when not named) is
            called as `load(competition, hardware, **options)` with a `Hardware` and the options that were given.
        description: one line for `--list`.
        options: which of `options.OPTIONS` it takes.
        packages: what it imports beyond numpy and pillow. With torch among them, its pixels depend on the hardware.
        tolerates: the precisions in which its networks draw as they should.
        files: what it reads, as a path with `{weights}` (baselines/weights), `{data}` (the competition's data) or
            `{competition}` (its name); ` | ` separates alternatives. `--weights` takes the place of all of them.
        trainer: the module whose command trains it.
    """

    target: str
    description: str
    options: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    tolerates: tuple[str, ...] = PRECISIONS
    trainer: str | None = None


_GLIDE = Model(
    "baselines.glide.pipeline:Glide",
    "GLIDE with classifier-free guidance: a small one for the bestiary, or OpenAI's files from a folder",
    options=("weights", "steps", "guidance_scale"),
    packages=("torch", "safetensors"),
    files=("{weights}/glide",),
    tolerates=("float32", "float16"),
    trainer="baselines.glide.train",
)
MODELS: dict[str, Model] = {
    "noise": Model("baselines.trivial.noise:Noise", "uniform noise: the bottom of every metric"),
    "mean-image": Model(
        "baselines.trivial.mean_image",
        "the mean of the training images, whatever the prompt",
        files=(
            "{weights}/mean-image/{competition}.png | {data}/train_info.json | {data}/train.csv"
            " | {data}/mean-image.png",
        ),
    ),
    "nearest": Model(
        "baselines.trivial.nearest:Nearest",
        "the training image with the closest caption: the ceiling of memorisation",
        files=("{data}/train_info.json | {data}/train.csv", "{data}/train | {data}/train.csv"),
    ),
    "monster": Model(
        "baselines.monster.pipeline:Monster",
        "latent diffusion with a CLIP text encoder, trained from scratch on the competition",
        options=("weights", "steps", "guidance_scale"),
        packages=("torch", "diffusers", "transformers", "safetensors"),
        files=("{weights}/monster",),
        trainer="baselines.monster.train",
    ),
    "glide": _GLIDE,
    "glide-clip": replace(
        _GLIDE,
        target="baselines.glide.pipeline:load_clip_guided",
        description="GLIDE with the guidance of its own noised CLIP",
        trainer=None,
    ),
    "vq": Model(
        "baselines.vq_diffusion.pipeline:VQDiffusion",
        "VQ-Diffusion: a small one for the bestiary, or microsoft/vq-diffusion-ithq from a folder or the hub's cache",
        options=("weights", "steps", "guidance_scale"),
        packages=("torch", "diffusers", "transformers", "safetensors"),
        files=("{weights}/vq", "{weights}/monster"),
        trainer="baselines.vq_diffusion.train",
    ),
    "stable": Model(
        "baselines.stable_diffusion.pipeline:StableDiffusion",
        "Stable Diffusion: a small one for the bestiary, any other from a folder or the Hugging Face hub",
        options=("weights", "steps", "guidance_scale", "compile"),
        packages=("torch", "diffusers", "transformers", "safetensors"),
        files=("{weights}/stable", "{weights}/monster"),
        trainer="baselines.stable_diffusion.train",
    ),
    "clip-guided": Model(
        "baselines.clip_guided.pipeline:ClipGuided",
        "an unconditional pixel diffusion that a CLIP pulls towards the prompt; four guides to choose from",
        options=("weights", "steps", "guidance_scale", "guide", "guidance_form"),
        packages=("torch", "diffusers", "safetensors"),
        files=("{weights}/clip-guided",),
        trainer="baselines.clip_guided.train",
    ),
}


@dataclass(frozen=True)
class Recipe:
    """How to load one generator, known before its weights are read.

    Attributes:
        model: the name for the manifest.
        options: those that the generator is loaded with, defaults of the competition included.
        batch_size: what the competition says about it, if anything.
        files: what its pixels come from, as far as it is known without loading.
        source: a participant's own file, whose hash belongs into the manifest.
        settings: what a participant's class says of its settings before it is made.
        packages: those whose versions belong into the manifest, beside numpy's and pillow's.
        uses_device: whether its pixels depend on the device.
        tolerates: the precisions that it can be loaded with; none when it computes without networks.
        load: makes the generator on a device, in a precision.
    """

    model: str
    load: Callable[[Hardware], Generator]
    options: dict[str, Any] = field(default_factory=dict)
    batch_size: int | None = None
    files: tuple[Path, ...] = ()
    source: Path | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    uses_device: bool = False
    tolerates: tuple[str, ...] = ()


def load(
    name: str, competition: Competition, device: str = "auto", *, precision: str = "auto", **options: Any
) -> Generator:
    """The generator called `name`, ready to draw for `competition`.

    Args:
        name: one of `MODELS`, or `path/to/file.py:Class`.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        precision: `auto`, `float32`, `bfloat16` or `float16`.
        options: `weights`, `steps`, `guidance_scale`, as far as the model takes them; None counts as not given.

    Raises:
        UsageError: an unknown model, or an option or a precision that it does not take.
        CompetitionError: the competition's `[baselines.<name>]` is wrong.
        MissingPart: weights, data or a package that it needs are not on this machine.
        GeneratorError: a participant's file or class raises.
    """
    found = recipe(name, competition, **options)
    return found.load(hardware_for(found, device, precision))


def hardware_for(recipe: Recipe, device: str, precision: str) -> Hardware:
    """Where and how the recipe's networks compute. Raises UsageError, MissingPart as `baselines.hardware.decide`."""
    if recipe.tolerates:
        return decide(device, precision, recipe.tolerates)
    if precision != "auto":
        raise UsageError(f"{recipe.model} takes no --precision")
    return Hardware(resolve_device(device if recipe.uses_device else "cpu"), "float32", "nothing chooses another")


def recipe(name: str, competition: Competition, **options: Any) -> Recipe:
    """What `load` would do, checked as far as possible without importing the model. Raises as `load` does."""
    if participant.names_a_file(name):
        return _participant_recipe(name, competition, options)
    model = find(name)
    asked = option.checked(name, model.options, options)
    defaults = option.competition_defaults(name, model.options, competition)
    batch_size = defaults.pop("batch_size", None)
    merged = defaults | asked

    def load_it(hardware: Hardware) -> Generator:
        if missing := missing_packages(model):
            raise MissingPart(f"{name} needs the Python package {', '.join(missing)}", get_it=commands.install(missing))
        module, _, function = model.target.partition(":")
        loader: Callable[..., Generator] = getattr(importlib.import_module(module), function or "load")
        with quiet_libraries():
            return loader(competition, hardware, **merged)

    shipped = [there or path for path, there in files(model, competition)]
    paths = [Path(merged["weights"])] if "weights" in merged else shipped
    with_torch = "torch" in model.packages
    return Recipe(
        name, load_it, merged, batch_size, tuple(paths), packages=model.packages, uses_device=with_torch,
        tolerates=model.tolerates if with_torch else (),
    )  # fmt: skip


def _participant_recipe(name: str, competition: Competition, options: dict[str, Any]) -> Recipe:
    cls = participant.load_class(name)
    taken = participant.takes(cls)
    path = participant.file_of(name)
    shown = f"{path.name}:{cls.__name__}"
    asked = option.checked(shown, [o for o in taken if o in option.OPTIONS], options)

    def load_it(hardware: Hardware) -> Generator:
        return participant.load(shown, cls, competition, hardware, asked)

    paths = [path, *([Path(asked["weights"])] if "weights" in asked else [])]
    # What the file imports is not known; what is installed stays the same from run to run.
    packages = tuple(name for name in ("torch", "diffusers", "transformers") if importlib.util.find_spec(name))
    return Recipe(
        shown, load_it, asked, None, tuple(paths), source=path, settings=getattr(cls, "settings", {}),
        packages=packages, uses_device="device" in taken, tolerates=PRECISIONS if "precision" in taken else (),
    )  # fmt: skip


def guided(name: str) -> list[str]:
    """A model and its variant that a CLIP guides. Raises UsageError for one without guidance."""
    if "guidance_scale" not in find(name).options:
        raise UsageError(f"{name} has no {option.flag('guidance_scale')} to sweep")
    return [model for model in (name, f"{name}-clip") if model in MODELS]


def find(name: str) -> Model:
    """Raises UsageError that lists the models."""
    if name in MODELS:
        return MODELS[name]
    close = get_close_matches(name, MODELS, 1, cutoff=0.5)
    width = max(map(len, MODELS))
    lines = [f"there is no model {name!r}" + (f": did you mean {close[0]!r}?" if close else "")]
    lines += [f"  {known:<{width}}  {model.description}" for known, model in MODELS.items()]
    lines.append(f"  {'FILE.py:Class':<{width}}  your own: a class with generate(self, prompts, seeds)")
    raise UsageError("\n".join(lines))


def missing_packages(model: Model) -> list[str]:
    """Those of the model's packages that are not installed; found without importing them."""
    return [package for package in model.packages if importlib.util.find_spec(package) is None]


def files(model: Model, competition: Competition) -> list[tuple[Path, Path | None]]:
    """For each file that the model reads: where it should be, and which alternative is there (None: none is)."""
    folders = {
        "weights": repo_root() / "baselines" / "weights",
        "data": data_home() / competition.name,
        "competition": competition.name,
    }
    entries = [[Path(text.format(**folders)) for text in entry.split(" | ")] for entry in model.files]
    return [(paths[0], next((path for path in paths if path.exists()), None)) for paths in entries]
