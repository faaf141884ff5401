"""The monster's whole recipe from the command, with random frozen parts in their official layouts."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from official_parts import STABLE, write_autoencoder, write_clip, write_competition, write_course
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

import baselines
from baselines.monster import train, train_unet, unets
from baselines.monster.frozen import load_frozen
from baselines.monster.train_autoencoder import AutoencoderOptions, train_autoencoder
from baselines.training.objective import DenoisingLoss, Objective
from baselines.training.options import parsed
from baselines.training.pictures import open_pictures
from baselines.training.schedule import indices
from submission import Competition
from submission.errors import UsageError, run

SIZE, PICTURES = 32, 8
# Every element of the recipe, soon.
WHOLE = ["--perceptual", "embedded", "--perceptual-from", "0.3", "--kl-from", "0.6", "--augment-from", "0.8"]
WHOLE += ["--ema-from", "0.3", "--batch-size", "2", "--accumulation", "2", "--epochs", "2"]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Frozen parts, pictures and their competition; a narrow UNet of the course's layout in the place of its own."""
    folder = tmp_path_factory.mktemp("parts")
    write_autoencoder(folder / "sd")
    write_clip(folder / "clip")
    write_course(folder / "data", PICTURES, SIZE)
    write_competition(folder / "course", SIZE)
    narrow = {"block_out_channels": (8, 8, 16, 16), "norm_num_groups": 4, "attention_head_dim": 2}
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(unets.UNETS, "maplestory", unets.UNETS["maplestory"] | narrow)
        patched.setattr(train_unet, "PREVIEW_STEPS", 1)
        patched.setattr(train_unet, "PREVIEW_PROMPTS", 2)
        patched.setenv("DRAWOFF_CACHE", str(folder / "cache"))
        yield folder


def command(parts: Path, out: Path, *more: str) -> list[str]:
    asked = {
        "--competition": parts / "course", "--data": parts / "data", "--preset": "maplestory",
        "--autoencoder": parts / "sd", "--text-encoder": parts / "clip", "--device": "cpu", "--precision": "float32",
        "--runs": out / "runs", "--out": out / "model",
    }  # fmt: skip
    return [str(word) for pair in asked.items() for word in pair] + [*WHOLE, *more]


@pytest.fixture(scope="module")
def whole(parts: Path) -> Path:
    """The folder of a training that nothing interrupted: eight steps of two images, two epochs."""
    assert run(train.main, command(parts, parts / "whole")) == 0
    return parts / "whole"


def weights(out: Path) -> dict[str, Tensor]:
    return load_file(out / "runs" / "unet" / "weights.safetensors")


def test_the_trained_folder_draws_with_what_it_was_trained_with(whole: Path, parts: Path) -> None:
    competition = Competition.load(parts / "course")
    model = str(whole / "model")
    monster = baselines.load("monster", competition, "cpu", weights=model, steps=1, precision="float32")
    images = monster.generate([prompt.text for prompt in competition.prompts], [1, 2])
    assert images.shape == (2, SIZE, SIZE, 3)
    assert not np.array_equal(images[0], images[1])
    assert json.loads((whole / "model" / "sampling.json").read_text()) == {
        "steps": 130, "guidance_scale": 8.0, "batch_size": 32, "prediction": "epsilon",
    }  # fmt: skip
    trained, drawn = weights(whole), load_file(whole / "model" / "unet" / train_unet.UNET_FILE)
    assert all(torch.equal(trained[f"unet.{name}"].half(), tensor) for name, tensor in drawn.items())


def test_a_run_keeps_its_log_and_a_preview_of_each_epoch(whole: Path) -> None:
    ran = whole / "runs" / "unet"
    assert sorted(path.name for path in (ran / "previews").iterdir()) == ["000000008.png", "000000016.png"]
    row = json.loads((ran / "stats.jsonl").read_text())
    assert row["images"] == 16
    assert {"loss", "mse", "perceptual", "kl", "grad_norm"} <= row.keys()
    (events,) = ran.glob("events.out.tfevents.*")
    written = events.read_bytes()
    assert all(name.encode() in written for name in row if name != "images")


