"""The four trainings on a handful of pictures, up to a folder that draws, and the parts that are theirs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from baselines.diffusion.noise import seeded_generators
from baselines.glide import pipeline, train, train_base, train_noised_clip, train_text_encoder, train_upsample
from baselines.glide import training_set as sets
from baselines.glide.config import CLIP_END, CLIP_START, ClipTowerConfig, UNetConfig, read_config
from baselines.glide.inpainting import Inpainter
from baselines.glide.noised_clip import NoisedClip
from baselines.glide.pipeline import diffusion_of, draw, own_clip
from baselines.glide.tokenizer import TextTokenizer
from baselines.glide.unet import UNet
from baselines.glide.weights import Folder
from baselines.hardware import Hardware
from baselines.training import words

CPU = Hardware("cpu", "float32", "a test")


def test_only_the_captions_tokens_have_rows(training_set: Path) -> None:
    data = sets.TrainingSet(training_set)
    assert data.vocabulary.rows == tuple(sorted(set(data.vocabulary.rows)))
    assert {CLIP_START, CLIP_END} <= set(data.vocabulary.rows)
    assert data.vocab_size < 40
    tokens, real = data.text_tokenizer(data.captions)
    assert tokens.shape == (len(data.captions), 40)
    assert tokens.max() < data.vocab_size
    assert not any(data.text_tokenizer.vocabulary.leaves_out(caption) for caption in data.captions)
    assert data.text_tokenizer.vocabulary.leaves_out("A xylophone.")
    assert real.sum(dim=1).min() >= 3


def test_an_image_gets_its_own_captions(training_set: Path) -> None:
    data = sets.TrainingSet(training_set)
    assert len(data.captions_of) == len(data.images)
    generator = torch.Generator().manual_seed(0)
    picked = [data.pick_captions(torch.tensor([0, len(data.images) - 1]), generator).tolist() for _ in range(40)]
    for image, numbers in zip((0, -1), zip(*picked, strict=True), strict=True):
        assert set(numbers) == set(data.captions_of[image])


def test_dropped_prompts_are_empty() -> None:
    mask = torch.ones(2000, 5, dtype=torch.bool)
    kept = sets.dropped(mask, 0.1, torch.Generator().manual_seed(0))
    assert (kept.all(dim=1) | ~kept.any(dim=1)).all()
    assert 0.07 < 1 - kept.any(dim=1).float().mean() < 0.13


def test_masks_leave_a_rectangle_open() -> None:
    generator = torch.Generator().manual_seed(0)
    masks = train_base.random_masks(400, 32, 0.5, generator)
    assert masks.shape == (400, 1, 32, 32)
    shown = masks[masks.flatten(1).any(dim=1)]
    assert 150 < len(shown) < 250
    for mask in shown[:, 0]:
        rows, columns = (mask == 0).any(dim=1), (mask == 0).any(dim=0)
        assert rows.sum() >= 8
        assert columns.sum() >= 8
        assert (mask == 0).sum() == rows.sum() * columns.sum()
    assert not train_base.random_masks(50, 32, 0.0, generator).any()


def test_half_of_the_small_images_are_degraded_a_little() -> None:
    images = torch.rand(400, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    seen = train_upsample.degraded(images, torch.Generator().manual_seed(1))
    levels = (seen + 1) * 127.5
    torch.testing.assert_close(levels, levels.round(), atol=1e-3, rtol=0)
    difference = (seen - images).abs().amax(dim=(1, 2, 3))
    assert 150 < (difference < 0.005).sum() < 250
    assert difference.max() < 1.5
    flat = train_upsample.degraded(torch.full((50, 3, 8, 8), 0.2), torch.Generator().manual_seed(2))
    assert (flat.mean(dim=(1, 2, 3)) - 0.2).abs().max() < 0.06  # a blur keeps the brightness, up to the edge
    assert flat.flatten(1).std(dim=1).max() < 0.3


def test_the_scale_ends_at_100() -> None:
    model = train_noised_clip.ClipInTraining(replace(train_noised_clip.config(20), logit_scale=1000.0))
    assert model.logit_scale.item() == pytest.approx(100)


def test_what_is_shipped_is_small() -> None:
    with torch.device("meta"):
        models = (
            UNet(train_base.config(115)),
            UNet(train_upsample.config(115)),
            NoisedClip(train_noised_clip.config(115)),
        )
    assert sum(p.numel() for model in models for p in model.parameters()) * 2 < 8e6
    assert models[0].config.inpaint  # one base model draws and inpaints


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trainings' models at sizes that a test has time for."""

    def unet(config: UNetConfig) -> UNetConfig:
        return replace(
            config,
            model_channels=16,
            channel_mult=(1, 1),
            num_head_channels=16,
            text_width=32,
            text_layers=1,
            text_heads=2,
        )

    tower = ClipTowerConfig(num_layers=1, num_heads=1, head_dim=16)
    for module in (train_base, train_upsample):
        original = module.config
        monkeypatch.setattr(module, "config", lambda rows, original=original: unet(original(rows)))
    clip = train_noised_clip.config
    monkeypatch.setattr(
        train_noised_clip,
        "config",
        lambda rows, logit_scale=14.3: replace(clip(rows, logit_scale), image=tower, text=tower, patch_size=8),
    )


