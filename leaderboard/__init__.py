"""The leaderboard: rows of measured submissions, their ranking, and the gate. `python -m leaderboard --help`."""

from leaderboard.board import LOCAL, SHIPPED, Added, AlreadyThere, BoardError, NotAdded, append, entries, read
from leaderboard.gate import GateResult, Verdict, evaluate
from leaderboard.ranking import Group, Ranked, rank
from leaderboard.row import Row
from leaderboard.table import show

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
    "show",
]
