"""Calibrate the confidence of songs on held-out predictions.

The confidence is a logistic regression on the votes and probabilities of a song (Platt, 1999, with
more than one input). Each song is used whole and in excerpts, so that short songs and songs of
which few segments are classified get a confidence of their own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler

from pocketgenre.confidence import ConfidenceModel, SongEvidence
from pocketgenre.constants import MIN_CONFIDENCE_SONGS, TARGET_ACCURACY
from pocketgenre.prediction import LabelConfig, SongPrediction, predict_song
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.evaluation.metrics import Calibration, compute_calibration

FloatArray = NDArray[np.floating]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

_FOLDS = 5
_EXCERPT_SEGMENTS = (1, 2, 4)
_EXCERPTS_PER_LENGTH = 3


@dataclass(frozen=True, eq=False)
class ConfidenceFit:
    """A fitted confidence, and cross-fitted confidences that measure it.

    Attributes
    ----------
    model : confidence fitted on all songs
    confidences : confidence of each whole song, by a model fitted without the songs of its group,
        float64 [shape=(songs,)]
    correct : True where the label of the song is correct, bool [shape=(songs,)]
    """

    model: ConfidenceModel
    confidences: NDArray[np.float64]
    correct: BoolArray

    @property
    def calibration(self) -> Calibration:
        """Cross-fitted calibration of the songs' confidence."""
        return compute_calibration(self.confidences, self.correct)

    @property
    def coverage(self) -> float:
        """Share of the songs whose confidence reaches the default threshold."""
        return float(np.mean(self.confidences >= self.model.min_confidence))

    @property
    def covered_accuracy(self) -> float:
        """Share of correct labels among the songs that reach the default threshold."""
        covered = self.confidences >= self.model.min_confidence
        return float(self.correct[covered].mean()) if covered.any() else float("nan")

    def risk_coverage(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Compute the curve of the error over the share of songs that keep their label.

        Returns
        -------
        coverage, risk : float64 [shape=(songs,)] each, from the highest confidence on
        """
        order = np.argsort(-self.confidences, kind="stable")
        counts = np.arange(1, len(order) + 1)
        return counts / len(order), np.cumsum(~self.correct[order]) / counts


def fit_confidence(
    dataset: Dataset, segments: IntArray, probabilities: FloatArray
) -> ConfidenceFit | None:
    """Fit the confidence on predictions for songs that were not used in training.

    Parameters
    ----------
    dataset : data set of the segments
    segments : int64 [shape=(n,)], positions of held-out segments in the data set
    probabilities : float [shape=(n, labels)], predicted for these segments

    Returns
    -------
    ConfidenceFit
        None if there are fewer than :data:`MIN_CONFIDENCE_SONGS` songs, or all labels are equally
        correct
    """
    owners = dataset.segment_songs[segments]
    songs = np.unique(owners)
    tables = [probabilities[owners == song] for song in songs]
    genres = [dataset.songs[int(song)].genre for song in songs]
    return fit_song_confidence(tables, genres, dataset.labels, dataset.song_groups[songs])


def fit_song_confidence(
    tables: Sequence[FloatArray], genres: Sequence[str], labels: Sequence[str], groups: IntArray
) -> ConfidenceFit | None:
    """Fit the confidence on held-out predictions of songs.

    Parameters
    ----------
    tables : float [shape=(segments, labels)], probabilities of each song's segments
    genres : genre of each song
    labels : labels in the order of the columns
    groups : int64 [shape=(songs,)], songs of one group are kept together

    Returns
    -------
    ConfidenceFit
        as :func:`fit_confidence`
    """
    count = len(tables)
    if count < MIN_CONFIDENCE_SONGS or len(np.unique(groups)) < _FOLDS:
        return None
    excerpts = [
        _Excerpts.of(table, labels, genre) for table, genre in zip(tables, genres, strict=True)
    ]
    whole = np.array([excerpt.evidence[0] for excerpt in excerpts])
    correct = np.array([excerpt.correct[0] for excerpt in excerpts])
    if correct.all() or not correct.any():
        return None
    confidences = np.empty(count)
    for train, test in GroupKFold(_FOLDS).split(whole, groups=groups):
        model = _fit([excerpts[i] for i in train])
        confidences[test] = [model.confidence(SongEvidence(*row)) for row in whole[test]]
    threshold = default_threshold(confidences, correct)
    return ConfidenceFit(_fit(excerpts, threshold), confidences, correct)


def default_threshold(confidences: FloatArray, correct: BoolArray) -> float:
    """Return the lowest threshold at which :data:`TARGET_ACCURACY` is reached.

    Parameters
    ----------
    confidences : float [shape=(songs,)]
    correct : bool [shape=(songs,)], True where the label is correct

    Returns
    -------
    float
        1 if no threshold reaches it
    """
    order = np.argsort(-confidences, kind="stable")
    accuracy = np.cumsum(correct[order]) / np.arange(1, len(order) + 1)
    reached = np.flatnonzero(accuracy >= TARGET_ACCURACY)
    if not len(reached):
        return 1.0
    # Rounded down, so that the last of these songs reaches it too.
    return float(np.floor(1000 * confidences[order[reached[-1]]]) / 1000)


@dataclass(frozen=True, eq=False)
class _Excerpts:
    """Evidence of a whole song (first) and of excerpts of it, float64 [shape=(n, quantities)]."""

    evidence: NDArray[np.float64]
    correct: BoolArray
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, table: FloatArray, labels: Sequence[str], genre: str) -> "_Excerpts":
        rows, correct = [], []
        for part in _parts(table):
            prediction = predict_song(part, labels, LabelConfig(min_confidence=0.0))
            rows.append(astuple(_evidence(prediction)))
            correct.append(prediction.winner == genre)
        weights = np.full(len(rows), 1 / len(rows))
        return cls(np.array(rows), np.array(correct), weights)


def _parts(table: FloatArray) -> Iterator[FloatArray]:
    yield table
    for length in _EXCERPT_SEGMENTS:
        if length < len(table):
            count = min(_EXCERPTS_PER_LENGTH, len(table) // length)
            bounds = np.linspace(0, len(table), count + 1).astype(int)
            yield from (table[start : start + length] for start, _ in pairwise(bounds))


def _evidence(prediction: SongPrediction) -> SongEvidence:
    votes = sum(prediction.votes.values())
    return SongEvidence.of(prediction.probability, prediction.vote_share, prediction.margin, votes)


def _fit(excerpts: list[_Excerpts], threshold: float = 0.0) -> ConfidenceModel:
    evidence, correct, weights = (
        np.concatenate([getattr(item, name) for item in excerpts])
        for name in ("evidence", "correct", "weights")
    )
    scaler = StandardScaler().fit(evidence)
    regression = LogisticRegression().fit(scaler.transform(evidence), correct, weights)
    slopes = regression.coef_[0] / scaler.scale_
    intercept = float(regression.intercept_[0] - scaler.mean_ @ slopes)
    rounded = (round(float(slope), 4) for slope in slopes)
    return ConfidenceModel(round(intercept, 4), SongEvidence(*rounded), threshold)