@pytest.mark.usefixtures("narrow")
def test_the_trainings_make_a_folder_that_draws_and_inpaints(
    training_set: Path, tmp_path: Path, tiny_competition: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "RARE", 1)  # of a handful of captions every word is
    runs, out = tmp_path / "runs", tmp_path / "glide"
    for name, module, more in (
        ("text-encoder", train_text_encoder, []),
        ("base", train_base, ["--text-encoder", str(runs / "glide-text-encoder" / "weights.safetensors")]),
        ("upsample", train_upsample, []),
        ("noised-clip", train_noised_clip, []),
    ):
        run = ["--out", str(runs / f"glide-{name}"), "--data", str(training_set), "--images", "4", "--batch-size", "2"]
        module.main(run + more)
        rows = (runs / f"glide-{name}" / "stats.jsonl").read_text().splitlines()
        assert json.loads(rows[-1])["images"] == 4
        assert np.isfinite(json.loads(rows[-1])["loss"])
    read, base = (load_file(runs / f"glide-{name}" / "weights.safetensors") for name in ("text-encoder", "base"))
    learned = {name for name in read.keys() & base.keys() if not torch.equal(read[name], base[name])}
    assert {name.rpartition(".")[0] for name in learned} == {"text_encoder.pooled_projection"}  # the rest is kept
    sampling = replace(train.SAMPLING, steps=2, upsample_respacing="1,1")
    train.assemble(runs, out, sets.TrainingSet(training_set).vocabulary, sampling)
    config = read_config(out / "glide.json")
    assert config.sampling == sampling
    assert config.clip.logit_scale == pytest.approx(14.3, abs=0.1)
    competition = tiny_competition(2)
    for load in (pipeline.Glide, pipeline.load_clip_guided):
        images = load(competition, CPU, weights=str(out)).generate(["red slime", "blue bat"], [0, 1])
        assert images.shape == (2, 64, 64, 3)
    folder = Folder.open(str(out))
    image, fill = np.full((64, 64, 3), 200, np.uint8), np.zeros((64, 64), bool)
    fill[:32] = True
    edited = Inpainter(folder, CPU).inpaint(image, fill, "red slime", 0)
    assert (edited[32:] == 200).all()
    score = own_clip(folder, [image, edited], ["red slime", "blue bat"])
    assert -1 <= score <= 1


class NoWords(TextTokenizer):
    """Every prompt as one without a word."""

    def __init__(self) -> None:
        pass

    def __call__(self, prompts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(len(prompts), 40, dtype=torch.long), torch.zeros(len(prompts), 40, dtype=torch.bool)


def test_a_new_upsampler_that_predicts_the_image_interpolates() -> None:
    model = UNet(train_upsample.config(20)).eval()
    low_res = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    tokens, mask = torch.zeros(2, 40, dtype=torch.long), torch.zeros(2, 40, dtype=torch.bool)
    interpolated = F.interpolate(low_res, scale_factor=2, mode="bilinear")
    with torch.no_grad():
        output = model(
            torch.randn(2, 3, 64, 64), torch.tensor([3, 900]), model.encode_text(tokens, mask), low_res=low_res
        )
        torch.testing.assert_close(output[:, :3], interpolated)
        assert (output[:, 3:] == 0).all()
        drawn = draw(
            model,
            NoWords(),
            ["", ""],
            seeded_generators([0, 1]),
            diffusion_of(model.config, "1,1,1"),
            sampler="ddim",
            low_res=low_res,
        )
    torch.testing.assert_close(drawn, interpolated, atol=1e-4, rtol=0)
