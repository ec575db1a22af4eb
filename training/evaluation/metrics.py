"""Compute metrics of predictions: accuracy, recall, F1, confusion, calibration, worst songs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import calibration_curve
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from pocketgenre.prediction import LabelConfig, SongPrediction, VoteRule, predict_song
from pocketgenre.training.data.dataset import Dataset

CALIBRATION_BINS = 10
WORST_SONGS = 10

METRIC_NAMES = {
    "song_accuracy": "song accuracy",
    "song_mean_recall": "mean recall of songs",
    "song_macro_f1": "macro-F1 of songs",
    "segment_accuracy": "segment accuracy",
}
"""Names of the metrics in ``metrics.json``, as shown in reports and pictures."""

FloatArray = NDArray[np.floating]
IntArray = NDArray[np.int64]

_STORED_KEYS = {
    "count": "judged",
    "description": "meaning",
    "evaluated_on": "judged_on",
    "fold_statistics": "spread",
    "label_agreement": "called_alike",
    "maximum": "highest",
    "metrics": "figures",
    "minimum": "lowest",
    "perturbation": "condition",
    "perturbations": "conditions",
    "predicted_genre": "called",
    "scaled_calibration": "calibrated",
    "seed_statistics": "spread",
    "standard_deviation": "deviation",
    "true_genre": "genre",
}
"""Keys of the JSON formats that differ from the names of the attributes."""


@dataclass(frozen=True)
class Metrics:
    """Main metrics of a network. Shares lie in [0, 1].

    Attributes
    ----------
    segments, songs : number of evaluated segments and songs
    segment_accuracy : share of segments with the correct label
    song_accuracy : share of songs with the correct label by majority vote
    song_mean_recall : mean over the genres of the songs' recall, each genre with equal weight
    song_macro_f1 : mean over the genres of the songs' F1 score
    """

    segments: int
    songs: int
    segment_accuracy: float
    song_accuracy: float
    song_mean_recall: float
    song_macro_f1: float

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics as JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class GenreMetrics:
    """Metrics of one genre; ``support`` is the number of evaluated items of that genre."""

    genre: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class ClassificationMetrics:
    """Metrics of either songs or segments.

    Attributes
    ----------
    count : number of evaluated songs or segments
    accuracy : share of correct predictions
    mean_recall, macro_f1 : means over the genres with at least one evaluated item
    genres : metrics of each genre, in the order of the labels
    confusion : counts as [true genre][predicted genre]
    """

    count: int
    accuracy: float
    mean_recall: float
    macro_f1: float
    genres: tuple[GenreMetrics, ...]
    confusion: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class CalibrationBin:
    """Segments whose top probability, or songs whose confidence, lies in one interval.

    Attributes
    ----------
    count : number of segments or songs in the interval
    confidence : their mean top probability or confidence
    accuracy : share of them with the correct label
    """

    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """Agreement of top probabilities or confidences with the accuracy.

    Attributes
    ----------
    ece : expected calibration error, mean of |accuracy - confidence| over all segments or songs
    bins : non-empty intervals out of :data:`CALIBRATION_BINS` equal ones
    """

    ece: float
    bins: tuple[CalibrationBin, ...]


@dataclass(frozen=True)
class WrongSong:
    """A song with a wrong prediction.

    Attributes
    ----------
    song : name of the song
    true_genre, predicted_genre : label in the data set, and label by majority vote
    confidence : share of the votes for the predicted genre
    probability : mean probability of the predicted genre over the segments
    votes : number of votes of each genre that has any, in descending order
    """

    song: str
    true_genre: str
    predicted_genre: str
    confidence: float
    probability: float
    votes: dict[str, int]


@dataclass(frozen=True)
class SummaryStatistics:
    """Mean, sample standard deviation and range of one metric over several networks."""

    mean: float
    standard_deviation: float
    minimum: float
    maximum: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Summarise at least two values."""
        return cls(float(np.mean(values)), float(np.std(values, ddof=1)), min(values), max(values))


def to_stored_dict(instance: Any) -> dict[str, Any]:
    """Convert a dataclass to JSON types, with the keys of the stored formats."""
    stored: dict[str, Any] = asdict(
        instance,
        dict_factory=lambda items: {_STORED_KEYS.get(key, key): value for key, value in items},
    )
    return stored


def predict_songs(
    dataset: Dataset, segments: IntArray, probabilities: FloatArray, vote: VoteRule = "majority"
) -> dict[int, SongPrediction]:
    """Predict the genres of songs by a vote of the given segments.

    Parameters
    ----------
    dataset : data set of the segments
    segments : int64 [shape=(n,)], positions of segments in the data set
    probabilities : float [shape=(n, genres)], predicted for these segments
    vote : voting rule

    Returns
    -------
    dict
        prediction for each song with at least one of the segments, by the song's position in
        the data set, in ascending order
    """
    owners = dataset.segment_songs[segments]
    return {
        int(song): predict_song(
            probabilities[owners == song], dataset.labels, LabelConfig(vote=vote)
        )
        for song in np.unique(owners)
    }


