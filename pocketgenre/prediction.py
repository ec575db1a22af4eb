"""Predict the genre of a song from the probabilities of its segments."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from pocketgenre.confidence import ConfidenceModel, SongEvidence
from pocketgenre.constants import NOT_MUSIC, TOP_GENRES, UNCERTAIN
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
    vote : rule by which the segments decide
    min_confidence : confidence below which the label is ``uncertain``, in [0, 1]; None for the
        threshold of the model, which is 0 for a model without one
    min_margin : margin below which the label is ``uncertain``, in [-1, 1]

    Raises
    ------
    ValueError
        if a value is out of range.
    """

    vote: VoteRule = "majority"
    min_confidence: float | None = None
    min_margin: float = -1.0

    def __post_init__(self) -> None:
        if self.vote not in VOTE_RULES:
            raise ValueError(f"vote must be one of {', '.join(VOTE_RULES)}, not {self.vote!r}")
        if not 0 <= (self.min_confidence or 0) <= 1 or not -1 <= self.min_margin <= 1:
            raise ValueError("min_confidence must be in [0, 1], and min_margin in [-1, 1]")

    @property
    def has_thresholds(self) -> bool:
        """True if thresholds are given that a song may miss."""
        return bool(self.min_confidence) or self.min_margin > -1.0


@dataclass(frozen=True, eq=False)
class SongFeatures:
    """The inputs of a network's last layer for a song's segments.

    Attributes
    ----------
    base : hash of the network that computed them, see
        :class:`pocketgenre.models.output_layer.OutputLayer`
    values : int8 [shape=(segments, features)]; zeros for a silent segment
    """

    base: bytes
    values: NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class SongAnalysis:
    """The label probabilities of a song's segments, before the vote.

    Attributes
    ----------
    probabilities : float [shape=(segments, labels)], in the order of the song; zeros for a silent
        segment
    analyzed_seconds : length of the decoded audio [s]; None if unknown
    duration_seconds : length of the whole song by its file [s]; None if unknown
    is_partial : True if the end of the song could not be decoded, or is beyond the limit
    features : inputs of the network's last layer; None if they were not requested
    """

    probabilities: NDArray[np.floating]
    analyzed_seconds: float | None = None
    duration_seconds: float | None = None
    is_partial: bool = False
    features: SongFeatures | None = None


DEFAULT_LABELS = LabelConfig()
"""Majority vote with the threshold of the model."""


