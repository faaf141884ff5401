"""The leaderboard: rows of measured submissions, their ranking, and the gate. `python -m leaderboard --help`."""

import sys
from os.path import dirname

# `python -m` looks for modules in the current folder first. That may be a stranger's submission, with a numpy.py in it.
if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:
    sys.path[0] = dirname(dirname(__file__))

import submission  # noqa: F401 -- before others: it watches over the imports
from leaderboard.board import LOCAL, SHIPPED, Added, AlreadyThere, BoardError, NotAdded, append, entries, read
from leaderboard.gate import GateResult, Verdict, evaluate
from leaderboard.ranking import Group, Ranked, rank
from leaderboard.row import Row

__all__ = [
    "LOCAL",
    "SHIPPED",
    "Added",
    "AlreadyThere",
    "BoardError",
    "GateResult",
    "Group",
    "NotAdded",
    "Ranked",
    "Row",
    "Verdict",
    "append",
    "entries",
    "evaluate",
    "rank",
    "read",
]
