"""The contract: what a competition is, what a submission is, what a scorecard is. No torch."""

from submission.competition import Competition
from submission.errors import CompetitionError, MissingPart, Problem, SubmissionError
from submission.folder import Submission
from submission.manifest import Manifest
from submission.prompts import Prompt, image_seed
from submission.scorecard import Scorecard
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
