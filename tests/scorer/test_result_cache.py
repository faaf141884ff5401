"""Kept results: found by content, believed only whole and under their own name, gone when any code changes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from scorer.cache import results as result_cache
from submission import Competition, Scorecard, Submission
from submission.hashes import content_sha256
from submission.scorecard import Score

Kept = tuple[Path, Submission, Scorecard]


@pytest.fixture
def kept(tiny_competition: Callable[..., Competition], tiny_submission: Callable[..., Path]) -> Kept:
    """A submission's result, written by hand (no network runs), and where it is kept."""
    competition = tiny_competition()
    submission = Submission.open(tiny_submission(competition), competition)
    scores = {"fid": Score(12.5, 11.0, 14.0), "psnr": Score(10.0)}
    card = Scorecard(competition.name, submission.sha256, "blobs", 8, scores, [], {"protocol": 1, "n": 8})
    file = result_cache.result_file(submission, competition, {"by": card.fingerprint})
    assert file is not None
    result_cache.write(file, card, {"psnr": [10.0] * 8}, content_sha256(submission.hashes))
    return file, submission, card


def test_it_is_read_as_it_was_written(kept: Kept) -> None:
    file, submission, card = kept
    assert result_cache.read(file, submission) == (card, {"psnr": [10.0] * 8})


@pytest.mark.parametrize(
    ("was", "becomes"),
    [("12.5", "2.5"), ("blobs", "blobz"), ('"ranks": true', '"ranks": false'), ("[10.0,", "[11.0,"), ("}", "")],
)
def test_one_changed_value_and_it_is_not_believed(kept: Kept, was: str, becomes: str) -> None:
    file, submission, _ = kept
    text = file.read_text()
    assert was in text
    file.write_text(text.replace(was, becomes, 1))
    assert result_cache.read(file, submission) is None


@pytest.mark.parametrize("place", range(0, 100, 7))
def test_one_flipped_bit_and_it_is_not_believed(kept: Kept, place: int) -> None:
    file, submission, card = kept
    data = bytearray(file.read_bytes())
    data[len(data) * place // 100] ^= 1
    file.write_bytes(data)
    found = result_cache.read(file, submission)
    assert found is None or found[0] == card  # a bit of white space says nothing


def test_without_a_checksum_it_is_not_believed(kept: Kept) -> None:
    file, submission, card = kept
    file.write_text(json.dumps({"card": replace(card, scores={"fid": Score(0.0)}).to_dict(), "columns": {}}))
    assert result_cache.read(file, submission) is None


def test_another_result_s_file_is_not_believed(kept: Kept) -> None:
    """Measured with other weights, say, and copied over."""
    file, submission, card = kept
    other = result_cache.result_file(submission, submission.competition, {"by": {**card.fingerprint, "protocol": 2}})
    assert other is not None
    assert other != file
    shutil.copy(file, other)
    assert result_cache.read(other, submission) is None


def test_a_link_out_of_the_cache_is_not_followed(kept: Kept, tmp_path: Path) -> None:
    file, submission, _ = kept
    file.rename(tmp_path / "elsewhere.json")
    file.symlink_to(tmp_path / "elsewhere.json")
    assert result_cache.read(file, submission) is None


def test_other_images_are_another_result(kept: Kept) -> None:
    file, submission, _ = kept
    names = submission.names
    (submission.path / names[0]).write_bytes((submission.path / names[1]).read_bytes())
    assert result_cache.read(file, submission) is None


@pytest.mark.parametrize("name", ["prompts", "competition.toml"])
def test_what_the_competition_says_is_part_of_the_name(kept: Kept, name: str) -> None:
    file, submission, card = kept
    root = submission.competition.root
    if name == "prompts":  # a key that the hash of names and texts does not see
        prompts = json.loads((root / "test.json").read_text())
        prompts = {f"family {index}": entry for index, entry in enumerate(prompts.values())}
        (root / "test.json").write_text(json.dumps(prompts))
    else:
        toml = (root / name).read_text()
        (root / name).write_text(toml.replace("fid = 90.0", "fid = 91.0"))
    again = Submission.open(submission.path, Competition.load(root))
    assert result_cache.result_file(again, again.competition, {"by": card.fingerprint}) != file


def test_code_in_any_depth_is_part_of_the_name(kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, submission, card = kept
    known = result_cache.code_sha256()
    assert {"scorer/score.py", "scorer/metrics/fid.py", "scorer/networks/clip.py"} <= known.keys()
    assert {"submission/competition.py", "submission/metrics.py"} <= known.keys()

    room = tmp_path / "scorer"
    deep = room / "metrics" / "distances" / "frechet.py"
    deep.parent.mkdir(parents=True)
    deep.write_text("ROUNDS = 1")
    monkeypatch.setattr(result_cache, "_ROOMS", (room,))
    before = result_cache.result_file(submission, submission.competition, {"by": card.fingerprint})
    deep.write_text("ROUNDS = 2")
    after = result_cache.result_file(submission, submission.competition, {"by": card.fingerprint})
    assert len({file, before, after}) == 3
