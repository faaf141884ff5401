"""A competition.toml of foreign origin is refused in words, and in the time that its size says: the parser alone takes
minutes for some of these."""

from __future__ import annotations

import pytest

from submission import competition_toml
from submission.competition import Competition
from submission.errors import CompetitionError

CASES = {
    "not TOML": b"[competition",
    "not UTF-8": b'a = "\xff"',
    "has a key of more than 32 parts (line 2)": b"\n" + b"a." * 100_000 + b"a = 1",
    "a key of more than 32 parts": b'"a" . ' * 40_000 + b"a = 1",
    "key of more than 32 parts": b"x = {" + b"'a'." * 50_000 + b"a = 1}",
    "more than 32 parts": b"[" + b"a." * 100_000 + b"a]",
    "Exceeds the limit": b"a = " + b"9" * 5000,
    "nested too deeply": b"a = " + b"[" * 100_000,
    "nested too": b"a = " + b"{a=" * 50_000,
    "larger than": b"#" * 2**19,
    "Invalid date": b"a = 2020-02-31",
    "is not TOML: Expected": b"a" * 200_000,
}


@pytest.mark.parametrize(("said", "data"), CASES.items(), ids=CASES)
def test_refused_in_words(tmp_path, said, data):
    with pytest.raises(ValueError, match=said.replace("(", r"\(").replace(")", r"\)")):
        competition_toml.parse(data)
    (tmp_path / "competition.toml").write_bytes(data)
    with pytest.raises(CompetitionError, match=r"competition\.toml: "):
        Competition.load(tmp_path)


def test_what_is_not_a_key_may_have_dots():
    text = f'a = "{"x." * 500}"\nb = [{"1.5, " * 500}]\n' + "c." * 31 + "d = 1"
    assert competition_toml.parse(text.encode())["b"] == [1.5] * 500
