"""The figures of an evaluation, and the arithmetic that makes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import calibration_curve
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.evaluation.metrics import vote_songs
from pocketgenre.vote import majority_vote

CALIBRATION_BINS = 10
WORST_SONGS = 10

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class GenreFigures:
    """How well one genre is told from the others; ``support`` of it were judged."""

    genre: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Level:
    """Figures of songs by vote, or of segments.

    Attributes
    ----------
    judged : how many
    accuracy : share called rightly
    mean_recall, macro_f1 : means over the genres that were there to be judged
    genres : each genre's figures, in the order of the labels
    confusion : [true genre][genre called], counts
    """

    judged: int
    accuracy: float
    mean_recall: float
    macro_f1: float
    genres: tuple[GenreFigures, ...]
    confusion: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class CalibrationBin:
    """Segments whose top probability lies in one interval: what was promised and what held."""

    segments: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """Whether a segment's top probability can be taken at its word.

    Attributes
    ----------
    ece : expected calibration error, mean of |accuracy - confidence| over all segments
    bins : those of :data:`CALIBRATION_BINS` equal intervals in which there are segments
    """

    ece: float
    bins: tuple[CalibrationBin, ...]


@dataclass(frozen=True)
class WrongSong:
    """A song that was called another genre.

    Attributes
    ----------
    song : its name
    genre, called : what it is, and what the vote made of it
    confidence : share of the votes for ``called``
    probability : mean probability of ``called`` over the segments
    votes : genres with a vote, most first
    """

    song: str
    genre: str
    called: str
    confidence: float
    probability: float
    votes: dict[str, int]


@dataclass(frozen=True)
class Spread:
    """Mean, standard deviation (of a sample) and range of some figures."""

    mean: float
    deviation: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Of at least two values."""
        return cls(float(np.mean(values)), float(np.std(values, ddof=1)), min(values), max(values))


def figures_of(truth: IntArray, called: IntArray, labels: Sequence[str]) -> Level:
    """Figures of calls whose truth is known.

    Parameters
    ----------
    truth, called : int64 [shape=(n,)], positions in ``labels``; n >= 1
    labels : the genres
    """
    positions = np.arange(len(labels))
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, called, labels=positions, zero_division=0
    )
    there = support > 0  # a genre that no song was judged of would count as recall 0
    return Level(
        judged=len(truth),
        accuracy=float(accuracy_score(truth, called)),
        mean_recall=float(recall[there].mean()),
        macro_f1=float(f1[there].mean()),
        genres=tuple(
            GenreFigures(
                label, float(precision[i]), float(recall[i]), float(f1[i]), int(support[i])
            )
            for i, label in enumerate(labels)
        ),
        confusion=tuple(
            tuple(int(count) for count in row)
            for row in confusion_matrix(truth, called, labels=positions)
        ),
    )


def calibration_of(confidence: NDArray[np.floating], right: NDArray[np.bool_]) -> Calibration:
    """Compare top probabilities with how often they came true.

    Parameters
    ----------
    confidence : float [shape=(n,)], the top probability of each segment; n >= 1
    right : bool [shape=(n,)], whether the call was right
    """
    confidence = np.clip(np.asarray(confidence, np.float64), 0.0, 1.0)  # softmax rounds past 1
    came_true, promised = calibration_curve(
        right.astype(int), confidence, n_bins=CALIBRATION_BINS, pos_label=1
    )
    inner_edges = np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)[1:-1]
    counts = np.bincount(np.searchsorted(inner_edges, confidence))  # as calibration_curve bins
    counts = counts[counts > 0]
    return Calibration(
        ece=float(np.average(np.abs(came_true - promised), weights=counts)),
        bins=tuple(
            CalibrationBin(int(count), float(p), float(t))
            for count, p, t in zip(counts, promised, came_true, strict=True)
        ),
    )


def worst_songs(
    dataset: Dataset, segments: IntArray, probabilities: NDArray[np.floating]
) -> tuple[WrongSong, ...]:
    """The most confidently wrong songs: by share of the votes, by their number, by probability.

    Parameters
    ----------
    dataset : where the segments are from
    segments : int64 [shape=(n,)], positions of the judged segments
    probabilities : float [shape=(n, genres)]
    """
    owners = dataset.segment_songs[segments]
    songs, called = vote_songs(dataset, segments, probabilities)
    wrong = []
    for position in songs[called != dataset.song_targets[songs]]:
        vote = majority_vote(probabilities[owners == position], dataset.labels)
        cast = {genre: n for genre, n in vote.votes.items() if n}
        wrong.append(
            WrongSong(
                song=dataset.songs[position].name,
                genre=dataset.songs[position].genre,
                called=vote.genre,
                confidence=vote.confidence,
                probability=vote.probabilities[vote.genre],
                votes=dict(sorted(cast.items(), key=lambda item: -item[1])),
            )
        )
    wrong.sort(key=lambda s: (-s.confidence, -s.votes[s.called], -s.probability, s.song))
    return tuple(wrong[:WORST_SONGS])
