from __future__ import annotations

import stat
import struct
import tracemalloc
import zipfile

import pytest

from submission import Submission, SubmissionError, archive
from submission.archive import open_files, write_zip
from submission.errors import UsageError
from submission.safe_read import NotReadable


@pytest.fixture
def zipped(tiny_competition, tiny_submission, tmp_path):
    """Makes a valid zip, then lets `change(zip)` add to it; returns the competition and the zip's path."""

    def make(change=None, prefix="", compression=zipfile.ZIP_DEFLATED):
        competition = tiny_competition()
        path = tmp_path / "hand-in.zip"
        with zipfile.ZipFile(path, "w", compression) as file:
            for image in sorted(tiny_submission(competition).glob("*.png")):
                file.write(image, prefix + image.name)
            if change:
                change(file)
        return competition, path

    return make


def _problems(competition, path):
    with pytest.raises(SubmissionError) as caught:
        Submission.open(path, competition)
    return {problem.name: problem.what for problem in caught.value.problems}


@pytest.mark.parametrize("prefix", ["", "my submission/"])
def test_a_zip_is_the_folder(zipped, tiny_submission, prefix):
    competition, path = zipped(prefix=prefix)
    assert Submission.open(path, competition).sha256 == Submission.open(path.parent / "drawn", competition).sha256


def test_what_file_managers_add_is_ignored(zipped):
    def change(file):
        file.writestr("__MACOSX/hand-in/._0_main.png", b"x")
        file.writestr("hand-in/.DS_Store", b"x")
        file.writestr("hand-in/Thumbs.db", b"x")

    competition, path = zipped(change, prefix="hand-in/")
    assert "ignored what the system or a tool left" in Submission.open(path, competition).notes[0]


@pytest.mark.parametrize("prefix", ["a/b/", "home/me/course/out/", "./", "./a//b/"])
def test_folders_around_all_images_are_tolerated_with_a_note(zipped, prefix):
    competition, path = zipped(prefix=prefix)
    submission = Submission.open(path, competition)
    assert submission.sha256 == Submission.open(path.parent / "drawn", competition).sha256
    folder = "/".join(part for part in prefix.split("/") if part not in ("", "."))
    assert submission.notes == ([f"the images lie in the folder {folder} of the zip"] if "/" in folder else [])


def test_images_that_do_not_lie_together_are_refused(zipped):
    competition, path = zipped(lambda file: file.writestr("a/c/more.png", b"x"), prefix="a/b/")
    problems = _problems(competition, path)
    assert problems["a/b/0_main.png"] == problems["a/c/more.png"] == "is in a subfolder"


def test_files_beside_the_folder_of_the_images_are_named(zipped):
    competition, path = zipped(lambda file: file.writestr("README.txt", b"x"), prefix="a/b/")
    assert _problems(competition, path) == {"README.txt": "lies outside the folder of the images"}


def _link(file):
    info = zipfile.ZipInfo("link.png")
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    file.writestr(info, "/etc/passwd")


def _twice(file):
    with pytest.warns(UserWarning, match="Duplicate name"):
        file.writestr("0_main.png", b"x")


@pytest.mark.parametrize(
    ("change", "name", "said"),
    [
        (lambda file: file.writestr("../0_main.png", b"x"), "../0_main.png", "leads out"),
        (lambda file: file.writestr("a/../../b.png", b"x"), "a/../../b.png", "leads out"),
        (lambda file: file.writestr("/etc/0_main.png", b"x"), "/etc/0_main.png", "absolute"),
        (lambda file: file.writestr("C:/0_main.png", b"x"), "C:/0_main.png", "absolute"),
        (lambda file: file.writestr("a\\b.png", b"x"), "a\\b.png", "backslash"),
        (_link, "link.png", "symbolic link"),
        (_twice, "0_main.png", "twice"),
        (lambda file: file.writestr("0_MAIN.png", b"x"), "0_MAIN.png", "differs only in case"),
        (lambda file: file.writestr("more.txt", b"x"), "more.txt", "not named by any prompt"),
    ],
)
def test_hostile_entries_are_refused(zipped, change, name, said):
    competition, path = zipped(change)
    assert said in _problems(competition, path)[name]


def test_encrypted_and_exotic_entries_are_refused(zipped):
    competition, path = zipped()
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02")
    data[place + 8] |= 1  # general purpose flag, bit 0
    path.write_bytes(data)
    assert _problems(competition, path)["0_main.png"] == "is encrypted"


def test_other_compression_is_refused(zipped):
    competition, path = zipped(compression=zipfile.ZIP_LZMA)
    assert "deflate" in _problems(competition, path)["0_main.png"]


def test_a_bomb_is_stopped_while_it_is_read(zipped):
    def change(file):
        file.writestr("submission.json", bytes(300 * 2**20))

    competition, path = zipped(change)
    tracemalloc.start()
    assert "is larger than" in _problems(competition, path)["submission.json"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * 2**20


def test_sizes_that_lie_are_noticed(zipped):
    competition, path = zipped()
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02")
    data[place + 24 : place + 28] = struct.pack("<I", 10)  # uncompressed size in the directory
    path.write_bytes(data)
    assert "damaged" in _problems(competition, path)["0_main.png"]


def test_damage_anywhere_never_raises_anything_else(zipped):
    competition, path = zipped()
    data = path.read_bytes()
    valid = 0
    for place in range(0, len(data), 7):
        damaged = bytearray(data)
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        try:
            Submission.open(path, competition)
            valid += 1  # a byte that nobody reads, such as a time stamp
        except SubmissionError:
            continue
    assert valid < len(data) / 14


def test_too_many_entries(zipped, monkeypatch):
    monkeypatch.setattr(archive, "MAX_ENTRIES", 4)
    competition, path = zipped()
    assert "more than 4" in _problems(competition, path)[""]


def test_pack_gives_equal_bytes_and_refuses_to_overwrite(tiny_competition, tiny_submission, tmp_path):
    competition = tiny_competition()
    folder = tiny_submission(competition)
    files = open_files(folder)
    write_zip(files, files.names, tmp_path / "a.zip", 2**20)
    (folder / "0_main.png").touch()
    write_zip(open_files(folder), reversed(files.names), tmp_path / "b.zip", 2**20)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert Submission.open(tmp_path / "a.zip", competition).manifest is not None
    with pytest.raises(UsageError, match="exists already"):
        write_zip(files, files.names, tmp_path / "a.zip", 2**20)


def test_a_failed_pack_leaves_nothing(tiny_competition, tiny_submission, tmp_path):
    files = open_files(tiny_submission(tiny_competition()))
    with pytest.raises(NotReadable):
        write_zip(files, [*files.names, "gone.png"], tmp_path / "a.zip", 2**20)
    assert not list(tmp_path.glob("*.zip"))
    assert not list(tmp_path.glob(".*.part"))
