"""A song's genre by a vote of its segments, one voice each or weighted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Vote:
    """What the segments of a song say together.

    Attributes
    ----------
    genre : the winner, by whichever rule
    votes : votes for each genre, every genre present
    segments : number of segments, which is the number of votes
    confidence : the genre's share, in (0, 1]: of the votes, or of the probability
    probabilities : mean probability of each genre over the segments
    """

    genre: str
    votes: dict[str, int]
    segments: int
    confidence: float
    probabilities: dict[str, float]


def majority_vote(probabilities: NDArray[np.floating], labels: Sequence[str]) -> Vote:
    """Let every segment vote for its most probable genre; most votes win.

    Among equals the larger summed probability wins.

    Parameters
    ----------
    probabilities : float [shape=(segments, genres)], segments >= 1
        the network's output, one row a segment.
    labels : the genres, in the order of the columns

    Raises
    ------
    ValueError
        there are no segments, or the labels don't fit the columns.
    """
    table = _checked(probabilities, labels)
    votes = _votes(table)
    winner = int(np.lexsort((table.sum(axis=0), votes))[-1])
    return _vote(table, labels, winner, confidence=votes[winner] / len(table))


def probability_vote(probabilities: NDArray[np.floating], labels: Sequence[str]) -> Vote:
    """Let every segment give each genre as much of a vote as it finds it probable.

    Parameters and errors are those of :func:`majority_vote`.
    """
    table = _checked(probabilities, labels)
    mean = table.mean(axis=0)
    winner = int(mean.argmax())
    return _vote(table, labels, winner, confidence=mean[winner])


VOTES: dict[str, Callable[[NDArray[np.floating], Sequence[str]], Vote]] = {
    "majority": majority_vote,
    "probability": probability_vote,
}
"""By the name that ``scan-library --vote`` takes."""


def _checked(probabilities: NDArray[np.floating], labels: Sequence[str]) -> NDArray[np.float64]:
    table = np.asarray(probabilities, dtype=np.float64)
    if table.ndim != 2 or not len(table) or table.shape[1] != len(labels):
        raise ValueError(f"expected (segments, {len(labels)}) probabilities, got {table.shape}")
    return table


def _votes(table: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.bincount(table.argmax(axis=1), minlength=table.shape[1])


def _vote(
    table: NDArray[np.float64], labels: Sequence[str], winner: int, confidence: float
) -> Vote:
    return Vote(
        genre=labels[winner],
        votes={label: int(n) for label, n in zip(labels, _votes(table), strict=True)},
        segments=len(table),
        confidence=float(confidence),
        probabilities={
            label: float(p) for label, p in zip(labels, table.mean(axis=0), strict=True)
        },
    )