def test_killed_at_any_step_it_ends_with_the_same_weights(
    whole: Path, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    calls, at = iter(range(100)), random.randrange(4, 8)  # after the state of the first epoch
    called = DenoisingLoss.__call__

    def killing(*args: object) -> object:
        if next(calls) == at:
            raise Killed
        return called(*args)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(DenoisingLoss, "__call__", killing)
        train.main(command(parts, tmp_path))
    assert (tmp_path / "model" / "unet" / train_unet.UNET_FILE).exists()  # it draws already
    begun = []
    monkeypatch.setattr(DenoisingLoss, "__call__", lambda *args: begun.append(args[-1]) or called(*args))
    assert run(train.main, command(parts, tmp_path)) == 0
    assert begun[0] == 0.5
    resumed = weights(tmp_path)
    assert all(torch.equal(resumed[name], tensor) for name, tensor in weights(whole).items()), at


def test_a_dry_run_says_what_it_would_take_and_trains_nothing(
    parts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(train.main, command(parts, tmp_path, "--dry-run")) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if not line.startswith(" "))
    assert lines["pictures"] == f"{PICTURES} of {SIZE} pixels, 12 captions"
    assert lines["images"] == "16, 2.0 of each"
    assert lines["steps"] == "4 of the optimizer, 2 × 2 images each"
    assert {"parameters", "memory", "time", "encoding"} <= lines.keys()
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "model").exists()


def test_the_courses_preset_is_the_courses_recipe_and_each_element_is_an_option() -> None:
    course = parsed("A training.", train.PRESETS, ["--preset", "maplestory"])
    assert course.objective == Objective("epsilon", perceptual_from=0.43, kl_from=0.87)
    schedule = course.schedule(43_294)
    assert (schedule.images, schedule.batch_size, schedule.accumulation) == (300 * 43_294, 64, 2)
    assert (schedule.rate(0, 10), schedule.rate(9, 10), schedule.clip_norm) == (1e-4, 1e-4, 1.0)
    words = "--preset maplestory --prediction v_prediction --min-snr-gamma 5 --least-weight 0.3 --caption-dropout 0"
    words += (
        " --pooled-dropout 0.5 --no-random-caption --no-flips --augment-from 0 --perceptual-from none --kl-from none"
    )
    words += " --perceptual-weight 1 --perceptual-fraction 1 --kl-weight 1 --alignment-weight 0.5 --images 640"
    words += " --optimizer muon --ema-decay 0 --ema-from 0 --accumulation 1 --warmup 0.1 --final-rate 0 --clip-norm 2"
    other = parsed("A training.", train.PRESETS, words.split())
    changed = {each.name for each in fields(Objective) if getattr(other, each.name) != getattr(course, each.name)}
    assert changed == {each.name for each in fields(Objective)}
    schedule = other.schedule(43_294)
    assert (schedule.images, schedule.optimizer, schedule.ema_decay, schedule.clip_norm) == (640, "muon", 0, 2)
    assert parsed("A training.", train.PRESETS, ["--epochs", "3"]).schedule(100).images == 300
    assert parsed("A training.", train.PRESETS, []).schedule(100).images == 180_000


def test_a_training_shorter_than_an_epoch_encodes_what_it_sees(parts: Path) -> None:
    pictures = open_pictures(parts / "data")
    options = parsed("A training.", train.PRESETS, ["--preset", "maplestory", "--batch-size", "1"])
    assert options.visited(pictures) is pictures
    seen = replace(options, images=3).visited(pictures)
    numbers = [pictures.images.paths.index(path) for path in seen.images.paths]
    assert sorted(indices(0, PICTURES, 3, options.seed).tolist()) == numbers
    for own, number in enumerate(numbers):
        assert seen.captions[seen.entry[own]] == pictures.captions[pictures.entry[number]]
    assert len(seen.captions) == len(set(seen.entry.tolist()))
    assert seen.sha256 != replace(options, images=3, seed=1).visited(pictures).sha256


