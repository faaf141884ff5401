"""What all trainings share beside the loop: their options, and seeds; and the training of the scorer's backbones."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file
from tiny_trainings import run, shorten, write_data

from baselines.clip_guided import train_guide as train_guide_module
from baselines.clip_guided.train_diffusion import DiffusionOptions, train_diffusion
from baselines.clip_guided.train_guide import GuideOptions, train_guide
from baselines.glide.train_base import BaseOptions, train_base
from baselines.glide.train_noised_clip import NoisedClipOptions, train_noised_clip
from baselines.glide.train_text_encoder import TextEncoderOptions as ReaderOptions
from baselines.glide.train_text_encoder import train_text_encoder as train_reader
from baselines.glide.train_upsample import UpsampleOptions, train_upsample
from baselines.monster.train_autoencoder import AutoencoderOptions, train_autoencoder
from baselines.monster.train_text_encoder import TextEncoderOptions, train_text_encoder
from baselines.pretrained import WEIGHTS
from baselines.stable_diffusion.train import StableOptions, train_stable
from baselines.training import trainer
from baselines.training.options import ModelOptions, TrainingOptions, option, parsed
from baselines.training.train_perceptual import PerceptualOptions, train_perceptual
from baselines.vq_diffusion.train_ranker import RankerOptions, train_ranker
from baselines.vq_diffusion.train_transformer import TransformerOptions, train_transformer
from baselines.vq_diffusion.train_vqmodel import VQModelOptions, train_vqmodel
from scorer.networks import embedded


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data") / "tiny")


def test_the_seed_decides_the_weights(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that a network begins with too, whatever was drawn before."""
    shorten(monkeypatch.setattr)
    weights = []
    for name in ("one", "other"):
        torch.rand(5)
        options = DiffusionOptions(data=data, out=tmp_path / name, size=16, images=4, batch_size=2, device="cpu")
        weights.append(load_file(train_diffusion(replace(options, precision="float32"))))
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


class Asked(Exception):
    pass


@pytest.mark.parametrize(
    ("train", "options", "reads_captions"),
    [
        (train_autoencoder, AutoencoderOptions(), False),
        (train_text_encoder, TextEncoderOptions(), True),
        (train_stable, StableOptions(), True),
        (train_vqmodel, VQModelOptions(), False),
        (train_transformer, TransformerOptions(vqmodel=WEIGHTS / "vq" / "vqvae"), True),
        (train_ranker, RankerOptions(vqmodel=WEIGHTS / "vq" / "vqvae"), True),
        (train_reader, ReaderOptions(), True),
        (train_base, BaseOptions(), True),
        (train_upsample, UpsampleOptions(), True),
        (train_noised_clip, NoisedClipOptions(), True),
        (train_diffusion, DiffusionOptions(), False),
        (train_guide, GuideOptions(guide="noised"), True),
        (train_perceptual, PerceptualOptions(), True),
    ],
)
def test_a_run_is_not_resumed_on_other_pictures_or_captions(
    train: Callable,
    options: TrainingOptions,
    reads_captions: bool,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ask(*_: object, options: dict[str, object], **__: object) -> None:
        raise Asked(options)

    monkeypatch.setattr(trainer, "train", ask)
    monkeypatch.setattr(train_guide_module, "train", ask)
    monkeypatch.setattr("baselines.training.words.RARE", 1)
    out = {"runs" if isinstance(options, GuideOptions) else "out": tmp_path / "out"}

    def kept(folder: Path) -> dict[str, object]:
        with pytest.raises(Asked) as asked:
            train(replace(options, data=folder, device="cpu", precision="float32", **out))
        return asked.value.args[0]

    shutil.copytree(data, tmp_path / "other")
    before = kept(tmp_path / "other")
    info = tmp_path / "other" / "train_info.json"
    info.write_text(info.read_text(encoding="utf-8").replace("horns", "wings"), encoding="utf-8")
    assert (kept(tmp_path / "other") != before) == reads_captions
    before = kept(tmp_path / "other")
    for file in (tmp_path / "other" / "train").iterdir():
        ImageOps.invert(Image.open(file)).save(file)
    assert (kept(tmp_path / "other") != before) == (train is not train_reader)  # that one sees captions alone
    if train is train_stable:
        assert [len(list(out["out"].glob(f"{kind}-*"))) for kind in ("latents", "hidden")] == [2, 2]


def test_the_backbones_are_trained_into_the_scorers_folder(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("backbones", data, tmp_path / "runs", monkeypatch.setattr, device="cpu", precision="float32")
    classifier = embedded.load_classifier("cpu")
    assert classifier.labels["colour"] == ["blue", "green", "red"]
    clip, tokenize = embedded.load_clip("cpu")
    assert clip.encode_text(tokenize(["Red slime."])).isfinite().all()


@dataclass(frozen=True, kw_only=True)
class Stage(TrainingOptions):
    images: int = option(10, "in all")


@dataclass(frozen=True, kw_only=True)
class Whole(ModelOptions):
    out: Path = Path("other")
    init: Path | None = option(None, "weights to begin with")
    rate: float = option(1.0, "of learning")
    late: float | None = option(None, "from this fraction on", most=1.0)
    steps: tuple[int, ...] = option((8, 4), "of each")
    stage: Stage = field(default_factory=Stage)


def test_options_are_a_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    presets = {"small": Whole(), "large": Whole(stage=Stage(images=1000))}
    assert parsed("A training.", presets, []) == presets["small"]
    asked = parsed("A training.", presets, ["--preset", "large", "--init", "w", "--compile", "--device", "cpu"])
    assert (asked.init, asked.compile, asked.out) == (Path("w"), True, Path("other"))
    assert asked.steps == (8, 4)
    assert parsed("A training.", presets, ["--steps", "6", "2", "1"]).steps == (6, 2, 1)
    assert asked.for_stage(asked.stage) == Stage(device="cpu", compile=True, images=1000, data=asked.data)
    for words in (["--stage", "x"], ["--precision", "int8"], ["--preset", "none"], ["--steps", "a"]):
        with pytest.raises(SystemExit):
            parsed("A training.", presets, words)
    numbers = parsed("A training.", presets, ["--rate", "20", "--late", "0.5"])
    assert (numbers.rate, numbers.late) == (20, 0.5)
    assert parsed("A training.", presets, ["--late", "none"]).late is None
    for words, why in {
        ("--late", "43"): "'43' is not a number from 0 to 1, or none",
        ("--late", "43%"): "'43%' is not a number from 0 to 1, or none",
        ("--rate", "none"): "'none' is not a number from 0 on",
        ("--rate", "inf"): "'inf' is not a number from 0 on",
    }.items():
        capsys.readouterr()
        with pytest.raises(SystemExit):
            parsed("A training.", presets, words)
        assert why in capsys.readouterr().err
    with pytest.raises(SystemExit):
        parsed("A training.", presets, ["--help"])
    printed = capsys.readouterr().out
    assert "the finished model, for --weights (default: other)" in printed
    assert "of each (default: 8 4)" in printed