@dataclass(frozen=True)
class SongPrediction:
    """The predicted genre of a song.

    Predictions are equal if all but their ``segment_probabilities`` are equal.

    Attributes
    ----------
    genre : predicted genre; :data:`NOT_MUSIC` if most segments are not music; :data:`UNCERTAIN`
        below the thresholds. A song of the catalogue has the genre that its user has given it
    winner : label that won the vote, whatever the thresholds
    confidence : probability that the winner is correct; for a model that is not calibrated, the
        vote share (rule ``majority``) or the mean probability (rule ``probability``)
    vote_share : share of the votes for the winner, in [0, 1]
    probability : mean probability of the winner over the segments
    margin : ``probability`` minus the highest mean probability of any other label; negative if
        vote and probabilities disagree
    top : the three most probable labels with their mean probabilities, most probable first
    votes : number of segments whose most probable label it is, for every label
    probabilities : mean probability over the segments that are not silent, for every label
    labels : labels in the order of the columns of ``segment_probabilities``
    segment_probabilities : float [shape=(segments, labels)], in the order of the song; zeros for
        a silent segment, which has no vote
    seconds_per_segment : length of a segment [s]; 0 if the segments are not consecutive
    analyzed_seconds : length of the decoded audio [s]; None if unknown
    duration_seconds : length of the whole song by its file [s]; None if unknown
    is_partial : True if the end of the song could not be decoded, or is beyond the limit
    """

    genre: str
    winner: str
    confidence: float
    vote_share: float
    probability: float
    margin: float
    top: tuple[tuple[str, float], ...]
    votes: dict[str, int] = field(repr=False)
    probabilities: dict[str, float] = field(repr=False)
    labels: tuple[str, ...] = field(repr=False)
    segment_probabilities: NDArray[np.floating] = field(repr=False, compare=False)
    seconds_per_segment: float = 0.0
    analyzed_seconds: float | None = None
    duration_seconds: float | None = None
    is_partial: bool = False

    __hash__ = None  # type: ignore[assignment]  # its dictionaries have no hash

    @property
    def segments(self) -> int:
        """Number of classified segments, silent ones included."""
        return len(self.segment_probabilities)

    @property
    def has_genre(self) -> bool:
        """True if the song is music and its genre is certain."""
        return self.genre not in (UNCERTAIN, NOT_MUSIC)

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
            "vote_share": round(self.vote_share, 4),
            "probability": round(self.probability, 4),
            "margin": round(self.margin, 4),
            "top": [{"genre": genre, "probability": round(p, 4)} for genre, p in self.top],
            "votes": self.votes,
            "segments": self.segments,
            "probabilities": {label: round(p, 4) for label, p in self.probabilities.items()},
            "analyzed_seconds": _rounded(self.analyzed_seconds),
            "duration_seconds": _rounded(self.duration_seconds),
            "partial": self.is_partial,
        }
        if with_timeline:
            parts = [part.to_dict() for part in self.timeline]
            fields["timeline"] = parts if len(parts) > 1 else None
        return fields


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def predict_song(
    song: SongAnalysis | NDArray[np.floating],
    labels: Sequence[str],
    config: LabelConfig = DEFAULT_LABELS,
    seconds_per_segment: float = 0.0,
    confidence_model: ConfidenceModel | None = None,
) -> SongPrediction:
    """Predict the genre of a song by a vote of its segments.

    A song is :data:`NOT_MUSIC` if more than half of its votes are for that label (rule
    ``majority``), or if its mean probability is above one half (rule ``probability``). Otherwise
    one of the genres wins; ties of the majority are broken by the larger summed probability.

    Parameters
    ----------
    song : analysis of the song, or its probabilities; at least one row must not be all zeros
    labels : labels in the order of the columns
    config : vote rule and thresholds
    seconds_per_segment : length of a segment [s]; 0 if the segments are not consecutive
    confidence_model : calibration of the confidence; None if there is none

    Raises
    ------
    ValueError
        if no segment is audible, or the labels don't match the columns.
    """
    analysis = song if isinstance(song, SongAnalysis) else SongAnalysis(song)
    return predict_songs([(analysis, seconds_per_segment)], labels, config, confidence_model)[0]


def predict_songs(
    songs: Sequence[tuple[SongAnalysis, float]],
    labels: Sequence[str],
    config: LabelConfig = DEFAULT_LABELS,
    confidence_model: ConfidenceModel | None = None,
) -> list[SongPrediction]:
    """Predict the genres of many songs at once, see :func:`predict_song`.

    That takes a fifth of the time for a library, since NumPy is called for all songs together.

    Parameters
    ----------
    songs : analysis and length of a segment [s] of each song
    labels, config, confidence_model : as for :func:`predict_song`

    Raises
    ------
    ValueError
        as :func:`predict_song`.
    """
    if not songs:
        return []
    labels = tuple(labels)
    for analysis, _ in songs:
        shape = analysis.probabilities.shape
        if len(shape) != 2 or not shape[0] or shape[1] != len(labels):
            raise ValueError(f"expected (segments, {len(labels)}) probabilities, got {shape}")
    votes, means = _count([analysis.probabilities for analysis, _ in songs])
    winners = _winners(votes, means, labels, config.vote)
    rows = np.arange(len(songs))
    others = means.copy()
    others[rows, winners] = -np.inf if len(labels) > 1 else 0.0
    totals = votes.sum(axis=1)
    columns = (
        winners,
        votes[rows, winners] / totals,
        means[rows, winners],
        means[rows, winners] - others.max(axis=1),
        totals,
        np.argsort(-means, axis=1, kind="stable")[:, :TOP_GENRES],
        votes,
        means,
    )
    return [
        _prediction(_Counts(*values), analysis, seconds, labels, config, confidence_model)
        for (analysis, seconds), *values in zip(
            songs, *(column.tolist() for column in columns), strict=True
        )
    ]