def spoil(data: Path) -> None:
    """A picture without caption, a damaged one, one of another size, and an entry whose frames are gone."""
    (data / "train" / "0_attack1_0.png").rename(data / "train" / "9_stand_0.png")
    file = data / "train" / "1_attack1_2.png"
    file.write_bytes(file.read_bytes()[:80])
    Image.new("RGB", (SIZE, SIZE // 2)).save(data / "train" / "2_attack1_0.png")
    for frame in (0, 2):
        (data / "train" / f"3_attack1_{frame}.png").unlink()
    info = json.loads((data / "train_info.json").read_text())
    del info["1_attack1"]["given_description"]
    (data / "train_info.json").write_text(json.dumps(info))


def test_all_that_is_wrong_with_the_data_is_said_before_training(
    parts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_course(tmp_path / "data", PICTURES, SIZE)
    info = json.loads((data / "train_info.json").read_text())
    info["4_die1"] = {"original_name": "x", "action_description": "", "num_frames": 1}
    (data / "train_info.json").write_text(json.dumps(info))
    spoil(data)
    words = [*command(parts, tmp_path, "--data", str(data)), "--dry-run"]
    assert run(train.main, words) == 3
    message = capsys.readouterr().err
    for wrong in ("9_stand_0.png", "1_attack1", "2_attack1_0.png", "3_attack1", "4_die1"):
        assert wrong in message, message
    assert run(train.main, [*words, "--skip-bad"]) == 0
    said = capsys.readouterr()
    assert "2 pictures are trained on; left out:" in said.err
    assert "pictures    2 of 32 pixels" in said.out


def test_an_empty_folder_and_a_missing_part_are_named(
    parts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data" / "train").mkdir(parents=True)
    assert run(train.main, command(parts, tmp_path, "--data", str(tmp_path / "data"))) == 4
    assert "no train_info.json" in capsys.readouterr().err
    (tmp_path / "data" / "train_info.json").write_text("{}")
    assert run(train.main, command(parts, tmp_path, "--data", str(tmp_path / "data"))) == 3
    assert "must be one object with an entry" in capsys.readouterr().err
    for part, source, get_it in (
        ("--autoencoder", "CompVis/stable-diffusion-v1-4", "vae/diffusion_pytorch_model.safetensors"),
        ("--text-encoder", "openai/clip-vit-base-patch32", "pytorch_model.bin"),
        ("--perceptual", "lpips", "download https://download.pytorch.org/models/vgg16"),
    ):
        more = ["--perceptual-backbone", str(tmp_path / "vgg.pth")] if source == "lpips" else []
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
            assert run(train.main, command(parts, tmp_path, part, source, *more)) == 4
        assert get_it in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


@pytest.mark.slow
@pytest.mark.skipif("DRAWOFF_TEST_LARGE" not in os.environ, reason="225 million parameters; set DRAWOFF_TEST_LARGE")
def test_five_steps_of_the_courses_own_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every loss of the recipe at its full width: six minutes of a core and 9 GB of memory."""
    monkeypatch.setenv("DRAWOFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(train_unet, "PREVIEW_STEPS", 1)
    monkeypatch.setattr(train_unet, "PREVIEW_PROMPTS", 2)
    write_autoencoder(tmp_path / "sd", STABLE)
    write_clip(tmp_path / "clip", 512, 12)
    write_course(tmp_path / "data", 256, 256)
    write_competition(tmp_path / "course", 256)
    words = command(tmp_path, tmp_path)[: -len(WHOLE)]
    words += ["--perceptual", "embedded", "--batch-size", "2", "--images", "10", "--kl-from", "0.8"]  # of five steps
    assert run(train.main, words) == 0
    rows = (tmp_path / "runs" / "unet" / "stats.jsonl").read_text().splitlines()
    assert {"mse", "perceptual", "kl"} <= json.loads(rows[-1]).keys()
    competition = Competition.load(tmp_path / "course")
    model = str(tmp_path / "model")
    monster = baselines.load("monster", competition, "cpu", weights=model, steps=1, precision="float32")
    assert monster.generate([competition.prompts[0].text], [1]).shape == (1, 256, 256, 3)


def test_an_autoencoder_may_begin_with_one_of_another_build(tmp_path: Path) -> None:
    vae = write_autoencoder(tmp_path / "sd") / "vae"
    options = AutoencoderOptions(
        data=write_course(tmp_path / "data", 4, 64), out=tmp_path / "run", init=vae,
        images=4, decoder_images=4, batch_size=2, device="cpu", precision="float32",
    )  # fmt: skip
    out = train_autoencoder(options)
    before, after = (json.loads((folder / "config.json").read_text()) for folder in (vae, out))
    assert after.pop("scaling_factor") != before.pop("scaling_factor")
    assert after == before
    other = AutoencoderKL.from_pretrained(vae)
    with torch.no_grad():
        other.encoder.conv_in.weight.add_(1)
    other.save_pretrained(vae)
    with pytest.raises(UsageError, match="other options"):
        train_autoencoder(options)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("sd/vae/config.json", "0.18215", "0.2"),
        ("clip/config.json", '"quick_gelu"', '"gelu"'),
        ("clip/tokenizer_config.json", '"model_max_length": 77', '"model_max_length": 70'),
    ],
)
def test_another_configuration_is_another_key_of_what_is_encoded(tmp_path: Path, file: str, old: str, new: str) -> None:
    places = write_autoencoder(tmp_path / "sd"), write_clip(tmp_path / "clip")

    def keys() -> tuple[str, str]:
        return load_frozen(str(places[0]), str(places[1]), torch.device("cpu")).keys

    before = keys()
    assert keys() == before
    text = (tmp_path / file).read_text(encoding="utf-8")
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new), encoding="utf-8")
    changed = [a != b for a, b in zip(before, keys(), strict=True)]
    assert changed == [file.startswith("sd"), file.startswith("clip")]