def predict_song_labels(
    dataset: Dataset, segments: IntArray, probabilities: FloatArray, vote: VoteRule = "majority"
) -> tuple[IntArray, IntArray]:
    """Predict song labels as :func:`predict_songs` does, and return them as arrays.

    Returns
    -------
    songs, labels : int64 [shape=(songs,)] each
        positions of the songs in the data set, and of their predicted genres in its labels
    """
    predictions = predict_songs(dataset, segments, probabilities, vote)
    labels = [dataset.labels.index(prediction.genre) for prediction in predictions.values()]
    return np.array(list(predictions), dtype=np.int64), np.array(labels, dtype=np.int64)


def compute_metrics(dataset: Dataset, segments: IntArray, probabilities: FloatArray) -> Metrics:
    """Compute the main metrics of predictions for some of a data set's segments.

    Parameters
    ----------
    dataset : data set of the segments
    segments : int64 [shape=(n,)], positions of the evaluated segments; n >= 1
    probabilities : float [shape=(n, genres)], predicted for these segments
    """
    songs = compute_song_metrics(dataset, segments, probabilities)
    correct = probabilities.argmax(axis=1) == dataset.segment_targets[segments]
    return Metrics(
        segments=len(segments),
        songs=songs.count,
        segment_accuracy=float(correct.mean()),
        song_accuracy=songs.accuracy,
        song_mean_recall=songs.mean_recall,
        song_macro_f1=songs.macro_f1,
    )


def compute_song_metrics(
    dataset: Dataset, segments: IntArray, probabilities: FloatArray, vote: VoteRule = "majority"
) -> ClassificationMetrics:
    """Compute the metrics of songs; the parameters are those of :func:`predict_songs`."""
    songs, predicted = predict_song_labels(dataset, segments, probabilities, vote)
    return compute_classification_metrics(dataset.song_targets[songs], predicted, dataset.labels)


def compute_classification_metrics(
    true: IntArray, predicted: IntArray, labels: Sequence[str]
) -> ClassificationMetrics:
    """Compute accuracy, recall, precision, F1 and confusion of predicted labels.

    Parameters
    ----------
    true, predicted : int64 [shape=(n,)], positions in ``labels``; n >= 1
    labels : genres
    """
    positions = np.arange(len(labels))
    precision, recall, f1, support = precision_recall_fscore_support(
        true, predicted, labels=positions, zero_division=0
    )
    present = support > 0  # a genre without evaluated items would count as recall 0
    return ClassificationMetrics(
        count=len(true),
        accuracy=float(accuracy_score(true, predicted)),
        mean_recall=float(recall[present].mean()),
        macro_f1=float(f1[present].mean()),
        genres=tuple(
            GenreMetrics(
                label, float(precision[i]), float(recall[i]), float(f1[i]), int(support[i])
            )
            for i, label in enumerate(labels)
        ),
        confusion=tuple(
            tuple(int(count) for count in row)
            for row in confusion_matrix(true, predicted, labels=positions)
        ),
    )


def compute_calibration(confidence: FloatArray, correct: NDArray[np.bool_]) -> Calibration:
    """Compare top probabilities with the share of correct predictions.

    Parameters
    ----------
    confidence : float [shape=(n,)], top probability or confidence; n >= 1
    correct : bool [shape=(n,)], True where the predicted label is correct
    """
    confidence = np.clip(np.asarray(confidence, np.float64), 0.0, 1.0)  # softmax may exceed 1
    accuracies, confidences = calibration_curve(
        correct.astype(int), confidence, n_bins=CALIBRATION_BINS, pos_label=1
    )
    inner_edges = np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)[1:-1]
    counts = np.bincount(np.searchsorted(inner_edges, confidence))  # same bins as sklearn's
    counts = counts[counts > 0]
    return Calibration(
        ece=float(np.average(np.abs(accuracies - confidences), weights=counts)),
        bins=tuple(
            CalibrationBin(int(count), float(mean), float(accuracy))
            for count, mean, accuracy in zip(counts, confidences, accuracies, strict=True)
        ),
    )


def find_worst_songs(
    dataset: Dataset, segments: IntArray, probabilities: FloatArray
) -> tuple[WrongSong, ...]:
    """Return the wrong predictions with the highest confidence, highest first.

    Songs are sorted by the share of votes for the predicted genre, then by the number of these
    votes, then by the mean probability of that genre.

    Parameters
    ----------
    dataset : data set of the segments
    segments : int64 [shape=(n,)], positions of the evaluated segments
    probabilities : float [shape=(n, genres)], predicted for these segments

    Returns
    -------
    tuple
        at most :data:`WORST_SONGS` songs
    """
    wrong = []
    for position, prediction in predict_songs(dataset, segments, probabilities).items():
        song = dataset.songs[position]
        if prediction.genre == song.genre:
            continue
        votes = {genre: count for genre, count in prediction.votes.items() if count}
        wrong.append(
            WrongSong(
                song=song.name,
                true_genre=song.genre,
                predicted_genre=prediction.genre,
                confidence=prediction.confidence,
                probability=prediction.probability,
                votes=dict(sorted(votes.items(), key=lambda item: -item[1])),
            )
        )
    wrong.sort(key=lambda s: (-s.confidence, -s.votes[s.predicted_genre], -s.probability, s.song))
    return tuple(wrong[:WORST_SONGS])
