"""The contract: what a competition is, what a submission is, what a scorecard is. No torch."""

import sys
from os.path import basename, dirname

# `python -m` looks for modules in the current folder first. That may be a stranger's submission, with a numpy.py in it.
if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:
    sys.path[0] = dirname(dirname(__file__))
if sys.argv[:1] == ["-m"] or basename(sys.argv[0] if sys.argv else "").partition(".")[0] == "drawoff":
    from submission.startup import watch_imports

    watch_imports()

from submission.competition import Competition
from submission.errors import CompetitionError, MissingPart, Problem, SubmissionError
from submission.manifest import Manifest
from submission.prompts import Prompt, image_seed
from submission.scorecard import Scorecard
from submission.submission import Submission
from submission.writer import SubmissionWriter

__all__ = [
    "Competition",
    "CompetitionError",
    "Manifest",
    "MissingPart",
    "Problem",
    "Prompt",
    "Scorecard",
    "Submission",
    "SubmissionError",
    "SubmissionWriter",
    "image_seed",
]
