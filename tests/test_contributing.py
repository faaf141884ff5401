"""CONTRIBUTING's map: the two ways are those that the calls take, and its recipes are those that tests follow."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

import baselines.__main__
import scorer.__main__
from submission import Competition

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MOST_STOPS = 12


def way(title: str) -> list[str]:
    """The functions of one of the page's ways."""
    _, _, rest = PAGE.partition(f"\n### {title}\n")
    return re.findall(r"^\d+\. `([\w.]+)`", rest.partition("\n#")[0], re.MULTILINE)


@contextmanager
def calls_of(functions: Sequence[str]) -> Iterator[list[str]]:
    """The calls of these functions meanwhile, in whatever thread, in order."""
    found: list[str] = []
    wanted = set(functions)

    def note(frame: FrameType, event: str, argument: object) -> None:
        name = f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}"
        if name in wanted:
            found.append(name)

    threading.settrace(note)
    sys.settrace(note)
    try:
        yield found
    finally:
        sys.settrace(None)
        threading.settrace(None)


def is_within(stops: Sequence[str], called: Sequence[str]) -> bool:
    """Whether the stops are called one after the other, whatever else is called between."""
    rest = iter(called)
    return all(stop in rest for stop in stops)


def test_the_way_of_a_prompt_is_the_one_that_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stops = way("The way of a prompt to a pixel")
    assert 6 < len(stops) <= MOST_STOPS
    words = ["monster", "--limit", "1", "--batch-size", "1", "--out", str(tmp_path / "drawn"), "--device", "cpu"]
    with calls_of(stops) as called:
        code = baselines.__main__.main(words)
    assert code == 0, capsys.readouterr().err
    assert is_within(stops, called), dict.fromkeys(called)


def test_the_way_of_an_image_is_the_one_that_is_taken(
    tmp_path: Path,
    tiny_competition: Callable[..., Competition],
    tiny_submission: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    stops = way("The way of an image to a CSV cell")
    assert 6 < len(stops) <= MOST_STOPS
    competition = tiny_competition()
    words = [str(tiny_submission(competition)), "--competition", str(competition.root), "--device", "cpu", "--no-cache"]
    with calls_of(stops) as called:
        code = scorer.__main__.main([*words, "--leaderboard", str(tmp_path / "board.csv")])
    assert code == 0, capsys.readouterr().err
    assert is_within(stops, called), dict.fromkeys(called)


@pytest.mark.parametrize("recipe", ["metric", "generator", "competition"])
def test_a_recipe_is_what_its_test_does(recipe: str) -> None:
    """The test that the recipe names is there, and what it writes is named in the recipe."""
    text = PAGE.partition(f"**Add a {recipe}**")[2].partition("\n**")[0]
    test = ROOT / re.search(r"`(tests/[\w/]+\.py)`", text)[1]
    source = test.read_text(encoding="utf-8")
    commands = "\n".join(re.findall(r"^\$ (.*)$", text, re.MULTILINE))
    made = re.search(r"(?:cp \S+|mkdir) (\S+)", commands)[1]
    assert Path(made).name.removesuffix(".py") in source
    for edited in re.findall(r"edit (\S+)", commands):
        assert (ROOT / edited).is_file()
        assert Path(edited).name in source
    for original in re.findall(r"cp (\S+)", commands):
        assert (ROOT / original).is_file()
