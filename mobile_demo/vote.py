"""A song's genre by majority vote over its segments."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Vote:
    """What the segments of a song say together.

    Attributes
    ----------
    genre : most votes; among equals the larger summed probability
    votes : votes for each genre, every genre present
    segments : number of segments, which is the number of votes
    confidence : the genre's share of the votes, in (0, 1]
    probabilities : mean probability of each genre over the segments
    """

    genre: str
    votes: dict[str, int]
    segments: int
    confidence: float
    probabilities: dict[str, float]


def majority_vote(probabilities: NDArray[np.floating], labels: Sequence[str]) -> Vote:
    """Let every segment vote for its most probable genre.

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
    table = np.asarray(probabilities, dtype=np.float64)
    if table.ndim != 2 or not len(table) or table.shape[1] != len(labels):
        raise ValueError(f"expected (segments, {len(labels)}) probabilities, got {table.shape}")
    votes = np.bincount(table.argmax(axis=1), minlength=len(labels))
    winner = int(np.lexsort((table.sum(axis=0), votes))[-1])
    return Vote(
        genre=labels[winner],
        votes={label: int(n) for label, n in zip(labels, votes, strict=True)},
        segments=len(table),
        confidence=float(votes[winner] / len(table)),
        probabilities={
            label: float(p) for label, p in zip(labels, table.mean(axis=0), strict=True)
        },
    )
