"""The scorer: a submission and a competition in, a scorecard out. `python -m scorer --help`."""

from scorer.score import score

__all__ = ["score"]
