"""The file of training hashes: written, read strictly, made from any folder; the shipped one is what drawing gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from competitions.bestiary import dataset
from competitions.bestiary import prepare as bestiary
from competitions.bestiary.artist.world import frame_numbers
from submission import Competition, CompetitionError, MissingPart
from submission.__main__ import main
from submission.errors import run
from submission.image_hashes import HEADER, code, distinct, hash_folder, read_hashes, write_hashes
from submission.images import read_image

SHIPPED = Path(bestiary.SHIPPED) / "training.hashes"


def _picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train" / "more").mkdir(parents=True)
    for seed in range(5):
        Image.fromarray(_picture(seed)).save(tmp_path / "train" / f"{seed}.png")
    Image.fromarray(_picture(0)).save(tmp_path / "train" / "more" / "again.png")
    (tmp_path / "train" / "labels.csv").write_text("no image")
    for left in (".ipynb_checkpoints/0-checkpoint.png", "@eaDir/0.png", "._1.png"):
        (tmp_path / "train" / left).parent.mkdir(exist_ok=True)
        (tmp_path / "train" / left).write_bytes(b"what a system keeps beside the images")
    return tmp_path / "train"


def test_any_folder_of_images(folder: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "training.hashes"
    assert run(main, ["hashes", str(folder), "--out", str(out)]) == 0
    assert "5 distinct images" in capsys.readouterr().out
    codes = read_hashes(out)
    assert np.array_equal(codes, distinct(code(_picture(seed)) for seed in range(5)))
    assert [tuple(entry) for entry in codes] == sorted(tuple(entry) for entry in codes)
    again = tmp_path / "again.hashes"
    write_hashes(again, hash_folder(folder))
    assert again.read_bytes() == out.read_bytes()


def test_what_is_no_training_image_is_named(folder: Path, tmp_path: Path) -> None:
    Image.new("RGBA", (16, 16)).save(folder / "clear.png")
    (folder / "cut.png").write_bytes((folder / "1.png").read_bytes()[:100])
    with pytest.raises(CompetitionError) as caught:
        hash_folder(folder)
    assert {problem.name for problem in caught.value.problems} == {"clear.png", "cut.png"}
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingPart, match="no images"):
        hash_folder(tmp_path / "empty")


@pytest.mark.parametrize(
    "data", [b"", HEADER, HEADER + b"\0" * 31, HEADER.replace(b"1", b"2") + b"\0" * 30, b"\x93NUMPY" + b"\0" * 24]
)
def test_another_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "bad.hashes").write_bytes(data)
    with pytest.raises(CompetitionError, match="not a file of training hashes"):
        read_hashes(tmp_path / "bad.hashes")


def test_the_competition_names_it(tiny_competition, folder: Path) -> None:
    competition = tiny_competition()
    assert competition.training_hashes() is None
    file = competition.root / "competition.toml"
    file.write_text(file.read_text().replace("[backbones]", 'training_hashes = "t.hashes"\n[backbones]', 1))
    with pytest.raises(MissingPart, match=r"t\.hashes"):
        Competition.load(competition.root).training_hashes()
    write_hashes(competition.root / "t.hashes", hash_folder(folder))
    assert len(Competition.load(competition.root).training_hashes()) == 5


def test_the_shipped_hashes_are_those_of_the_drawn_training_set() -> None:
    codes = read_hashes(SHIPPED)
    entries = dataset.splits()["train"]
    frames = [(entry, frame) for entry in entries for frame in frame_numbers(entry.monster, entry.action_key)]
    assert len(codes) == len(frames) == 22103
    assert SHIPPED.stat().st_size < 700_000
    shipped = {entry.tobytes() for entry in codes}
    for entry, frame in frames[:: len(frames) // 40]:
        assert code(read_image(entry.picture(frame), 64)).tobytes() in shipped
    references = Competition.load("bestiary").references()
    assert not any(code(references.read(name)).tobytes() in shipped for name in references.names[::50])
