"""Learn a last layer from labelled songs, and estimate its accuracy on songs of other artists."""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import StratifiedGroupKFold

from pocketgenre.constants import (
    CALIBRATION_SEGMENTS,
    EVIDENCE,
    LEARNING_FOLDS,
    MIN_SHARE,
    NOT_MUSIC,
    REHEARSAL_WEIGHT,
)
from pocketgenre.learning.regression import (
    Layer,
    balanced,
    fit_layer,
    starting_layer,
)
from pocketgenre.prediction import LabelConfig, predict_song
from pocketgenre.training.evaluation.calibration import fit_temperature
from pocketgenre.training.evaluation.confidence_fit import ConfidenceFit, fit_song_confidence

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

CURVE = (1, 2, 5, 10, 20, 50)
"""Numbers of songs a genre at which the learning curve is measured."""


@dataclass(frozen=True, eq=False)
class TaughtSongs:
    """Songs whose genre is known.

    Attributes
    ----------
    features : float32 [shape=(segments, features)] of each song, without silent segments
    genres : genre of each song
    groups : int64 [shape=(songs,)], songs of one artist or album
    others : float32 [shape=(n, features)], means of other songs of the library
    """

    features: Sequence[FloatArray]
    genres: Sequence[str]
    groups: IntArray
    others: FloatArray

    @property
    def means(self) -> FloatArray:
        """Mean features of each song, float32 [shape=(songs, features)]."""
        return np.stack([rows.mean(axis=0) for rows in self.features])

    def take(self, positions: IntArray) -> "TaughtSongs":
        """Return some of the songs."""
        return replace(
            self,
            features=[self.features[i] for i in positions],
            genres=[self.genres[i] for i in positions],
            groups=self.groups[positions],
        )


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Result of a cross-validation in which no group is in training and test at once.

    Attributes
    ----------
    songs : int64 [shape=(n,)], positions of the tested songs; songs of genres with a single group
        are not tested, since nothing would be left to learn the genre from
    predicted : predicted label of each tested song
    probabilities : float32 [shape=(segments, labels)] of each tested song
    curve : (songs a genre, mean recall of the taught genres), for at least two genres
    """

    songs: IntArray
    predicted: Sequence[str]
    probabilities: Sequence[FloatArray]
    curve: Sequence[tuple[int, float]]


@dataclass(frozen=True, eq=False)
class Lesson:
    """A learned layer with its estimated accuracy.

    Attributes
    ----------
    layer : the layer, whose probabilities are calibrated if there is an evaluation
    evaluation : cross-validation; None if fewer than two genres have songs of several artists
    temperature : divisor of the logits
    confidence : calibration of the songs' confidence; None with fewer than 100 tested songs
    """

    layer: Layer
    evaluation: Evaluation | None
    temperature: float
    confidence: ConfidenceFit | None


def learn(songs: TaughtSongs, old: Layer, labels: Sequence[str], seed: int = 0) -> Lesson:
    """Learn a layer, evaluate it by cross-validation, and calibrate it.

    Parameters
    ----------
    songs : songs with genres
    old : the layer that the network has
    labels : labels of the new layer
    seed : seed of the split
    """
    layer = fit_taught(songs, old, labels)
    evaluation = _cross_validate(songs, old, labels, seed)
    if evaluation is None:
        return Lesson(layer, None, 1.0, None)
    genres = [songs.genres[i] for i in evaluation.songs]
    temperature = _temperature(evaluation.probabilities, [labels.index(g) for g in genres])
    layer = Layer(
        layer.labels, layer.kernel / np.float32(temperature), layer.bias / np.float32(temperature)
    )
    scaled = [_softmax(_log(table) / temperature) for table in evaluation.probabilities]
    groups = songs.groups[evaluation.songs]
    confidence = fit_song_confidence(scaled, genres, labels, groups)
    return Lesson(layer, evaluation, temperature, confidence)


def recalls(songs: TaughtSongs, evaluation: Evaluation) -> dict[str, float]:
    """Return the share of each tested genre's songs whose label is correct."""
    genres = np.array([songs.genres[i] for i in evaluation.songs])
    correct = genres == np.array(evaluation.predicted)
    return {str(genre): float(correct[genres == genre].mean()) for genre in np.unique(genres)}


def confusions(songs: TaughtSongs, evaluation: Evaluation) -> list[tuple[str, str, float]]:
    """Return pairs of taught genres with the share of their songs that get the other's label.

    The most confused pair is the first.
    """
    genres = [songs.genres[i] for i in evaluation.songs]
    names = sorted(set(genres))
    if len(names) < 2:
        return []
    table = confusion_matrix(genres, list(evaluation.predicted), labels=names)
    counts = Counter(genres)
    pairs = [
        (one, other, float(table[i, j] + table[j, i]) / (counts[one] + counts[other]))
        for i, one in enumerate(names)
        for j, other in enumerate(names[:i])
    ]
    return sorted(pairs, key=lambda pair: -pair[2])


