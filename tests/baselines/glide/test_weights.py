"""The folder of weights: the configuration, what is missing or damaged, and the conversion to safetensors."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from baselines.glide import __main__ as command
from baselines.glide import pipeline
from baselines.glide import weights as weights_folder
from baselines.glide.config import read_config, write_config
from baselines.glide.openai import OPENAI
from baselines.glide.weights import Folder, convert
from baselines.hardware import Hardware
from submission import MissingPart
from submission.errors import UsageError, run

CPU = Hardware("cpu", "float32", "a test")


def test_a_configuration_comes_back_as_it_was(weights: Path, tmp_path: Path) -> None:
    for config in (OPENAI, read_config(weights / "glide.json")):
        write_config(tmp_path / "glide.json", config)
        assert read_config(tmp_path / "glide.json") == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda config: config["sampling"].update(step=3), "step"),
        (lambda config: config["models"]["base"].update(image_size="large"), "image_size"),
        (lambda config: config["models"]["base"].update(super_res=True), "super_res"),
        (lambda config: config.update(models=[]), "models"),
        (lambda config: config["models"]["base"].update(text_length=9), "same text_length"),
        (lambda config: config["models"]["base"].update(channel_mult=[1, -2]), "channel_mult"),
        (lambda config: config["models"]["base"].update(model_channels=48), "multiple of norm_groups"),
        (lambda config: config["models"]["base"].update(num_head_channels=24), "num_head_channels"),
        (lambda config: config["models"]["base"].update(text_heads=5), "text_heads"),
        (lambda config: config["models"]["base"].update(image_size=15), "image_size"),
        (lambda config: config["clip"].update(patch_size=5), "patch_size"),
        (lambda config: config["text"].update(rows=[1, 2]), "vocab_size"),
        (lambda config: config["clip_text"].update(rows=[1, 2]), "vocab_size"),
        (lambda config: config["clip"].update(vocab_size=1) or config["clip_text"].update(rows=[7]), "start and end"),
    ],
)
def test_a_wrong_configuration_names_the_key(change: Callable, message: str, weights: Path) -> None:
    config = json.loads((weights / "glide.json").read_text())
    change(config)
    (weights / "glide.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match=message):
        Folder.open(str(weights))


def test_a_missing_folder_says_how_to_get_the_weights(tmp_path: Path) -> None:
    with pytest.raises(MissingPart, match=r"clip_image_enc\.pt") as error:
        Folder.open(str(tmp_path / "nothing"))
    assert "vocab.json" in str(error.value)


def test_all_missing_files_are_named_at_once(tmp_path: Path, tiny_competition: Callable) -> None:
    (tmp_path / "official").mkdir()
    (tmp_path / "official" / "base.pt").touch()
    with pytest.raises(MissingPart, match=r"no upsample\.pt, clip_image_enc\.pt, clip_text_enc\.pt"):
        pipeline.load_clip_guided(tiny_competition(), CPU, weights=str(tmp_path / "official"))


@pytest.mark.parametrize("name", ["base", "upsample_inpaint"])
def test_a_missing_file_says_how_to_get_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(MissingPart, match=f"dec-2021/{name}.pt"):
        Folder.open(str(tmp_path)).unet(name)


def test_a_missing_vocabulary_says_how_to_get_it(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingPart, match="openai-community/gpt2"):
        Folder.open(str(tmp_path)).text_tokenizer()
    (weights / "merges.txt").unlink()
    with pytest.raises(MissingPart, match=r"merges\.txt"):
        Folder.open(str(weights)).text_tokenizer()


def test_another_models_vocabulary_is_refused(tmp_path: Path, write_vocabulary: Callable[[Path], None]) -> None:
    write_vocabulary(tmp_path)
    with pytest.raises(UsageError, match="277 tokens; these weights were trained with 50,257"):
        Folder.open(str(tmp_path)).text_tokenizer()


def _numbers(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.arange(3))


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("<html>not found</html>"),
        lambda path: path.write_bytes(b"PK\x03\x04 cut short"),
        lambda path: torch.save([1, 2], path),
        lambda path: torch.save({"weights": {"a": torch.zeros(1)}}, path),
        lambda path: torch.save(torch.nn.Linear(1, 1), path),
        _numbers,
    ],
    ids=["empty", "html", "cut", "list", "nested", "module", "numpy"],
)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_file_that_is_no_checkpoint_is_refused(write: Callable[[Path], object], suffix: str, tmp_path: Path) -> None:
    write(tmp_path / f"base{suffix}")
    with pytest.raises(UsageError, match="is not a checkpoint"):
        Folder.open(str(tmp_path)).unet("base")


def test_a_pickle_runs_no_code(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple:
            return (Path.write_text, (tmp_path / "ran", "code"))

    torch.save({"a": Harmful()}, tmp_path / "base.pt")
    with pytest.raises(UsageError, match="is not a checkpoint"):
        Folder.open(str(tmp_path)).unet("base")
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def released(tmp_path: Path, golden: Callable, monkeypatch: pytest.MonkeyPatch, reference_unet: Callable) -> Path:
    """A folder as OpenAI's, but of the tiny reference models: base.pt and clip_text_enc.pt, with OpenAI's keys."""
    from_reference = replace(OPENAI, models={"base": reference_unet("base").config})
    monkeypatch.setattr(weights_folder, "OPENAI", from_reference)
    folder = tmp_path / "released"
    folder.mkdir()
    torch.save(golden("base.state"), folder / "base.pt")
    return folder


@torch.no_grad()
def test_conversion_keeps_every_value_and_the_hash(released: Path, golden: Callable) -> None:
    io = golden("base.io")

    def out(folder: Folder) -> torch.Tensor:
        model = folder.unet("base").float()
        return model(io["x"], io["timesteps"], model.encode_text(io["tokens"], io["mask"]))

    original = Folder.open(str(released))
    before = out(original)
    sha256 = hashlib.sha256((released / "base.pt").read_bytes()).hexdigest()
    assert original.sha256 == {"base.pt": sha256}
    assert convert(released) == [released / "base.safetensors"]
    assert convert(released) == []
    shutil.move(released / "base.pt", released.parent)
    converted = Folder.open(str(released))
    assert torch.equal(out(converted), before)
    assert converted.sha256.keys() == {"base.safetensors"}
    assert sha256 in converted.notes[0]
    assert {value.dtype for value in load_file(released / "base.safetensors").values()} == {torch.float16}


def test_convert_is_a_command(released: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command.main, ["convert", "--weights", str(released)]) == 0
    assert "base.safetensors" in capsys.readouterr().out
    assert run(command.main, ["convert", "--weights", str(released)]) == 0
    assert "already" in capsys.readouterr().out
    assert run(command.main, ["convert", "--weights", str(released / "x")]) == 4
    assert run(command.main, ["convert", "--weights", str(released.parent)]) == 4


def test_our_own_weights_are_not_converted(weights: Path) -> None:
    with pytest.raises(UsageError, match="nothing to convert"):
        convert(weights)
