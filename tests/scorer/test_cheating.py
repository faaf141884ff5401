"""Every way to cheat is caught on a part of the bestiary and named on the scorecard; honest pictures never are."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

import scorer
from baselines.__main__ import main as draw
from competitions.bestiary import dataset
from scorer.cheating import find, nearest_references
from scorer.scorecard_text import print_scorecard
from submission import Competition, Scorecard
from submission.errors import run
from submission.image_hashes import code, query
from submission.images import read_image
from submission.scorecard import Finding

N = 56
HONEST = Path(__file__).parent / "data" / "honest-monster.webp"


@pytest.fixture(scope="module")
def competition() -> Competition:
    """The bestiary, with its rules for the share of its prompts that is looked at."""
    whole = Competition.load("bestiary")
    limits = {f"max_{name}": limit * N // len(whole.prompts) for name, limit in whole.rules.limits.items()}
    return replace(whole, rules=whole.rules.model_copy(update=limits))


@pytest.fixture(scope="module")
def names(competition: Competition) -> list[str]:
    return [prompt.image_name for prompt in competition.prompts[:N]]


@pytest.fixture(scope="module")
def references(competition: Competition, names: list[str]) -> np.ndarray:
    found = competition.references()
    return np.stack([found.read(name) for name in names])


@pytest.fixture(scope="module")
def honest() -> np.ndarray:
    """What a trained monster drew for the first prompts, (N, 64, 64, 3)."""
    sheet = np.asarray(Image.open(HONEST))
    return sheet.reshape(7, 64, 8, 64, 3).swapaxes(1, 2).reshape(N, 64, 64, 3)


@pytest.fixture(scope="module")
def training() -> np.ndarray:
    """Training images of other monsters, as the artist draws them."""
    entries = dataset.splits()["train"]
    entries = entries[:: len(entries) // N][:N]
    frames = [dataset.frame_numbers(entry.monster, entry.action_key)[0] for entry in entries]
    return np.stack([read_image(entry.picture(frame), 64) for entry, frame in zip(entries, frames, strict=True)])


@pytest.fixture
def look(competition: Competition, names: list[str], references: np.ndarray) -> Callable[..., dict[str, Finding]]:
    """look(images): what is found by hashes alone."""
    known = np.stack([code(image) for image in references])
    hashes = competition.training_hashes()
    texts = [prompt.text for prompt in competition.prompts[:N]]

    def look_at(images: np.ndarray, texts: list[str] = texts) -> dict[str, Finding]:
        queries = np.stack([query(np.ascontiguousarray(image)) for image in images])
        return find(queries, names, texts, references=known, training=hashes)

    return look_at


@pytest.fixture
def score(
    competition: Competition, names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[np.ndarray], Scorecard]:
    """score(images): the whole scorecard of the first N prompts."""
    monkeypatch.setenv("DRAWOFF_CACHE", str(tmp_path / "cache"))

    def score_them(images: np.ndarray) -> Scorecard:
        folder = tmp_path / "entry"
        folder.mkdir()
        for name, image in zip(names, images, strict=True):
            Image.fromarray(image).save(folder / name)
        return scorer.score(folder, competition, "cpu", limit=N, progress=False)

    return score_them


def noisy(images: np.ndarray, by: int = 2) -> np.ndarray:
    noise = np.random.default_rng(0).integers(-by, by + 1, images.shape)
    return (images.astype(int) + noise).clip(0, 255).astype(np.uint8)


def jpeg(images: np.ndarray, quality: int = 90) -> np.ndarray:
    result = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        result.append(np.asarray(Image.open(file)))
    return np.stack(result)


def moved(images: np.ndarray) -> np.ndarray:
    return np.pad(images, ((0, 0), (1, 0), (0, 1), (0, 0)), "edge")[:, :-1, 1:]


EDITS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as they are": lambda images: images,
    "under other names": lambda images: np.roll(images, 5, axis=0),
    "noise of 2": noisy,
    "JPEG 90": jpeg,
    "JPEG 75": lambda images: jpeg(images, 75),
    "one pixel aside": moved,
    "brighter by 3": lambda images: (images.astype(int) + 3).clip(0, 255).astype(np.uint8),
    "mirrored": lambda images: images[:, :, ::-1],
    "all at once": lambda images: jpeg(noisy(moved(images[:, :, ::-1]))),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("of", ["reference", "training"])
def test_copies_are_caught_however_they_were_edited(request, look, of: str, edit: str) -> None:
    images = request.getfixturevalue("references" if of == "reference" else "training")
    findings = look(EDITS[edit](images))
    caught, other = ("reference", "training") if of == "reference" else ("training", "reference")
    assert findings[f"{caught}_copies"].count >= 0.75 * N
    assert findings[f"{other}_copies"].count == 0
    if edit in ("as they are", "under other names"):
        assert findings[f"{caught}_copies"].evidence["same pixels"] == N


def test_the_references_on_the_scorecard(score, references: np.ndarray, names: list[str]) -> None:
    card = score(np.roll(references, 1, axis=0))
    finding = card.suspicions.findings["reference_copies"]
    assert finding.count == N
    assert finding.examples[1] == f"{names[1]} = {names[0]}"
    assert card.suspect
    assert [check.rule for check in card.suspicions.broken] == ["max_reference_copies"]
    assert Scorecard.from_json(card.to_json()) == card
    console = Console(width=80, record=True, file=io.StringIO())
    print_scorecard(console, card)
    printed = " ".join(console.export_text().split())
    assert f"Suspect, breaks max_reference_copies: {N} copies of references" in printed


def test_the_very_files_of_the_references(competition: Competition, names: list[str], tmp_path: Path) -> None:
    found = competition.references()
    for name in names:
        (tmp_path / name).write_bytes(found.read_bytes(name))
    card = scorer.score(tmp_path, competition, "cpu", limit=N, progress=False, cache=False)
    assert card.suspicions.findings["reference_copies"].evidence["same file"] == N


def test_training_images_on_the_scorecard(score, training: np.ndarray) -> None:
    card = score(noisy(training))
    assert "max_training_copies" in [check.rule for check in card.suspicions.broken]


def test_honest_pictures_are_not_accused(score, honest: np.ndarray) -> None:
    card = score(honest)
    assert not card.suspect
    assert {name: finding.count for name, finding in card.suspicions.findings.items()} == {
        "reference_copies": 0, "training_copies": 0, "repeats": 0, "flat": 0
    }  # fmt: skip


@pytest.mark.slow
def test_the_shipped_monster_is_not_accused(competition: Competition, tmp_path: Path) -> None:
    assert run(draw, ["monster", "--limit", "6", "--batch-size", "6", "--out", str(tmp_path / "drawn")]) == 0
    card = scorer.score(tmp_path / "drawn", competition, "cpu", limit=6, progress=False, cache=False)
    assert not card.suspect
    assert card.suspicions.findings["training_copies"].count == 0


def test_one_image_for_every_prompt(score, competition: Competition) -> None:
    mean = np.asarray(Image.open(Path(scorer.__file__).parents[1] / "baselines/weights/mean-image/bestiary.png"))
    card = score(np.repeat(mean[None], N, axis=0))
    prompts = len({prompt.text for prompt in competition.prompts[:N]})
    assert prompts - 1 <= card.suspicions.findings["repeats"].count < N
    assert [check.rule for check in card.suspicions.broken] == ["max_repeats"]


def test_collapse_to_a_few_images(look, honest: np.ndarray) -> None:
    few = honest[np.arange(N) % 4]
    assert look(few)["repeats"].evidence == {"same pixels": N - 4, "same look": 0}
    assert look(noisy(few))["repeats"].count >= N - 6
    texts = [f"prompt {row % 4}" for row in range(N)]  # asked for the same again, so drawing it again is right
    assert look(few, texts)["repeats"].count == 0


def test_empty_and_nearly_empty_images(look) -> None:
    grey = np.stack([np.full((64, 64, 3), 3 * row, np.uint8) for row in range(N)])
    assert look(noisy(grey))["flat"].count == N
    assert look(grey)["reference_copies"].count == 0


def test_noise_is_bad_but_honest(look) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (N, 64, 64, 3), np.uint8)
    assert [finding.count for finding in look(noise).values()] == [0, 0, 0, 0]


def test_nearest_features_are_measured_by_how_far_references_lie_apart() -> None:
    generator = torch.Generator().manual_seed(0)
    references = torch.randn(200, 16, generator=generator) + 40.0
    references[7] = references[3]  # a competition may have one reference twice
    strangers = torch.randn(200, 16, generator=generator) + 40.0
    step = torch.randn(200, 16, generator=generator)
    near = references + 0.05 * step
    for scale in (1e-3, 1.0, 1e4):
        assert (nearest_references(scale * strangers, scale * references) < 0).all()
        rows = nearest_references(scale * near.flip(0), scale * references)
        assert (rows.flip(0) == torch.arange(200)).sum() >= 198
    assert (nearest_references(references[:20], references[:20]) < 0).all()  # too few to know the distances


def test_many_features_are_compared_with_their_own_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scorer.cheating.MANY_FEATURES", 100)
    references = torch.randn(250, 16, generator=torch.Generator().manual_seed(0))
    assert (nearest_references(references, references) == torch.arange(250)).all()
    assert (nearest_references(references.flip(0), references) < 0).all()


def test_without_references_and_training_hashes() -> None:
    image = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
    findings = find(np.stack([query(one) for one in image]), ["a.png", "b.png"], ["a", "b"])
    assert set(findings) == {"repeats", "flat"}
