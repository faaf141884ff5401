"""Names that no entry can have: those that read as another entry's and are written otherwise."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from submission.errors import UsageError, shown

# Letters that look like Latin ones, of the scripts that are used to imitate them (a part of Unicode's confusables.txt).
_LOOK_LIKE = str.maketrans(
    "аеорсухіјѕԁԛԝһвкмнтгпьοανικρτυχεηωμβγδςζоАВЕКМНОРСТХΑΒΕΖΗΙΚΜΝΟΡΤΥΧıȷɑɡɩℓᴏӏѵүꓐꓑꓓꓔꓖꓗꓙꓚꓜꓝꓟꓠꓡꓢꓣꓦꓧꓪꓫꓬꓮꓰꓳꓴ",
    "aeopcyxijsdqwhbkmhtrnboavikptyxenwubydczoabekmhopctxabezhikmnoptyxijagilolvybpdtgkjczfmnlsrvhwxyaeou",
)
_CAPITAL = re.compile(r"(?:SMALL CAPITAL|LATIN CAPITAL LETTER) ([A-Z])$")  # of whose name: ᴀ, 🅐
_ANY = "\0"  # for a letter of a script that is not mixed with Latin letters in a word but to imitate one, whichever
_OWN = ("LATIN", "GREEK", "CYRILLIC")  # the scripts with two cases that are
# What the board and its tables put after a name themselves.
_MARKS = "*=≈"
_REMARKS = ("(scored here)", "(suspect)")
# Characters that are not seen, beside those of the categories for control and format.
_UNSEEN = {0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x2800, 0x3164, 0xFFA0}
_UNSEEN |= {*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}


def check(name: str, written: str, local: Iterable[str], shipped: Iterable[str] = ()) -> None:
    """Raises UsageError for a name that is empty or ends in a mark of the board, or that reads as an entry's that is
    written otherwise: with letters of another script, in capitals, with invisible characters.

    Args:
        name: as it would be on the board.
        written: as it was given, with what the board does not show.
        local: the names of the local board.
        shipped: those of the shipped baselines.
    """
    if not skeleton(name):
        raise UsageError("an entry of the board needs a name that can be seen: --name NAME")
    if name.endswith(_REMARKS) or _is_mark(name[-1]):
        raise UsageError(f"{shown(name)!r} ends in a mark that the board itself puts after names: --name NAME")
    wanted, hidden = {skeleton(name), skeleton(written)}, any(_is_unseen(char) for char in written)
    imitations = [text for text in wanted if _ANY in text]
    for others, whose in ((shipped, "a shipped baseline"), (local, "an entry of the board")):
        for other in set(others):
            if other == name and not hidden:
                continue
            seen = other.casefold() if other.isascii() else skeleton(other)
            if seen in wanted or any(_imitates(text, seen) for text in imitations):
                raise UsageError(
                    f"{shown(written)!r} reads as {shown(other)!r}, which is {whose}, but is written otherwise: "
                    "write it in the same way when it is the same entry, else choose another --name"
                )


def skeleton(name: str) -> str:
    """What is left of a name to the eye: equal where they can be taken for each other, with `_ANY` for any letter."""
    if name.isascii():
        return " ".join(name.split()).casefold()
    seen = "".join(" " if char.isspace() else char for char in name if not _is_unseen(char))
    text = unicodedata.normalize("NFKC", seen).translate(_LOOK_LIKE).casefold().translate(_LOOK_LIKE)
    text = "".join(_capital(char) for char in text if not _is_unseen(char))
    text = re.sub(r"[^\W\d_]+", _mixed, text)
    while text and _is_mark(text[-1]):
        text = text[:-1].rstrip()
    return " ".join(text.split())


def _capital(char: str) -> str:
    found = None if char.isascii() else _CAPITAL.search(unicodedata.name(char, ""))
    return found[1].lower() if found else char


def _mixed(word: re.Match[str]) -> str:
    """A word with `_ANY` for its letters of other scripts than `_OWN`, where most are not such. Only of scripts with
    two cases: those of others look like no Latin one, but for a Lisu letter that looks like two."""
    odd = [
        (char.isupper() or char.islower() or char == "ꓲ") and not unicodedata.name(char).startswith(_OWN)
        for char in word[0]
    ]
    mixed = 2 * sum(odd) < len(odd)
    return "".join(_ANY if mixed and is_odd else char for char, is_odd in zip(word[0], odd, strict=True))


def _imitates(text: str, seen: str) -> bool:
    return len(text) == len(seen) and all(ours in (_ANY, theirs) for ours, theirs in zip(text, seen, strict=True))


def _is_unseen(char: str) -> bool:
    return unicodedata.category(char)[0] == "C" or ord(char) in _UNSEEN


def _is_mark(char: str) -> bool:
    return char in _MARKS or "ASTERISK" in unicodedata.name(char, "") or "EQUALS SIGN" in unicodedata.name(char, "")
