"""submission.json: broken, huge, and telling other things than are so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hostile_inputs.case import NAMES, Case

HONEST: dict[str, Any] = {"competition": "tiny", "model": "blobs", "seed": 0}


def _case(name: str, said: str, data: bytes | str | dict[str, Any], code: int = 3) -> Case:
    def make(root: Path) -> None:
        text = json.dumps(data) if isinstance(data, dict) else data
        raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        (root / "drawn" / "submission.json").write_bytes(raw)

    return Case("manifest", name, make, code, said)


def _more(rest: bytes) -> bytes:
    return json.dumps(HONEST).encode()[:-1] + b", " + rest + b"}"


_HASHES = dict.fromkeys(NAMES, "0" * 64)
CASES = [
    _case("honest", "valid submission", HONEST, 0),
    _case("empty", "not JSON", b""),
    _case("not JSON", "not JSON", b"{"),
    _case("a list", "dictionary", b"[]"),
    _case("not UTF-8", "not UTF-8", b'{"competition": "\xff"}'),
    _case("NaN", "NaN is not JSON", _more(b'"settings": {"a": NaN}')),
    _case("a key twice", "twice", _more(b'"seed": 1')),
    _case("unknown key", "extra", HONEST | {"extra": 1}),
    _case("missing keys", "seed", {"competition": "tiny", "model": "x"}),
    _case("seed of another type", "seed", HONEST | {"seed": "0"}),
    _case("seed below zero", "seed", HONEST | {"seed": -1}),
    _case("seed of 5,000 digits", "4300 digits", _more(b'"seed": ' + b"9" * 5000)),
    _case("seed with an exponent", "seed", b'{"competition": "tiny", "model": "x", "seed": 1e999}'),
    _case("another competition", "drawn for the competition", HONEST | {"competition": "x; touch pwned"}),
    _case("escape in the model", "invisible characters", HONEST | {"model": "\x1b[2J"}),
    _case("bidi in the model", "invisible characters", HONEST | {"model": "\u202egnp"}),
    _case("lone surrogate", "model", b'{"competition": "tiny", "model": "\\ud800", "seed": 0}'),
    _case("model of a megabyte", "1000 characters", HONEST | {"model": "x" * 2**20}),
    _case("blank model", "valid submission", HONEST | {"model": " "}, 0),
    _case("command as model", "valid submission", HONEST | {"model": "::error::x"}, 0),
    _case("nested 100,000 deep", "nested too deeply", b"[" * 100_000),
    _case(
        "settings nested deep",
        "nested more than 16 deep",
        _more(b'"settings": {"a": ' + b"[" * 300 + b"]" * 300 + b"}"),
    ),
    _case("settings of 900 kB", "65,536", HONEST | {"settings": {"a": "x" * 900_000}}),
    _case("20 MiB", "larger than", HONEST | {"settings": {"a": "x" * 20 * 2**20}}),
    _case("10,000 weights", "10,000 entries", HONEST | {"weights": {f"{i}": "0" * 64 for i in range(10_000)}}),
    _case("wrong hash form", "sha256", HONEST | {"images": dict.fromkeys(NAMES, "x")}),
    _case("100,000 wrong hashes", "", HONEST | {"images": {f"{i}": "x" for i in range(90_000)}}),
    _case("other hashes", "other bytes", HONEST | {"images": _HASHES}),
    _case("hashes of other images", "lists other images", HONEST | {"images": {"x.png": "0" * 64}}),
    _case("100,000 NaN", "more problems", b"[" + b"NaN," * 100_000 + b"1]"),
    _case("long keys, nested", "NaN", (b'{"' + b"k" * 1000 + b'": ') * 800 + b"NaN" + b"}" * 800),
    _case("a key 100,000 times", "twice", b"{" + b'"a": 1, ' * 100_000 + b'"a": 1}'),
]
