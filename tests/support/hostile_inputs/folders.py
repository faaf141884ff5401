"""Folders: what is in them beside images, and what is no folder at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from hostile_inputs.case import FIRST, NAMES, Case, validate


def _case(name: str, said: str, change: Callable[[Path], object], code: int = 3) -> Case:
    def make(root: Path) -> None:
        change(root / "drawn")

    return Case("folder", name, make, code, said)


def _write(name: str, data: bytes = b"x") -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(data)


def _bytes_name(name: bytes) -> Callable[[Path], object]:
    return lambda folder: Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(b"x")


def _replace(folder: Path, make: Callable[[Path], object]) -> None:
    (folder / FIRST).unlink()
    make(folder / FIRST)


def _target(name: str, said: str, target: str) -> Case:
    return Case("folder", name, lambda root: validate(Path(target), root), 3, said)


def _deep(path: Path) -> None:
    path.mkdir()
    for _ in range(100):
        path = path / "a"
        path.mkdir()


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


CASES = [
    _case("honest", "valid submission", lambda folder: None, 0),
    _case("a file more", "not named", _write("more.png")),
    _case("a script", "not named", _write("numpy.py", b"raise SystemExit")),
    _case("another case", "differs in case", lambda folder: (folder / FIRST).rename(folder / "0_MAIN.PNG")),
    _case("another suffix", "should be a .png", lambda folder: (folder / FIRST).rename(folder / "0_main.webp")),
    _case("link to an image", "symbolic link", lambda folder: _replace(folder, lambda p: p.symlink_to(NAMES[1]))),
    _case("link to a device", "symbolic link", lambda folder: _replace(folder, lambda p: p.symlink_to("/dev/zero"))),
    _case("link to itself", "symbolic link", lambda folder: _replace(folder, lambda p: p.symlink_to(FIRST))),
    _case("link to nothing", "symbolic link", lambda folder: _replace(folder, lambda p: p.symlink_to("nowhere"))),
    _case("fifo", "not a regular file", lambda folder: _replace(folder, os.mkfifo)),
    _case("folder as an image", "is a folder", lambda folder: _replace(folder, Path.mkdir)),
    _case("100 folders deep", "is a folder", lambda folder: _replace(folder, _deep)),
    _case("sparse file of a terabyte", "larger than", lambda folder: _replace(folder, _sparse)),
    _case("name that is no UTF-8", "\\udcff", _bytes_name(b"\xff\xfe.png")),
    _case("name with a line end", "\\n", _bytes_name(b"a\n::error::b.png")),
    _case("name with an escape", "\\x1b", _bytes_name(b"\x1b]0;title\x07.png")),
    _case("name with bidi", "\\u202e", _bytes_name("\u202egnp.exe".encode())),
    _case("name that is a command", "not named", _bytes_name(b"::stop-commands::x")),
    _case("name that is an option", "not named", _bytes_name(b"--overwrite")),
    _case("name for a shell", "not named", _bytes_name(b"$(touch pwned);`id`.png")),
    _case("decomposed name", "not named", _bytes_name("e\u0301.png".encode())),
    _case("empty", "is missing", lambda folder: [path.unlink() for path in folder.iterdir()]),
    _case("1,100 files more", "more than", lambda folder: [(folder / f"{i}").touch() for i in range(1100)]),
    _case("what systems leave", "ignored", _write(".DS_Store"), 0),
    _target("nowhere", "not there", "nowhere"),
    _target("root", "/ is not valid", "/"),
    _target("here", ". is not valid", "."),
    _target("device", "not a regular file", "/dev/zero"),
    _target("long path", "", "/tmp/" + "a" * 5000),
    _target("empty path", "", ""),
]
