"""What frozen networks make of a training set: computed once, under the name of all that decides it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from small_text import small_text
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from baselines.diffusion.text import encode
from baselines.training import latents
from baselines.training.latents import encode_all, in_batches, memory_mapped, posterior
from baselines.training.pictures import Pictures


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DRAWOFF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / latents.FOLDER


def networks() -> tuple[AutoencoderKL, tuple[CLIPTokenizer, CLIPTextModel]]:
    text = small_text(8, width=8)
    autoencoder = AutoencoderKL(block_out_channels=(8,), latent_channels=4, norm_num_groups=4, scaling_factor=0.5)
    return autoencoder.eval(), text


def test_a_set_is_encoded_once_and_read_by_rows(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.randint(0, 256, (70, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    entry = torch.arange(70) % 3
    pictures = Pictures(images, entry, [["red slime", "slime"], ["blue bat"], ["bat", "red slime"]])
    autoencoder, text = networks()
    data = encode_all(pictures, autoencoder, text, ("p", "a", "t"))
    assert data.latents.shape == (70, 2, 2, 4, 8, 8)
    x = images[[5, 69]].float() / 127.5 - 1
    for way, pixels in enumerate((x, x.flip(3))):
        for of, expected in enumerate(posterior(autoencoder, pixels)):
            torch.testing.assert_close(data.latents[[5, 69], way, of].float(), expected, atol=2e-3, rtol=2e-3)
    mean = autoencoder.encode(x).latent_dist.mean
    torch.testing.assert_close(data.latents[[5, 69], 0, 0].float(), 0.5 * mean, atol=2e-3, rtol=2e-3)
    for states, expected in zip((data.hidden, data.pooled), encode(text[1], text[0], ["bat", "blue bat"]), strict=True):
        torch.testing.assert_close(states[:2].float(), expected, atol=2e-3, rtol=2e-3)
    assert data.captions[:3] == [[2, 3], [1], [0, 2]]  # of "bat", "blue bat", "red slime", "slime"

    monkeypatch.setattr(latents, "posterior", None)  # it would be called
    again = encode_all(pictures, autoencoder, text, ("p", "a", "t"))
    assert torch.equal(again.latents, data.latents)
    assert torch.equal(again.hidden, data.hidden)
    assert torch.equal(again.pooled, data.pooled)
    assert len(list(home.iterdir())) == 2
    with pytest.raises(TypeError):  # another autoencoder is another file
        encode_all(pictures, autoencoder, text, ("p", "other", "t"))
    assert len(list(home.iterdir())) == 2  # and nothing half-written is there


def rows(home: Path, value: float) -> Tensor:
    return memory_mapped(home, "t", ["key"], 3, lambda: iter([np.full((2, 4), value), np.full((1, 4), value)]))


def test_what_is_no_table_is_made_again(home: Path) -> None:
    assert (rows(home, 1.0) == 1).all()
    assert (rows(home, 2.0) == 1).all()  # kept
    (file,) = home.iterdir()
    whole = file.read_bytes()
    for damaged in (b"", whole[:20], whole[:-1], b"x" * len(whole)):
        file.write_bytes(damaged)
        assert (rows(home, 3.0) == 3).all()
        assert rows(home, 3.0).shape == (3, 4)


def test_the_hash_of_pictures_is_of_pixels_and_shape() -> None:
    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    changed = images.clone()
    changed[1, 2, 3, 3] = 1
    entry = torch.zeros(2, dtype=torch.long)
    hashes = {Pictures(x, entry, [["a"]]).sha256 for x in (images, changed, images.view(2, 3, 2, 8))}
    assert len(hashes) == 3
    assert Pictures(images.clone(), entry, [["b"]]).sha256 in hashes


def test_batches_in_float16_are_put_together_whatever_networks_compute_in() -> None:
    images = torch.arange(3 * 3 * 4 * 4, dtype=torch.uint8).view(3, 3, 4, 4)
    made = in_batches(Tensor.half, images, partial(torch.autocast, "cpu", torch.bfloat16))
    assert torch.equal(made, images.half())
