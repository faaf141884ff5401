"""competition.toml: broken, deep, huge, pointing elsewhere."""

from __future__ import annotations

from pathlib import Path

from hostile_inputs.case import TOML, Case


def _case(name: str, said: str, data: str | bytes, code: int = 3) -> Case:
    def make(root: Path) -> None:
        (root / "tiny" / "competition.toml").write_bytes(data.encode() if isinstance(data, str) else data)

    return Case("competition", name, make, code, said)


def _top(line: str) -> str:
    return TOML.replace("[backbones]", f"{line}\n[backbones]", 1)


CASES = [
    _case("honest", "valid submission", TOML, 0),
    _case("byte order mark", "valid submission", "\ufeff" + TOML, 0),
    _case("empty", "competition", ""),
    _case("not UTF-8", "not UTF-8", TOML.encode() + b"# \xff"),
    _case("binary", "", bytes(range(256)) * 100),
    _case("integer of 5,000 digits", "4300", "a = " + "9" * 5000),
    _case("arrays nested 100,000 deep", "nested too deeply", "a = " + "[" * 100_000),
    _case("tables nested 50,000 deep", "nested too deeply", "a = " + "{a=" * 50_000),
    _case("key of 100,000 parts", "parts", "a." * 100_000 + "a = 1"),
    _case("quoted key of 40,000 parts", "parts", '"a".' * 40_000 + '"a" = 1'),
    _case("table of 100,000 parts", "parts", "[" + "a." * 100_000 + "a]"),
    _case("a megabyte", "larger than", TOML + "#" * 2**20),
    _case("20,000 unknown keys", "not a key", TOML + "".join(f"k{i} = 1\n" for i in range(20_000))),
    _case("unknown key", "not a key", _top("nmae = 1")),
    _case("number of another type", "image_size", TOML.replace("image_size = 64", 'image_size = "64"')),
    _case("size of a billion", "image_size", TOML.replace("image_size = 64", "image_size = 1000000000")),
    _case("not a number", "fid", TOML.replace("fid = 90.0", "fid = nan")),
    _case("infinite", "fid", TOML.replace("fid = 90.0", "fid = inf")),
    _case("escape in the title", "title", _top('title = "\\u001b[2J"')),
    _case("name that leads out", "name", TOML.replace('"tiny"', '"../tiny"')),
    _case("name for a shell", "name", TOML.replace('"tiny"', '"$(touch pwned)"')),
    _case("prompts nowhere", "nowhere", TOML.replace("test.json", "nowhere.json"), 4),
    _case("prompts a device", "", TOML.replace("test.json", "/dev/zero")),
    _case("prompts a folder", "", TOML.replace("test.json", "references")),
    _case("references a device", "", TOML.replace('"references"', '"/dev/zero"')),
    _case("references not a zip", "", TOML.replace('"references"', '"test.json"')),
    _case("no such gate", "gate", TOML.replace('gate = "baseline"', 'gate = "x"')),
    _case("nul in a path", "", _top('attributes = "a\\u0000b"')),
]
