"""A folder that shares autoencoder, text encoder and tokenizer with another one, and says what it was trained with."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from baselines.hardware import Hardware
from baselines.stable_diffusion.folder import SHARED, assemble, load_parts
from baselines.stable_diffusion.pipeline import StableDiffusion
from submission import MissingPart
from submission.errors import UsageError

CPU = Hardware("cpu", "float32", "a test")


def draw(folder: Path) -> np.ndarray:
    stable = StableDiffusion(SimpleNamespace(prompts=()), CPU, weights=str(folder), steps=2)
    return stable.generate(["a red bat", "a cat"], [1, 2])


@pytest.fixture
def whole(v1_4) -> Path:
    return v1_4()


@pytest.fixture
def sharing(whole: Path, tmp_path: Path) -> Path:
    """A folder of UNet and scheduler beside the whole one."""
    parts = load_parts(str(whole), torch.float32)
    assemble(parts.unet, parts.scheduler, whole, tmp_path / "sharing", share=True)
    return tmp_path / "sharing"


def test_it_draws_what_the_whole_folder_draws(whole: Path, sharing: Path, tmp_path: Path) -> None:
    assert not any((sharing / part).exists() for part in SHARED)
    np.testing.assert_array_equal(draw(sharing), draw(whole))
    parts, of_the_whole = (load_parts(str(folder), torch.float32) for folder in (sharing, whole))
    assert parts.folder.sha256.keys() == of_the_whole.folder.sha256.keys()
    assemble(parts.unet, parts.scheduler, whole, tmp_path / "copied")
    shutil.rmtree(whole)
    np.testing.assert_array_equal(draw(tmp_path / "copied").shape, (2, 16, 16, 3))


def test_both_folders_may_move_together(whole: Path, sharing: Path, tmp_path: Path) -> None:
    expected = draw(whole)
    (tmp_path / "moved").mkdir()
    for folder in (whole, sharing):
        folder.rename(tmp_path / "moved" / folder.name)
    np.testing.assert_array_equal(draw(tmp_path / "moved" / "sharing"), expected)


def test_a_shared_part_that_changed_is_refused(whole: Path, sharing: Path) -> None:
    file = whole / "vae" / "diffusion_pytorch_model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(UsageError, match=r"vae/diffusion_pytorch_model.safetensors is not the one .* made for"):
        load_parts(str(sharing), torch.float32)


def test_a_shared_part_that_is_gone_is_named(whole: Path, sharing: Path) -> None:
    shutil.rmtree(whole / "text_encoder")
    with pytest.raises(MissingPart, match=r"the text_encoder that .* shares is not there"):
        load_parts(str(sharing), torch.float32)


def test_a_part_of_its_own_goes_before_the_shared_one(whole: Path, sharing: Path) -> None:
    shutil.copytree(whole / "vae", sharing / "vae")
    shutil.rmtree(whole / "vae")
    assert draw(sharing).shape == (2, 16, 16, 3)