def fit_taught(songs: TaughtSongs, old: Layer, labels: Sequence[str]) -> Layer:
    """Fit a layer to songs, and to the old layer's labels of other songs.

    The other songs stand for the genres of which none is taught, which would be forgotten.

    Parameters
    ----------
    songs, old, labels : as for :func:`learn`
    """
    positions = {label: i for i, label in enumerate(labels)}
    targets = np.array([positions[genre] for genre in songs.genres])
    rows, weights = songs.means, balanced(targets)
    start = starting_layer(old, labels, rows, targets, NOT_MUSIC)
    kept = [i for i, label in enumerate(old.labels) if label in positions]
    if len(songs.others) and len(kept) > 1:
        shares = softmax(old.logits(songs.others)[:, kept], axis=1)
        song, label = np.nonzero(shares >= MIN_SHARE)
        others = shares[song, label].astype(np.float64)
        genre_weight = len(targets) / len(set(songs.genres))
        others *= REHEARSAL_WEIGHT * genre_weight * len(kept) / others.sum()
        rows = np.concatenate([rows, songs.others[song]])
        targets = np.concatenate([targets, [positions[old.labels[kept[i]]] for i in label]])
        weights = np.concatenate([weights, others])
    return fit_layer(rows, targets, start, EVIDENCE * weights)


def _cross_validate(
    songs: TaughtSongs, old: Layer, labels: Sequence[str], seed: int
) -> Evaluation | None:
    genres = np.array(songs.genres)
    groups = {genre: len(np.unique(songs.groups[genres == genre])) for genre in set(songs.genres)}
    testable = np.flatnonzero([groups[genre] > 1 for genre in songs.genres])
    if len(testable) < 2:
        return None
    alone = np.flatnonzero([groups[genre] == 1 for genre in songs.genres])
    folds = min(
        LEARNING_FOLDS,
        len(np.unique(songs.groups[testable])),
        max(Counter(genres[testable]).values()),
    )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    rng = np.random.default_rng(seed)
    tables: dict[int, FloatArray] = {}
    curve: dict[int, list[tuple[str, bool]]] = {}
    with warnings.catch_warnings():  # about genres with fewer songs than folds, which are usual
        warnings.simplefilter("ignore", UserWarning)
        parts = list(splitter.split(testable, genres[testable], songs.groups[testable]))
    for train, test in parts:
        taught, tested = testable[train], testable[test]
        learned = fit_taught(songs.take(np.concatenate([taught, alone])), old, labels)
        tables |= {int(i): _softmax(learned.logits(songs.features[i])) for i in tested}
        for count in _curve_counts(genres[taught]):
            drawn = _draw(genres, rng.permutation(taught), count)
            few = fit_taught(songs.take(np.concatenate([drawn, alone])), old, labels)
            curve.setdefault(count, []).extend(
                (genres[i], _label(_softmax(few.logits(songs.features[i])), labels) == genres[i])
                for i in tested
            )
    tested = np.array(sorted(tables))
    probabilities = [tables[int(i)] for i in tested]
    predicted = [_label(table, labels) for table in probabilities]
    points = [(count, _mean_recall(outcomes)) for count, outcomes in sorted(curve.items())]
    return Evaluation(tested, predicted, probabilities, points)


def _curve_counts(genres: NDArray[np.str_]) -> list[int]:
    """Return the numbers of songs that at least one genre exceeds."""
    largest = max(Counter(genres.tolist()).values())
    return [count for count in CURVE if count < largest]


def _draw(genres: NDArray[np.str_], order: IntArray, count: int) -> IntArray:
    """Return the first ``count`` songs of each genre."""
    return np.concatenate([order[genres[order] == genre][:count] for genre in np.unique(genres)])


def _mean_recall(outcomes: Sequence[tuple[str, bool]]) -> float:
    genres = np.array([genre for genre, _ in outcomes])
    correct = np.array([is_correct for _, is_correct in outcomes])
    return float(np.mean([correct[genres == genre].mean() for genre in np.unique(genres)]))


def _label(probabilities: FloatArray, labels: Sequence[str]) -> str:
    return predict_song(probabilities, labels, LabelConfig(min_confidence=0.0)).winner


def _temperature(tables: Sequence[FloatArray], targets: Sequence[int]) -> float:
    rows, owners = [], []
    for table, target in zip(tables, targets, strict=True):
        count = min(len(table), CALIBRATION_SEGMENTS)
        rows.append(table[np.linspace(0, len(table) - 1, count).astype(int)])
        owners += [target] * count
    return fit_temperature(np.concatenate(rows), np.array(owners))


def _softmax(logits: FloatArray) -> FloatArray:
    probabilities: FloatArray = softmax(logits, axis=1)
    return probabilities


def _log(probabilities: FloatArray) -> FloatArray:
    return np.log(np.maximum(probabilities, np.float32(1e-9)))
