"""How a song goes from genre to genre.

A single segment of 3 s says little, so that the song is looked at in windows of about 15 s: the
mean of what the network says of their segments. A part goes on until another genre leads by
:data:`LEAD` in a window, so that two genres that are near each other don't flicker.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketgenre.library.song import CatalogSong

WINDOW_SECONDS = 15.0
LEAD = 0.1
"""By how much a genre's mean probability in a window must exceed the part's to end the part."""

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Part:
    """A stretch of a song that stays with one genre.

    Attributes
    ----------
    start, end : in seconds
    genre : the most probable one of its first window
    shares : mean probability of each genre over its segments
    """

    start: float
    end: float
    genre: str
    shares: dict[str, float]


def window_bounds(segments: int, seconds_per_segment: float, most: int | None = None) -> list[int]:
    """Where windows of about 15 s begin, and the end of the last, counted in segments.

    A rest of less than half a window belongs to the window before. With ``most``, windows are
    as long as it takes for there to be at most that many.
    """
    size = max(1, round(WINDOW_SECONDS / seconds_per_segment)) if seconds_per_segment > 0 else 5
    if most is not None:
        size = max(size, -(-segments // most))
    starts = list(range(0, segments, size))
    if len(starts) > 1 and 2 * (segments - starts[-1]) < size:
        starts.pop()
    return [*starts, segments]


def window_shares(probabilities: FloatArray, bounds: list[int]) -> FloatArray:
    """Mean probability of each genre in each window: float32 [shape=(windows, genres)]."""
    sums = np.add.reduceat(probabilities, bounds[:-1], axis=0)
    lengths = np.diff(bounds)[:, np.newaxis]
    return np.asarray(sums / lengths, dtype=np.float32)


def timeline(song: CatalogSong) -> tuple[Part, ...]:
    """The parts of a song: one where it doesn't change, none where it has no label.

    None, either, where only some segments were heard: when they are is not known.
    """
    table = song.probabilities
    if table is None or not len(table) or not song.seconds_per_segment:
        return ()
    bounds = window_bounds(len(table), song.seconds_per_segment)
    shares = window_shares(table, bounds)
    current = int(shares[0].argmax())
    genres, starts = [current], [0]
    for window in range(1, len(shares)):
        best = int(shares[window].argmax())
        if shares[window, best] - shares[window, current] >= LEAD:
            current = best
            genres.append(best)
            starts.append(bounds[window])
    return tuple(
        Part(
            start=start * song.seconds_per_segment,
            end=end * song.seconds_per_segment,
            genre=song.labels[genre],
            shares=dict(zip(song.labels, map(float, table[start:end].mean(axis=0)), strict=True)),
        )
        for start, end, genre in zip(starts, [*starts[1:], len(table)], genres, strict=True)
    )