class _Counts(NamedTuple):
    """Votes and mean probabilities of a song; labels are numbers."""

    winner: int
    vote_share: float
    probability: float
    margin: float
    total: int
    top: list[int]
    votes: list[int]
    means: list[float]


def _count(
    tables: Sequence[NDArray[np.floating]],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Count the votes and average the probabilities, both [shape=(songs, labels)]."""
    lengths = [len(table) for table in tables]
    table = np.concatenate(tables).astype(np.float64)
    is_audible = table.any(axis=1)
    song = np.repeat(np.arange(len(tables)), lengths)
    count, labels = len(tables), table.shape[1]
    numbers = (song * labels + table.argmax(axis=1))[is_audible]
    votes = np.bincount(numbers, minlength=count * labels).reshape(count, labels)
    voters = votes.sum(axis=1, keepdims=True)
    if not voters.all():
        raise ValueError("at least one segment must not be silent")
    # Silent segments are zeros, so they don't change the sums.
    sums = np.add.reduceat(table, np.cumsum([0, *lengths[:-1]]), axis=0)
    return votes, sums / voters


def _prediction(
    counts: _Counts,
    analysis: SongAnalysis,
    seconds_per_segment: float,
    labels: tuple[str, ...],
    config: LabelConfig,
    confidence_model: ConfidenceModel | None,
) -> SongPrediction:
    winner = labels[counts.winner]
    confidence = counts.vote_share if config.vote == "majority" else counts.probability
    min_confidence = config.min_confidence or 0.0
    if confidence_model:
        evidence = SongEvidence.of(
            counts.probability, counts.vote_share, counts.margin, counts.total
        )
        confidence = confidence_model.confidence(evidence)
        if config.min_confidence is None:
            min_confidence = confidence_model.min_confidence
    is_certain = confidence >= min_confidence and counts.margin >= config.min_margin
    return SongPrediction(
        genre=winner if is_certain else UNCERTAIN,
        winner=winner,
        confidence=confidence,
        vote_share=counts.vote_share,
        probability=counts.probability,
        margin=counts.margin,
        top=tuple([(labels[i], counts.means[i]) for i in counts.top]),
        votes=dict(zip(labels, counts.votes, strict=True)),
        probabilities=dict(zip(labels, counts.means, strict=True)),
        labels=labels,
        segment_probabilities=analysis.probabilities,
        seconds_per_segment=seconds_per_segment,
        analyzed_seconds=analysis.analyzed_seconds,
        duration_seconds=analysis.duration_seconds,
        is_partial=analysis.is_partial,
    )


def _winners(
    votes: NDArray[np.int64], means: NDArray[np.float64], labels: Sequence[str], rule: VoteRule
) -> NDArray[np.intp]:
    """Return the number of the label that wins each song."""
    shares = votes / votes.sum(axis=1, keepdims=True) if rule == "majority" else means
    is_genre = np.array([label != NOT_MUSIC for label in labels])
    genre_shares = np.where(is_genre, shares, -1.0)
    if rule == "probability":
        winners: NDArray[np.intp] = genre_shares.argmax(axis=1)
    else:  # of several labels with the most votes, that with the highest mean, then the last one
        has_most = genre_shares == genre_shares.max(axis=1, keepdims=True)
        candidates = np.where(has_most, means, -1.0)[:, ::-1]
        winners = len(labels) - 1 - candidates.argmax(axis=1)
    if not is_genre.all():
        not_music = int(np.argmin(is_genre))
        winners[(shares[:, not_music] > 0.5) | (len(labels) == 1)] = not_music
    return winners
