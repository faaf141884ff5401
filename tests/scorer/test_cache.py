"""Caches: the references' networks run once, the same bytes are measured once, sixteen scorers share one folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import forked_command
import pytest
import torch
from PIL import Image

from leaderboard import board
from scorer import cache, score
from scorer.__main__ import main
from scorer.cache import references as reference_cache
from scorer.networks import inception as backbones
from scorer.networks.clip import Clip
from submission import Competition, Scorecard
from submission.errors import run

SCORERS = 16


@pytest.fixture
def images_seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Each call of a network: (which, how many images or texts)."""
    seen: list[tuple[str, int]] = []

    def watch(owner: type, name: str) -> None:
        method = getattr(owner, name)

        def watched(self: object, batch: torch.Tensor) -> torch.Tensor:
            seen.append((name, len(batch)))
            return method(self, batch)

        monkeypatch.setattr(owner, name, watched)

    watch(backbones.BestiaryInception, "features")
    watch(Clip, "image_features")
    watch(Clip, "text_features")
    return seen


def total(seen: list[tuple[str, int]]) -> dict[str, int]:
    counts = {name: sum(n for other, n in seen if other == name) for name, _ in seen}
    seen.clear()
    return counts


def test_the_references_are_measured_once_and_a_submission_once(
    tiny_competition: Callable, tiny_submission: Callable, images_seen: list, cache_home: Path
) -> None:
    competition = tiny_competition()
    entry = tiny_submission(competition)
    first = score(entry, competition, "cpu", progress=False)
    assert total(images_seen) == {"features": 16, "image_features": 16, "text_features": 8}
    other = score(tiny_submission(competition, seed=5, name="other"), competition, "cpu", progress=False)
    assert total(images_seen) == {"features": 8, "image_features": 8}
    assert other.scores["fid"] != first.scores["fid"]

    assert score(entry, competition, "cpu", progress=False) == first
    assert score(entry, competition, "cpu", name="renamed", progress=False) == replace(first, name="renamed")
    assert not images_seen
    assert score(entry, competition, "cpu", cache=False, progress=False) == first
    assert total(images_seen) == {"features": 16, "image_features": 16, "text_features": 8}
    score(entry, competition, "cpu", extra=True, progress=False)  # another question
    assert total(images_seen) == {"features": 8, "image_features": 8}


def test_another_byte_is_another_submission(
    tiny_competition: Callable, tiny_submission: Callable, images_seen: list
) -> None:
    competition = tiny_competition()
    entry = tiny_submission(competition)
    (entry / "submission.json").unlink()
    first = score(entry, competition, "cpu", progress=False)
    file = entry / competition.prompts[0].image_name
    size = file.stat().st_size
    pixels = Image.open(file).convert("RGB")
    pixels.putpixel((0, 0), (0, 0, 0))
    pixels.save(file)
    file.write_bytes(file.read_bytes().ljust(size, b"\0"))  # the size is no proof of the bytes
    images_seen.clear()
    second = score(entry, competition, "cpu", progress=False)
    assert total(images_seen) == {"features": 8, "image_features": 8}
    assert second.submission != first.submission
    assert second.scores["psnr"] != first.scores["psnr"]


def test_other_families_are_another_result_of_the_same_features(
    tiny_competition: Callable, tiny_submission: Callable, images_seen: list
) -> None:
    """They decide intervals, and neither the toml nor the prompts' hash says what is in their column."""
    competition = tiny_competition(12)
    entry = tiny_submission(competition)
    toml, listed = competition.root / "competition.toml", competition.root / "test.json"
    toml.write_text(toml.read_text().replace("gate =", 'group = "pack"\ngate =', 1))
    cards = []
    for packs in (12, 2):
        entries = json.loads(listed.read_text())
        for number, fields in enumerate(entries.values()):
            fields["pack"] = f"pack {number % packs}"
        listed.write_text(json.dumps(entries))
        cards.append(score(entry, Competition.load(toml), "cpu", progress=False))
        assert total(images_seen)["features"] >= 12
        assert score(entry, Competition.load(toml), "cpu", progress=False) == cards[-1]
        assert not images_seen
    first, second = cards
    assert (first.families, second.families) == (12, 2)
    assert first.fingerprint == second.fingerprint
    assert first.scores["clip_t"].low < first.scores["clip_t"].value == second.scores["clip_t"].value
    assert second.scores["clip_t"].low is None
    assert second.scores["clip_t"].reason == "no interval: the prompts are 2 families, and it takes 10 or more"


def test_other_prompts_leave_the_references_features_alone(
    tiny_competition: Callable, tiny_submission: Callable, images_seen: list
) -> None:
    competition = tiny_competition()
    entry = tiny_submission(competition)
    score(entry, competition, "cpu", progress=False)
    total(images_seen)
    prompts = json.loads((competition.root / "test.json").read_text())
    next(iter(prompts.values()))["text_prompt"] = "A crowned dragon."
    (competition.root / "test.json").write_text(json.dumps(prompts))
    score(entry, Competition.load(competition.root), "cpu", progress=False)
    assert total(images_seen) == {"features": 8, "image_features": 8, "text_features": 8}


def test_tables_are_kept_bit_by_bit(tmp_path: Path) -> None:
    tables = {
        "text": torch.randn(5000, 3, generator=torch.Generator().manual_seed(0)),
        "reference_clip": torch.randn(4, 4),
    }
    files = {name: tmp_path / "new" / f"{name}.safetensors" for name in tables}
    reference_cache.write(files, tables)
    found = reference_cache.read(files, {"text": 5000, "reference_clip": 4})
    assert all(torch.equal(found[name], table) for name, table in tables.items())
    assert reference_cache.read(files, {"text": 4999}) == {}
    assert reference_cache.read({"text": tmp_path / "none"}, {"text": 1}) == {}


