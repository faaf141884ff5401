"""Broken and malicious inputs, as a table: each with the exit code that it must have and a word that must be said.

`CASES` are judged by `python -m submission validate` (or the command that the case names) for the competition that
`competition` writes: eight images of 64 pixels.
"""

from __future__ import annotations

from hostile_inputs import archives, boards, competitions, folders, images, manifests, prompt_lists
from hostile_inputs.case import Case, competition, honest

CASES: list[Case] = [
    *images.CASES,
    *archives.CASES,
    *folders.CASES,
    *manifests.CASES,
    *competitions.CASES,
    *prompt_lists.CASES,
    *boards.CASES,
]

__all__ = ["CASES", "Case", "competition", "honest"]
