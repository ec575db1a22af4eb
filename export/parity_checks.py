"""Compare features with the reference implementation, and TFLite predictions with Keras."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta
from sklearn.metrics import accuracy_score

from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.evaluation.metrics import predict_song_labels

MIN_SEGMENT_AGREEMENT = 0.98
MAX_ACCURACY_DROP = 0.01
CONFIDENCE = 0.95
"""One-sided confidence with which a limit must be missed before a file is refused.

With 32 segments, one changed label is 97 %, which says little about the next thousand segments.
"""

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class FeatureParity:
    """Difference between the features of the device and the reference features.

    Attributes
    ----------
    segments : number of segments compared
    largest_difference : max |device - reference| over all coefficients
    worst : name of the segment with the largest difference
    holds : True if every coefficient is within atol + rtol * |reference|
    atol, rtol : absolute and relative tolerance
    """

    segments: int
    largest_difference: float
    worst: str
    holds: bool
    atol: float
    rtol: float


@dataclass(frozen=True)
class LabelParity:
    """Agreement of a TFLite file on the device's features with Keras on reference features.

    Attributes
    ----------
    what : description of the networks and the songs
    segments, songs : number of segments and songs compared
    segment_agreement, song_agreement : share with the same predicted label
    keras_accuracy, tflite_accuracy : share of correct songs, by majority vote
    """

    what: str
    segments: int
    songs: int
    segment_agreement: float
    song_agreement: float
    keras_accuracy: float
    tflite_accuracy: float

    @property
    def accuracy_drop(self) -> float:
        """Accuracy lost by the conversion; negative if the TFLite file is better."""
        return self.keras_accuracy - self.tflite_accuracy

    @property
    def holds(self) -> bool:
        """True if agreement and accuracy may be within the limits, by their confidence bounds."""
        agreeing = round(self.segment_agreement * self.segments)
        lost = max(0, round(self.accuracy_drop * self.songs))
        return (
            highest_share(agreeing, self.segments) >= MIN_SEGMENT_AGREEMENT
            and 1 - highest_share(self.songs - lost, self.songs) <= MAX_ACCURACY_DROP
        )

    @property
    def is_within_limits(self) -> bool:
        """True if agreement and accuracy are within the limits on this sample."""
        return (
            self.segment_agreement >= MIN_SEGMENT_AGREEMENT
            and self.accuracy_drop <= MAX_ACCURACY_DROP + 1e-9
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the values as JSON types."""
        return {**asdict(self), "accuracy_drop": self.accuracy_drop, "holds": self.holds}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read the result of :meth:`to_dict`."""
        return cls(**{field.name: values[field.name] for field in fields(cls)})


def highest_share(count: int, total: int) -> float:
    """Compute the upper confidence bound of a share (Clopper and Pearson, one-sided).

    The segments of a song are similar, so that the true bound is even higher.

    Parameters
    ----------
    count : number of successes
    total : number of trials
    """
    if count >= total:
        return 1.0
    return float(beta.ppf(CONFIDENCE, count + 1, total - count))


def compare_features(
    names: list[str], features: FloatArray, reference: FloatArray, tolerance: tuple[float, float]
) -> FeatureParity:
    """Compare features segment by segment.

    Parameters
    ----------
    names : names of the segments, for the report
    features, reference : float32 [shape=(segments, frames, coefficients)]
    tolerance : relative and absolute tolerance
    """
    rtol, atol = tolerance
    difference = np.abs(features - reference).max(axis=(1, 2))
    worst = int(difference.argmax())
    return FeatureParity(
        segments=len(names),
        largest_difference=float(difference[worst]),
        worst=names[worst],
        holds=bool(np.allclose(features, reference, atol=atol, rtol=rtol)),
        atol=atol,
        rtol=rtol,
    )


def compare_labels(
    what: str,
    dataset: Dataset,
    segments: NDArray[np.int64],
    keras: FloatArray,
    tflite: FloatArray,
) -> LabelParity:
    """Compare the predictions of Keras and TFLite for the same segments.

    Parameters
    ----------
    what : description of the networks and the songs, for the report
    dataset : data set that contains the segments
    segments : int64 [shape=(n,)]
        positions of the segments in the data set
    keras, tflite : float32 [shape=(n, genres)]
        predicted probabilities
    """
    songs, keras_labels = predict_song_labels(dataset, segments, keras)
    _, tflite_labels = predict_song_labels(dataset, segments, tflite)
    true_labels = dataset.song_targets[songs]
    return LabelParity(
        what=what,
        segments=len(segments),
        songs=len(songs),
        segment_agreement=float(accuracy_score(keras.argmax(axis=1), tflite.argmax(axis=1))),
        song_agreement=float(accuracy_score(keras_labels, tflite_labels)),
        keras_accuracy=float(accuracy_score(true_labels, keras_labels)),
        tflite_accuracy=float(accuracy_score(true_labels, tflite_labels)),
    )