def test_the_command_shows_and_clears_and_leaves_weights(
    cache_home: Path, capsys: pytest.CaptureFixture[str], tiny_competition: Callable, tiny_submission: Callable
) -> None:
    competition = tiny_competition()
    score(tiny_submission(competition), competition, "cpu", progress=False)
    (cache_home / "inception-2015-12-05.pt").write_bytes(b"weights")
    assert run(main, ["cache"]) == 0
    shown = capsys.readouterr().out
    assert str(cache_home) in shown
    assert "3 files" in shown  # features of references by both networks, and of the prompts
    assert "1 files" in shown
    assert run(main, ["cache", "--clear"]) == 0
    assert "removed" in capsys.readouterr().out
    assert [path.name for path in cache_home.rglob("*") if path.is_file()] == ["inception-2015-12-05.pt"]
    assert cache.main([]) == 0
    assert "0 files" in capsys.readouterr().out


def test_protocols_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(main, ["protocols"]) == 0
    shown = capsys.readouterr().out
    for protocol in ("clean", "legacy_pytorch", "legacy_tensorflow", "torchvision", "bestiary"):
        assert f"\n{protocol}\n" in shown
    assert shown.count("compares with") == 5


@pytest.mark.parametrize("place", ["values", "first value", "header", "end"])
def test_a_damaged_table_is_measured_anew_and_said(
    tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"text": tmp_path / "text.safetensors"}
    table = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
    reference_cache.write(files, {"text": table})
    data = bytearray(files["text"].read_bytes())
    byte = {"values": -77, "first value": -table.numel() * 4, "header": 30, "end": None}[place]
    if byte is None:
        del data[-1]
    else:
        data[byte] ^= 0x20
    files["text"].write_bytes(data)
    assert reference_cache.read(files, {"text": 50}) == {}
    said = capsys.readouterr().err
    assert "text.safetensors" in said
    assert "measured anew" in said
    reference_cache.write(files, {"text": table})
    assert torch.equal(reference_cache.read(files, {"text": 50})["text"], table)
    assert capsys.readouterr().err == ""


def test_flipped_bits_in_the_cache_move_no_score(
    tiny_competition: Callable, tiny_submission: Callable, cache_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    competition = tiny_competition()
    first = score(tiny_submission(competition), competition, "cpu", progress=False)
    shutil.rmtree(cache_home / "results")
    for file in (cache_home / "references").iterdir():
        data = bytearray(file.read_bytes())
        for byte in range(len(data) - 4096, len(data), 4):
            data[byte + 3] ^= 0x02
        file.write_bytes(data)
    again = score(tiny_submission(competition), competition, "cpu", progress=False)
    assert capsys.readouterr().err.count("measured anew") == 3
    assert again.scores == first.scores


def test_clearing_removes_the_cache_s_own_files_only(
    cache_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("references", "results"):
        (cache_home / name).mkdir(parents=True)
    own = cache_home / "results" / f"{'0' * 32}.json"
    precious = tmp_path / "precious.json"
    kept = [cache_home / "results" / name for name in ("thesis.json", "notes.txt", f"{'0' * 31}.json")]
    for path in (own, precious, *kept):
        path.write_text("{}")
    (cache_home / "results" / f"{'1' * 32}.json").symlink_to(precious)
    (cache_home / "results" / "folder").mkdir()
    assert cache.main(["--clear"]) == 0
    assert "left alone: " in capsys.readouterr().out
    assert not own.exists()
    assert all(path.exists() for path in (precious, *kept))
    assert (cache_home / "results" / f"{'1' * 32}.json").is_symlink()


def test_clearing_follows_no_link_out_of_the_cache(
    cache_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / f"{'0' * 32}.json").write_text("{}")
    cache_home.mkdir()
    (cache_home / "results").symlink_to(elsewhere)
    assert cache.main(["--clear"]) == 0
    assert "is a symbolic link" in capsys.readouterr().out
    assert list(elsewhere.iterdir())


@pytest.mark.slow
def test_sixteen_scorers_at_once(
    tiny_competition: Callable, tiny_submission: Callable, tmp_path: Path, cache_home: Path
) -> None:
    """One cold cache, one board, processes of their own: each row is there, and right."""
    competition = tiny_competition()
    processes, cards = [], []
    for i in range(SCORERS):
        entry = tiny_submission(competition, seed=1000 * (i + 1), name=f"entry{i}")
        words = [str(entry), "--competition", str(competition.root), "--name", entry.name, "--device", "cpu"]
        words += ["--json", str(tmp_path / f"{i}.json"), "--leaderboard", str(tmp_path / "board.csv")]
        processes.append(forked_command.start(words, tmp_path / f"said{i}"))
    for i, process in enumerate(processes):
        done = forked_command.result(process, tmp_path / f"said{i}")
        assert done.returncode == 0, done.stderr
    for i in range(SCORERS):
        card = Scorecard.from_json((tmp_path / f"{i}.json").read_text())
        assert card == score(tmp_path / f"entry{i}", competition, "cpu", name=card.name, cache=i > 0, progress=False)
        cards.append(card)
    rows = {row.name: row for row in board.read(tmp_path / "board.csv")}
    assert len(rows) == SCORERS
    for card in cards:
        assert rows[card.name].submission_sha256 == card.submission
        assert rows[card.name].numbers["fid"] == card.scores["fid"].value
    assert not list(cache_home.rglob("*.part"))
