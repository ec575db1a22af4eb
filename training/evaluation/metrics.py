"""How good a network is, by segment and by song."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, recall_score

from pocketgenre.training.data.dataset import Dataset
from pocketgenre.vote import Vote, majority_vote


@dataclass(frozen=True)
class Metrics:
    """Shares between 0 and 1.

    Attributes
    ----------
    segments, songs : how many were judged
    segment_accuracy : of the segments alone
    song_accuracy : by majority vote
    song_mean_recall : mean over genres of the song recall; no genre counts more for its number
    song_macro_f1 : mean over genres of the song F1
    """

    segments: int
    songs: int
    segment_accuracy: float
    song_accuracy: float
    song_mean_recall: float
    song_macro_f1: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


Rule = Callable[[NDArray[np.floating], Sequence[str]], Vote]
"""How segments vote: :func:`majority_vote` or :func:`probability_vote`."""


def vote_songs(
    dataset: Dataset,
    segments: NDArray[np.int64],
    probabilities: NDArray[np.floating],
    rule: Rule = majority_vote,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each song's label by the vote of the segments given.

    Parameters
    ----------
    dataset : where the segments are from
    segments : int64 [shape=(n,)], positions of the judged segments
    probabilities : float [shape=(n, genres)]
    rule : of the vote

    Returns
    -------
    songs, labels : int64 [shape=(songs,)] each
        positions of the judged songs in the data set, and of their genres in its labels.
    """
    owners = dataset.segment_songs[segments]
    songs = np.unique(owners)
    genres = [rule(probabilities[owners == song], dataset.labels).genre for song in songs]
    return songs, np.array([dataset.labels.index(genre) for genre in genres], dtype=np.int64)


def compute_metrics(
    dataset: Dataset, segments: NDArray[np.int64], probabilities: NDArray[np.floating]
) -> Metrics:
    """Metrics of predictions for some of a data set's segments (see :func:`vote_songs`)."""
    songs, voted = vote_songs(dataset, segments, probabilities)
    truth = dataset.song_targets[songs]
    judged = np.unique(truth)  # a genre without a song to judge has no recall
    return Metrics(
        segments=len(segments),
        songs=len(songs),
        segment_accuracy=float(
            accuracy_score(dataset.segment_targets[segments], probabilities.argmax(axis=1))
        ),
        song_accuracy=float(accuracy_score(truth, voted)),
        song_mean_recall=float(
            recall_score(truth, voted, labels=judged, average="macro", zero_division=0)
        ),
        song_macro_f1=float(
            f1_score(truth, voted, labels=judged, average="macro", zero_division=0)
        ),
    )
