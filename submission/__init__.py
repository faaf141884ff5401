"""The contract: what a competition is, what a submission is, what a scorecard is. No torch."""

from submission.competition import Competition
from submission.errors import CompetitionError, MissingPart, Problem, SubmissionError
from submission.manifest import Manifest
from submission.prompts import Prompt, image_seed
from submission.scorecard import Scorecard

__all__ = [
    "Competition",
    "CompetitionError",
    "Manifest",
    "MissingPart",
    "Problem",
    "Prompt",
    "Scorecard",
    "SubmissionError",
    "image_seed",
]
