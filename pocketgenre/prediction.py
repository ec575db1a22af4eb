"""Predict the genre of a song from the probabilities of its segments."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pocketgenre.constants import TOP_GENRES, UNCERTAIN
from pocketgenre.timeline import TimelinePart, timeline

VoteRule = Literal["majority", "probability"]
"""``majority``: each segment votes for its most probable genre, and the genre with the most votes
wins. ``probability``: the genre with the highest mean probability wins."""

VOTE_RULES: tuple[VoteRule, ...] = get_args(VoteRule)


@dataclass(frozen=True)
class LabelConfig:
    """Vote rule and thresholds that turn segment probabilities into a label.

    Attributes
    ----------
    vote : vote rule
    min_confidence : confidence below which the label is ``uncertain``, in [0, 1]
    min_margin : margin below which the label is ``uncertain``, in [-1, 1]

    Raises
    ------
    ValueError
        if a value is out of range.
    """

    vote: VoteRule = "majority"
    min_confidence: float = 0.0
    min_margin: float = -1.0

    def __post_init__(self) -> None:
        if self.vote not in VOTE_RULES:
            raise ValueError(f"vote must be one of {', '.join(VOTE_RULES)}, not {self.vote!r}")
        if not 0 <= self.min_confidence <= 1 or not -1 <= self.min_margin <= 1:
            raise ValueError("min_confidence must be in [0, 1], and min_margin in [-1, 1]")

    @property
    def has_thresholds(self) -> bool:
        """True if a song may become ``uncertain``."""
        return self.min_confidence > 0.0 or self.min_margin > -1.0


DEFAULT_LABELS = LabelConfig()
"""Majority vote without thresholds."""


@dataclass(frozen=True)
class SongPrediction:
    """The predicted genre of a song.

    Predictions are equal if all but their ``segment_probabilities`` are equal.

    Attributes
    ----------
    genre : predicted genre, or :data:`UNCERTAIN` below the thresholds
    winner : genre that won the vote, whatever the thresholds
    confidence : share of the votes for the winning genre (rule ``majority``), or its mean
        probability (rule ``probability``), in (0, 1]
    probability : mean probability of the winning genre over the segments
    margin : ``probability`` minus the highest mean probability of any other genre; negative if
        vote and probabilities disagree
    top : the three most probable genres with their mean probabilities, most probable first
    votes : number of segments whose most probable genre it is, for every genre
    probabilities : mean probability over the segments, for every genre
    labels : genres in the order of the columns of ``segment_probabilities``
    segment_probabilities : float [shape=(segments, genres)], in the order of the song
    seconds_per_segment : length of a segment [s]; 0 if the segments are not consecutive
    """

    genre: str
    winner: str
    confidence: float
    probability: float
    margin: float
    top: tuple[tuple[str, float], ...]
    votes: dict[str, int] = field(repr=False)
    probabilities: dict[str, float] = field(repr=False)
    labels: tuple[str, ...] = field(repr=False)
    segment_probabilities: NDArray[np.floating] = field(repr=False, compare=False)
    seconds_per_segment: float = 0.0

    __hash__ = None  # type: ignore[assignment]  # its dictionaries have no hash

    @property
    def segments(self) -> int:
        """Number of classified segments, which is the number of votes."""
        return len(self.segment_probabilities)

    @cached_property
    def timeline(self) -> tuple[TimelinePart, ...]:
        """Parts of the song with one genre each; empty if segments were left out."""
        return timeline(self.segment_probabilities, self.labels, self.seconds_per_segment)

    def to_dict(self, *, with_timeline: bool = True) -> dict[str, Any]:
        """Return the fields as JSON types, as ``scan-library --format json`` writes them.

        Numbers are rounded to four digits. ``timeline`` is None if the song has only one part.
        """
        fields: dict[str, Any] = {
            "genre": self.genre,
            "confidence": round(self.confidence, 4),
            "probability": round(self.probability, 4),
            "margin": round(self.margin, 4),
            "top": [{"genre": genre, "probability": round(p, 4)} for genre, p in self.top],
            "votes": self.votes,
            "segments": self.segments,
            "probabilities": {label: round(p, 4) for label, p in self.probabilities.items()},
        }
        if with_timeline:
            parts = [part.to_dict() for part in self.timeline]
            fields["timeline"] = parts if len(parts) > 1 else None
        return fields


def predict_song(
    segment_probabilities: NDArray[np.floating],
    labels: Sequence[str],
    config: LabelConfig = DEFAULT_LABELS,
    seconds_per_segment: float = 0.0,
) -> SongPrediction:
    """Predict the genre of a song by a vote of its segments.

    Ties of the majority are broken by the larger summed probability.

    Parameters
    ----------
    segment_probabilities : float [shape=(segments, genres)], segments >= 1
    labels : genres in the order of the columns
    config : vote rule and thresholds
    seconds_per_segment : length of a segment [s]; 0 if the segments are not consecutive

    Raises
    ------
    ValueError
        if there are no segments, or the labels don't match the columns.
    """
    table = np.asarray(segment_probabilities, dtype=np.float64)
    if table.ndim != 2 or not len(table) or table.shape[1] != len(labels):
        raise ValueError(f"expected (segments, {len(labels)}) probabilities, got {table.shape}")
    votes = np.bincount(table.argmax(axis=1), minlength=len(labels))
    means = table.mean(axis=0)
    if config.vote == "majority":
        winner = int(np.lexsort((table.sum(axis=0), votes))[-1])
        confidence = float(votes[winner] / len(table))
    else:
        winner = int(means.argmax())
        confidence = float(means[winner])
    ranking = np.argsort(-means, kind="stable")
    best_other = max((float(means[i]) for i in ranking if i != winner), default=0.0)
    margin = float(means[winner]) - best_other
    is_certain = confidence >= config.min_confidence and margin >= config.min_margin
    return SongPrediction(
        genre=labels[winner] if is_certain else UNCERTAIN,
        winner=labels[winner],
        confidence=confidence,
        probability=float(means[winner]),
        margin=margin,
        top=tuple((labels[i], float(means[i])) for i in ranking[:TOP_GENRES]),
        votes={label: int(n) for label, n in zip(labels, votes, strict=True)},
        probabilities={label: float(p) for label, p in zip(labels, means, strict=True)},
        labels=tuple(labels),
        segment_probabilities=segment_probabilities,
        seconds_per_segment=seconds_per_segment,
    )
