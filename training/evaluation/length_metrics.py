"""Compute the accuracy of songs by the length of the classified audio."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.evaluation.metrics import compute_song_metrics

LONG_SEGMENTS = 6
"""Number of segments from which a song counts as long."""

EXCERPT_SEGMENTS = (1, 2, 3, 5)
"""Numbers of segments from the start of a long song that are also evaluated alone."""

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class LengthMetrics:
    """Metrics of the songs, or excerpts, of one length.

    Attributes
    ----------
    description : description of the songs
    songs : number of songs
    accuracy : share of songs with the correct label by majority vote
    mean_recall : mean over the genres of the songs' recall
    """

    description: str
    songs: int
    accuracy: float
    mean_recall: float


def compute_length_metrics(
    dataset: Dataset, segments: IntArray, probabilities: NDArray[np.floating]
) -> tuple[LengthMetrics, ...]:
    """Compute the metrics of short songs, long songs, and the first segments of long songs.

    If most songs of a genre are long, the metrics are also computed without this genre. Otherwise
    a difference between long and short songs may be a difference between genres.

    Parameters
    ----------
    dataset : data set of the segments
    segments : int64 [shape=(n,)], positions of the evaluated segments, ascending within a song
    probabilities : float [shape=(n, labels)], predicted for these segments
    """
    owners = dataset.segment_songs[segments]
    counts = np.bincount(owners, minlength=len(dataset.songs))
    is_long = counts >= LONG_SEGMENTS
    targets = dataset.song_targets
    evaluated = counts > 0
    long_genres = [
        genre
        for genre in np.unique(targets[evaluated])
        if is_long[evaluated & (targets == genre)].mean() > 0.5
    ]
    kept = ~np.isin(targets, long_genres)
    first = np.concatenate([[0], np.flatnonzero(np.diff(owners)) + 1])
    lengths = np.diff([*first, len(owners)])
    number = np.arange(len(owners)) - np.repeat(first, lengths)  # of the segment within its song

    def metrics(description: str, selected: NDArray[np.bool_]) -> list[LengthMetrics]:
        if not selected.any():
            return []
        songs = compute_song_metrics(dataset, segments[selected], probabilities[selected])
        return [LengthMetrics(description, songs.count, songs.accuracy, songs.mean_recall)]

    everything = np.ones(len(owners), bool)
    rows = [
        *metrics("all songs", everything),
        *metrics("songs of one segment", counts[owners] == 1),
        *metrics(
            f"songs of 2 to {LONG_SEGMENTS - 1} segments",
            (counts[owners] > 1) & ~is_long[owners],
        ),
        *metrics(f"songs of {LONG_SEGMENTS} or more segments", is_long[owners]),
    ]
    for count in EXCERPT_SEGMENTS:
        plural = "segment" if count == 1 else f"{count} segments"
        rows += metrics(
            f"songs of {LONG_SEGMENTS} or more segments, first {plural} only",
            is_long[owners] & (number < count),
        )
    if long_genres:
        left_out = ", ".join(dataset.labels[genre] for genre in long_genres)
        rows += metrics(f"all songs without {left_out}", kept[owners])
        rows += metrics(
            f"songs of {LONG_SEGMENTS} or more segments without {left_out}",
            kept[owners] & is_long[owners],
        )
    return tuple(rows)
