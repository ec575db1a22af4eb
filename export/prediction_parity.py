"""Whether the phone says what the trained network says.

Two questions, asked of real segments: (a) is the NumPy MFCC librosa's, and (b) does the
int8 file on the NumPy MFCC give the labels that Keras gives on librosa's?
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score

from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.evaluation.metrics import predict_song_labels

FEATURE_ATOL = 1e-3
FEATURE_RTOL = 1e-5
LOWEST_AGREEMENT = 0.98
LARGEST_DROP = 0.01

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class FeatureParity:
    """NumPy's MFCC against librosa's.

    Attributes
    ----------
    segments : how many were compared
    largest_difference : max |NumPy - librosa| over all coefficients
    worst : the segment where it is
    holds : whether every coefficient is within atol + rtol * |librosa|
    """

    segments: int
    largest_difference: float
    worst: str
    holds: bool
    atol: float = FEATURE_ATOL
    rtol: float = FEATURE_RTOL


@dataclass(frozen=True)
class LabelParity:
    """int8 TFLite on NumPy features against Keras float32 on librosa features.

    Attributes
    ----------
    what : which network on which songs
    segments, songs : how many were compared
    segment_agreement, song_agreement : share of equal labels
    keras_accuracy, tflite_accuracy : of the songs, by vote
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
        """Share of songs lost by quantization; negative where int8 is better."""
        return self.keras_accuracy - self.tflite_accuracy

    @property
    def holds(self) -> bool:
        """Whether the labels agree well enough to ship the file."""
        return (
            self.segment_agreement >= LOWEST_AGREEMENT and self.accuracy_drop <= LARGEST_DROP + 1e-9
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {**asdict(self), "accuracy_drop": self.accuracy_drop, "holds": self.holds}


def compare_features(names: list[str], ours: FloatArray, librosas: FloatArray) -> FeatureParity:
    """Compare features segment by segment.

    Parameters
    ----------
    names : of the segments, for the report
    ours, librosas : float32 [shape=(segments, frames, coefficients)]
    """
    difference = np.abs(ours - librosas).max(axis=(1, 2))
    worst = int(difference.argmax())
    return FeatureParity(
        segments=len(names),
        largest_difference=float(difference[worst]),
        worst=names[worst],
        holds=bool(np.allclose(ours, librosas, atol=FEATURE_ATOL, rtol=FEATURE_RTOL)),
    )


def compare_labels(
    what: str,
    dataset: Dataset,
    segments: NDArray[np.int64],
    keras: FloatArray,
    tflite: FloatArray,
) -> LabelParity:
    """Compare two networks' probabilities of the same segments.

    Parameters
    ----------
    what : which network on which songs, for the report
    dataset : where the segments are from
    segments : int64 [shape=(n,)], their positions
    keras, tflite : float32 [shape=(n, genres)]
    """
    songs, by_keras = predict_song_labels(dataset, segments, keras)
    _, by_tflite = predict_song_labels(dataset, segments, tflite)
    truth = dataset.song_targets[songs]
    return LabelParity(
        what=what,
        segments=len(segments),
        songs=len(songs),
        segment_agreement=float(accuracy_score(keras.argmax(axis=1), tflite.argmax(axis=1))),
        song_agreement=float(accuracy_score(by_keras, by_tflite)),
        keras_accuracy=float(accuracy_score(truth, by_keras)),
        tflite_accuracy=float(accuracy_score(truth, by_tflite)),
    )
