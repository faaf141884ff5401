"""Prompt lists: broken, ambiguous, naming files that must not be written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hostile_inputs.case import NAMES, TOML, Case


def _case(name: str, said: str, data: str | bytes | dict[str, Any], *, suffix: str = "json", code: int = 3) -> Case:
    def make(root: Path) -> None:
        text = json.dumps(data) if isinstance(data, dict) else data
        (root / "tiny" / f"test.{suffix}").write_bytes(text.encode() if isinstance(text, str) else text)
        toml = TOML.replace("test.json", f"test.{suffix}")
        (root / "tiny" / "competition.toml").write_text(toml, encoding="utf-8")

    return Case("prompts", name, make, code, said)


def _named(name: str) -> dict[str, Any]:
    return {"0": {"image_name": name, "text_prompt": "x"}}


def _text(text: str) -> dict[str, Any]:
    return {"0": {"image_name": NAMES[0], "text_prompt": text}}


CASES = [
    _case("empty", "", ""),
    _case("no prompts", "no prompts", {}),
    _case("not JSON", "JSON", "{"),
    _case("nested deep", "nested too deeply", "[" * 100_000),
    _case("not UTF-8", "UTF-8", b'{"0": {"image_name": "\xff"}}'),
    _case("NaN", "NaN", '{"0": NaN}'),
    _case("key twice", "twice", '{"0": {}, "0": {}}'),
    _case("number of 5,000 digits", "4300", '{"0": ' + "9" * 5000 + "}"),
    _case("a name that leads out", "not allowed", _named("../evil.png")),
    _case("an absolute name", "not allowed", _named("/tmp/evil.png")),
    _case("a name with an escape", "invisible", _named("\x1b[2J.png")),
    _case("a name with a line end", "invisible", _named("a\n::error::b.png")),
    _case("a name that is an option", "starts with", _named("--out.png")),
    _case("a name without suffix", "does not end", _named("evil.sh")),
    _case("a device of Windows", "device name", _named("con.png")),
    _case("a name of 300 bytes", "longer than", _named("x" * 300 + ".png")),
    _case("names that differ in case", "differs only in case",
          _named("a.png") | {"1": {"image_name": "A.png", "text_prompt": "x"}}),
    _case("an empty prompt", "empty", _text("")),
    _case("a prompt with an escape", "control", _text("\x1b[2J")),
    _case("a prompt of a megabyte", "longer than", _text("x" * 2**20)),
    _case("a lone surrogate", "control", '{"0": {"image_name": "0_main.png", "text_prompt": "\\ud800"}}'),
    _case("csv with a cell of a megabyte", "", "id,prompt\n0," + "x" * 2**20 + "\n", suffix="csv"),
    _case("csv with an open quote", "", 'id,prompt\n0,"x\n1,y\n', suffix="csv"),
    _case("csv with a NUL", "", b"id,prompt\n0,a\0b\n", suffix="csv"),
    _case("another form", "", "x", suffix="exe"),
]  # fmt: skip
