"""The best of several pictures of a prompt: how it is chosen, and drawn with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import VQDiffusionPipeline
from torch.nn import functional

import baselines
from baselines.pretrained import Pretrained
from baselines.vq_diffusion import pipeline as drawing
from baselines.vq_diffusion.ranker import Ranker, best, load_ranker
from submission import Competition, MissingPart
from submission.errors import UsageError

WORDS, WIDTHS = ["blue", "red", "slime"], [4, 4, 4, 4]
PROMPTS = ["A red slime.", "Blue slime with horns."]


@pytest.fixture
def ranker() -> Ranker:
    torch.manual_seed(0)
    made = Ranker(WORDS, WIDTHS).eval()
    torch.nn.init.normal_(made.network.head.weight, std=5.0)
    return made


@pytest.fixture
def competition(tiny_competition) -> Competition:
    return tiny_competition()


@pytest.fixture
def folder(pipeline: VQDiffusionPipeline, ranker: Ranker, tmp_path: Path) -> Path:
    """A finished folder that draws three candidates."""
    pipeline.save_pretrained(tmp_path / "vq")
    ranker.write(tmp_path / "vq" / "ranker")
    (tmp_path / "vq" / "sampling.json").write_text(json.dumps({"candidates": 3, "steps": 4}), encoding="utf-8")
    return tmp_path / "vq"


def test_a_prompt_is_as_likely_as_its_words_and_the_absence_of_all_others(ranker: Ranker) -> None:
    images = torch.randint(256, (2, 3, 16, 16), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    with torch.no_grad():
        score = ranker(images, PROMPTS)
        there = functional.logsigmoid(ranker.network(images.float() / 127.5 - 1))
        absent = functional.logsigmoid(-ranker.network(images.float() / 127.5 - 1))
    assert score[0].item() == pytest.approx((absent[0, 0] + there[0, 1] + there[0, 2]).item(), rel=1e-5)
    assert score[1].item() == pytest.approx((there[1, 0] + absent[1, 1] + there[1, 2]).item(), rel=1e-5)


def test_the_best_of_each_prompt_is_kept(ranker: Ranker, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [torch.full((2, 3, 8, 8), value, dtype=torch.uint8) for value in (10, 20, 30)]
    scores = {10: [-1.0, -5.0], 20: [-3.0, -2.0], 30: [-3.0, -2.0]}
    monkeypatch.setattr(Ranker, "forward", lambda self, images, prompts: torch.tensor(scores[int(images[0, 0, 0, 0])]))
    assert best(pictures, ranker, PROMPTS)[:, 0, 0, 0].tolist() == [10, 20]
    assert best(pictures, ranker, [PROMPTS[0], "史莱姆"])[:, 0, 0, 0].tolist() == [10, 10]  # of no word that it knows


def test_the_picture_is_one_of_the_candidates_and_the_likeliest(
    folder: Path, ranker: Ranker, competition: Competition, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates: list[torch.Tensor] = []

    def keep(pictures, ranker, prompts):
        candidates.extend(pictures)
        return best(pictures, ranker, prompts)

    monkeypatch.setattr(drawing, "best", keep)
    model = baselines.load("vq", competition, "cpu", weights=str(folder))
    assert model.settings["candidates"] == 3
    assert any(name.startswith("ranker/") for name in model.weights)
    drawn = torch.from_numpy(model.generate(PROMPTS, [1, 2])).permute(0, 3, 1, 2)
    assert len({picture[0].numpy().tobytes() for picture in candidates}) == 3
    with torch.no_grad():
        stored = load_ranker(Pretrained("vq", str(folder), ("ranker",)))
        filled = [*PROMPTS, *PROMPTS[1:] * 6]
        scores = torch.stack([stored(picture, filled) for picture in candidates])
    assert scores[:, :2].argmax(0).any()  # not the first of each
    for number in range(2):
        assert torch.equal(drawn[number], candidates[int(scores[:, number].argmax())][number])
    # The first candidate is what is drawn alone, and a picture does not depend on the others of its batch.
    (folder / "sampling.json").write_text(json.dumps({"candidates": 1, "steps": 4}), encoding="utf-8")
    alone = baselines.load("vq", competition, "cpu", weights=str(folder))
    assert "candidates" not in alone.settings
    assert not any(name.startswith("ranker/") for name in alone.weights)
    assert np.array_equal(alone.generate(PROMPTS, [1, 2]), candidates[0][:2].permute(0, 2, 3, 1).numpy())
    assert np.array_equal(model.generate(PROMPTS[1:], [2])[0], drawn[1].permute(1, 2, 0).numpy())


def test_a_ranker_that_is_missing_or_is_none_is_named(folder: Path, competition: Competition) -> None:
    config = folder / "ranker" / "config.json"
    config.write_text(json.dumps({"words": WORDS, "widths": [4, 4, 4, 8]}), encoding="utf-8")
    with pytest.raises(UsageError, match="not those of the network it is for"):
        baselines.load("vq", competition, "cpu", weights=str(folder))
    for wrong in ({"words": WORDS}, {"words": WORDS, "widths": ["4", "4"]}, {"words": "red", "widths": WIDTHS}):
        config.write_text(json.dumps(wrong), encoding="utf-8")
        with pytest.raises(UsageError, match="must have words and widths"):
            baselines.load("vq", competition, "cpu", weights=str(folder))
    config.unlink()
    with pytest.raises(MissingPart, match=r"no ranker/config\.json"):
        baselines.load("vq", competition, "cpu", weights=str(folder))
    for file in (folder / "ranker").iterdir():
        file.unlink()
    with pytest.raises(MissingPart, match="ranker has no safetensors"):
        baselines.load("vq", competition, "cpu", weights=str(folder))
    (folder / "ranker").rmdir()
    with pytest.raises(MissingPart, match="no ranker"):
        baselines.load("vq", competition, "cpu", weights=str(folder))


def test_what_is_written_is_read(ranker: Ranker, folder: Path) -> None:
    read = load_ranker(Pretrained("vq", str(folder), ("ranker",)))
    assert (read.words, read.widths) == (WORDS, WIDTHS)
    for name, tensor in ranker.network.state_dict().items():
        if tensor.is_floating_point():
            assert torch.allclose(read.network.state_dict()[name], tensor, rtol=2**-4, atol=2**-10), name
