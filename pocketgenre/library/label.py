"""What a song is called, how sure that is, and how it goes through the song."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pocketgenre.vote import VOTES

UNCERTAIN = "uncertain"
"""What a song is called about which the network is in doubt."""

_TOP = 3


@dataclass(frozen=True)
class Thresholds:
    """Below which a song is not called anything.

    Attributes
    ----------
    confidence : least share of the votes, or of the probability, by the rule of the vote
    margin : least distance of the genre's mean probability to the next one's
    """

    confidence: float = 0.0
    margin: float = -1.0


NO_THRESHOLDS = Thresholds()


@dataclass(frozen=True)
class SongLabel:
    """A song's genre with what a person needs to judge it.

    Attributes
    ----------
    genre : the winner of the vote, or :data:`UNCERTAIN`
    confidence : the winner's share of the votes, or of the probability, by the rule
    probability : the winner's mean probability
    margin : that less the mean probability of the best of the others; negative where the vote
        and the probabilities disagree
    top : the three most probable genres and their mean probabilities, most probable first
    votes : number of segments for each genre
    segments : how many there are
    """

    genre: str
    confidence: float
    probability: float
    margin: float
    top: tuple[tuple[str, float], ...]
    votes: dict[str, int]
    segments: int


def label_song(
    probabilities: NDArray[np.floating],
    labels: Sequence[str],
    rule: Literal["majority", "probability"] = "majority",
    thresholds: Thresholds = NO_THRESHOLDS,
) -> SongLabel:
    """Label a song from what the network says of its segments.

    Parameters
    ----------
    probabilities : float [shape=(segments, genres)], segments >= 1
    labels : the genres, in the order of the columns
    rule : of the vote, a key of :data:`pocketgenre.vote.VOTES`
    thresholds : below which it is uncertain

    Raises
    ------
    ValueError
        there are no segments, or the labels don't fit the columns.
    """
    vote = VOTES[rule](probabilities, labels)
    ranked = sorted(vote.probabilities.items(), key=lambda item: -item[1])
    probability = vote.probabilities[vote.genre]
    best_other = max((p for genre, p in ranked if genre != vote.genre), default=0.0)
    margin = probability - best_other
    sure = vote.confidence >= thresholds.confidence and margin >= thresholds.margin
    return SongLabel(
        genre=vote.genre if sure else UNCERTAIN,
        confidence=vote.confidence,
        probability=probability,
        margin=margin,
        top=tuple(ranked[:_TOP]),
        votes=vote.votes,
        segments=vote.segments,
    )
