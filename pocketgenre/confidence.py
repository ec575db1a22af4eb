"""Estimate the probability that a song's label is correct."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from pocketgenre.constants import CONFIDENCE_MAX_SEGMENTS

_MIN_PROBABILITY = 1e-3  # a mean of half-precision values has no more digits


@dataclass(frozen=True)
class SongEvidence:
    """Quantities of a song from which its confidence is computed.

    Attributes
    ----------
    probability : log-odds of the label's mean probability
    vote_share : share of the votes for the label, in [0, 1]
    margin : mean probability of the label minus the highest of any other, in [-1, 1]
    segments : natural logarithm of the number of votes, of at most CONFIDENCE_MAX_SEGMENTS
    """

    probability: float
    vote_share: float
    margin: float
    segments: float

    @classmethod
    def of(cls, probability: float, vote_share: float, margin: float, votes: int) -> Self:
        """Create the evidence from the label's mean probability and the number of votes."""
        p = min(max(probability, _MIN_PROBABILITY), 1 - _MIN_PROBABILITY)
        count = min(votes, CONFIDENCE_MAX_SEGMENTS)
        return cls(math.log(p / (1 - p)), vote_share, margin, math.log(count))


@dataclass(frozen=True)
class ConfidenceModel:
    """Logistic regression from a song's evidence to the probability that its label is correct.

    Attributes
    ----------
    intercept : log-odds for evidence of zeros
    weights : weight of each quantity of the evidence
    min_confidence : confidence below which a label is uncertain unless the user chooses otherwise
    """

    intercept: float
    weights: SongEvidence
    min_confidence: float

    def confidence(self, evidence: SongEvidence) -> float:
        """Compute the probability that a label is correct, in (0, 1)."""
        weights = self.weights
        log_odds = (
            self.intercept
            + weights.probability * evidence.probability
            + weights.vote_share * evidence.vote_share
            + weights.margin * evidence.margin
            + weights.segments * evidence.segments
        )
        return 1 / (1 + math.exp(-log_odds))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, as model cards store it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read what :meth:`to_dict` returned.

        Raises
        ------
        KeyError, TypeError, ValueError
            if a value is missing, is not a number or is out of range.
        """
        weights = {
            field.name: float(values["weights"][field.name]) for field in fields(SongEvidence)
        }
        model = cls(
            float(values["intercept"]), SongEvidence(**weights), float(values["min_confidence"])
        )
        if not all(map(math.isfinite, (model.intercept, *weights.values()))):
            raise ValueError("confidence must have finite values")
        if not 0 <= model.min_confidence <= 1:
            raise ValueError("min_confidence must be in [0, 1]")
        return model
