"""Reading ahead keeps the order and the errors; batches hold one shape, lose nothing and stay bounded."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scorer.decoding import Pair, ahead, batches, decoded
from scorer.measure import Rows
from submission import Competition, CompetitionError, Problem, Submission, SubmissionError, image_hashes

CPU = torch.device("cpu")


def pair(row: int, size: tuple[int, int] = (8, 8), reference: bool = True) -> Pair:
    image = np.full((*size, 3), row % 256, dtype=np.uint8)
    image[0, -1] = (1, 2, 3)
    reference_hashes = image_hashes.code(image) if reference else None
    return Pair(row, image, image + 1 if reference else None, image_hashes.query(image), reference_hashes)


def test_ahead_keeps_the_order_and_the_window() -> None:
    started = []

    def slow(i: int) -> int:
        started.append(i)
        time.sleep(0.002 if i % 3 else 0.01)
        return i * i

    results = ahead(slow, range(40), window=6)
    assert next(results) == 0
    assert len(started) <= 6
    assert list(results) == [i * i for i in range(1, 40)]


def test_ahead_passes_errors_on_and_leaves_no_thread() -> None:
    def fail(i: int) -> int:
        if i == 5:
            raise ValueError("five")
        return i

    before = threading.active_count()
    with pytest.raises(ValueError, match="five"):
        list(ahead(fail, range(100), window=8))
    assert threading.active_count() == before


def test_batches_of_one_shape_keep_the_order() -> None:
    found = list(batches((pair(i) for i in range(10)), 4, CPU))
    assert [batch.rows.tolist() for batch in found] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert found[0].images.shape == (4, 3, 8, 8)
    assert found[0].images.dtype == torch.uint8
    assert found[0].images[2, :, 0, -1].tolist() == [1, 2, 3]
    assert torch.equal(found[1].references, found[1].images + 1)


def test_without_references() -> None:
    (batch,) = batches([pair(0, reference=False)], 4, CPU)
    assert batch.references is None


def test_many_shapes_lose_nothing_and_stay_bounded() -> None:
    waiting, most = 0, 0

    def pairs() -> Iterator[Pair]:
        nonlocal waiting, most
        for i in range(300):
            waiting += 1
            most = max(most, waiting)
            yield pair(i, (8, 8 + i % 97))

    rows = Rows(300)
    for batch in batches(pairs(), 4, CPU):
        waiting -= len(batch.rows)
        assert len(batch.rows) <= 4
        rows.add("value", batch.rows, batch.images[:, 0, 1, 0].float())
    assert most <= 8 * 4
    assert rows.tensors()["value"].tolist() == [i % 256 for i in range(300)]


def _decoded(competition: Competition, folder: Path) -> list[Problem]:
    problems: list[Problem] = []
    submission = Submission.open(folder, competition, verify=False)
    names = submission.expected
    for _ in decoded(submission, competition.references(), names, range(len(names)), problems, 4, False):
        pass
    return problems


def test_the_scorer_refuses_sizes_as_the_check_does(tiny_competition, tiny_submission) -> None:
    competition = tiny_competition()
    folder = tiny_submission(competition)
    (folder / "submission.json").unlink()
    file = competition.root / "competition.toml"
    file.write_text(file.read_text().replace("image_size = 64\n", ""))
    competition = Competition.load(file)
    for name in ("0_main.png", "1_main.png"):
        Image.open(folder / name).resize((48, 40)).save(folder / name)
    with pytest.raises(SubmissionError) as checked:
        Submission.open(folder, competition)
    assert _decoded(competition, folder) == checked.value.problems


def test_the_scorer_names_every_bad_reference(tiny_competition, tiny_submission) -> None:
    competition = tiny_competition()
    folder = tiny_submission(competition)
    for name in ("2_main.png", "5_main.png"):
        path = competition.root / "references" / name
        Image.open(path).convert("RGBA").save(path)
    with pytest.raises(CompetitionError) as caught:
        _decoded(competition, folder)
    assert [problem.name for problem in caught.value.problems] == ["2_main.png", "5_main.png"]
