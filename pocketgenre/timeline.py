"""Split a song into parts of one genre each.

A single 3 s segment is a weak prediction, so the probabilities are averaged over windows of about
15 s. A part ends where another genre leads by ``MIN_LEAD`` in a window, which keeps two
similar genres from alternating.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketgenre.constants import MIN_LEAD, WINDOW_SECONDS

FloatArray = NDArray[np.floating]


@dataclass(frozen=True)
class TimelinePart:
    """A part of a song with one genre.

    Attributes
    ----------
    start, end : times from the start of the song [s]
    genre : most probable genre of the part's first window
    probabilities : mean probability of each genre over the part's segments
    """

    start: float
    end: float
    genre: str
    probabilities: dict[str, float] = field(hash=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON types; the probabilities are named ``shares``."""
        return {
            "start": round(self.start, 1),
            "end": round(self.end, 1),
            "genre": self.genre,
            "shares": {genre: round(p, 4) for genre, p in self.probabilities.items()},
        }


def timeline(
    segment_probabilities: FloatArray, labels: Sequence[str], seconds_per_segment: float
) -> tuple[TimelinePart, ...]:
    """Split a song into parts.

    Parameters
    ----------
    segment_probabilities : float [shape=(segments, genres)]; zeros for a silent segment
    labels : genres in the order of the columns
    seconds_per_segment : length of a segment [s]; 0 if the segments are not consecutive

    Returns
    -------
    tuple of TimelinePart
        empty if there are no segments or their times are unknown
    """
    if not len(segment_probabilities) or not seconds_per_segment:
        return ()
    bounds = window_bounds(len(segment_probabilities), seconds_per_segment)
    means = window_means(segment_probabilities, bounds)
    first = int(means.any(axis=1).argmax())  # the first window that is not silent
    current = int(means[first].argmax())
    genres, starts = [current], [0]
    for window in range(first + 1, len(means)):
        best = int(means[window].argmax())
        if means[window, best] - means[window, current] >= MIN_LEAD:
            current = best
            genres.append(best)
            starts.append(bounds[window])
    ends = [*starts[1:], len(segment_probabilities)]
    return tuple(
        TimelinePart(
            start=start * seconds_per_segment,
            end=end * seconds_per_segment,
            genre=labels[genre],
            probabilities=dict(
                zip(labels, map(float, _mean(segment_probabilities[start:end])), strict=True)
            ),
        )
        for start, end, genre in zip(starts, ends, genres, strict=True)
    )


def window_bounds(
    segments: int, seconds_per_segment: float, max_windows: int | None = None
) -> list[int]:
    """Return the first segment of each window of about 15 s, and the number of segments.

    A remainder of less than half a window belongs to the window before it. If there would be more
    than ``max_windows``, the windows are longer.
    """
    size = max(1, round(WINDOW_SECONDS / seconds_per_segment)) if seconds_per_segment > 0 else 5
    if max_windows is not None:
        size = max(size, -(-segments // max_windows))
    starts = list(range(0, segments, size))
    if len(starts) > 1 and 2 * (segments - starts[-1]) < size:
        starts.pop()
    return [*starts, segments]


def window_means(segment_probabilities: FloatArray, bounds: list[int]) -> NDArray[np.float32]:
    """Average the probabilities over each window, float32 [shape=(windows, genres)].

    Silent segments do not count; the row of a silent window is zeros.
    """
    windows = [segment_probabilities[a:b] for a, b in pairwise(bounds)]
    return np.array([_mean(window) for window in windows], dtype=np.float32)


def _mean(segment_probabilities: FloatArray) -> FloatArray:
    audible = int(np.count_nonzero(segment_probabilities.any(axis=1)))
    sums: FloatArray = np.sum(segment_probabilities, axis=0)
    return sums / max(1, audible)
