"""Boards: broken lines, and cells that would act."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from hostile_inputs.case import Case

SHIPPED = Path(__file__).resolve().parents[3] / "leaderboard" / "baselines.csv"


def _case(name: str, said: str, change: Callable[[bytes], bytes], code: int = 3) -> Case:
    def make(root: Path) -> list[str]:
        (root / "board.csv").write_bytes(change(SHIPPED.read_bytes()))
        return ["leaderboard", "show", "--competition", "bestiary", "--leaderboard", str(root / "board.csv")]

    return Case("board", name, make, code, said)


def _cell(text: bytes) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        head, line = data.split(b"\n")[:2]
        return head + b"\n" + line.replace(b",stable,", b"," + text + b",", 1) + b"\n"

    return change


def _pipe(root: Path) -> list[str]:
    os.mkfifo(root / "board.csv")
    return ["leaderboard", "show", "--leaderboard", str(root / "board.csv")]


CASES = [
    Case("board", "a pipe", _pipe, 3, "not a regular file"),
    Case(
        "board", "a device without an end", lambda _: ["leaderboard", "show", "--leaderboard", "/dev/zero"], 3, "not a"
    ),
    _case("honest", "", lambda data: data, 0),
    _case("empty", "", lambda data: b"", 0),
    _case("cut off", "line", lambda data: data[:-20]),
    _case("not UTF-8", "UTF-8", lambda data: data + b"\xff\n"),
    _case("binary", "", lambda data: bytes(range(256)) * 100),
    _case("an open quote", "line", _cell(b'"stable')),
    _case("a formula", "spreadsheet", _cell(b"=cmd|' /C calc'!A0")),
    _case("an escape", "line", _cell(b"\x1b[2J")),
    _case("a line too long", "line", lambda data: data[:-1] + b",1" * 100_000 + b"\n"),
    _case("2,000,000 empty lines", "1,000,000 rows at most", lambda data: data + b"\n" * 2_000_000),
    _case("300,000 empty lines", "line", lambda data: data + b"\n" * 300_000),
]
