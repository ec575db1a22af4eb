"""Compare a device's features with the reference and report differences and their cause."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgenre.classifier import GenreClassifier
from pocketgenre.features import compute_features
from pocketgenre.features.config import feature_kind
from pocketgenre.server.feature_encoding import decode_features
from pocketgenre.server.parity.audio import ParityAudio
from pocketgenre.server.parity.hypotheses import rank_hypotheses
from pocketgenre.server.schemas import (
    Cause,
    CoefficientDifference,
    FrameDifference,
    ModelName,
    Parity,
)
from pocketgenre.server.tasks import AudioUpload, read_segments

_TOLERANCE = {"mfcc": 0.01, "log-mel": 0.001}
"""Largest difference regarded as equal, by kind of features: ten times the float32 error."""

_MAX_SEGMENTS = 40
_MAX_EXPLAINED = 3  # segments on which the hypotheses are evaluated
# Largest share of the mean difference that may remain, since decoders and rounding also differ.
_EXPLAINED, _IMPROVED = 0.02, 0.25
_SMALL = 10  # tolerances; if the remaining differences are that small, _IMPROVED is enough
_WORST_FRAMES = 10
_TRIED = 5


@dataclass(frozen=True)
class ParityTask:
    """Compare a device's features with the reference.

    The result is a :class:`pocketgenre.server.schemas.Parity`.

    Attributes
    ----------
    song : the uploaded song
    features : path of the file with the device's features
    model : name of the model
    timeout : time after which the worker is stopped [s]
    first : number of the first segment in ``features``
    """

    song: AudioUpload
    features: str
    model: str
    timeout: float
    first: int = 0

    def run(self, classifier: GenreClassifier, model_name: ModelName) -> Parity:
        """Compare the features and search for the cause of differences."""
        feature_config = classifier.card.feature_config
        features = decode_features(Path(self.features).read_bytes(), feature_config, _MAX_SEGMENTS)
        segments = read_segments(self.song, feature_config, self.first, len(features))
        reference = np.stack([compute_features(samples, feature_config) for samples in segments])
        tolerance = _tolerance(feature_config.kind)
        same_shape = reference.shape == features.shape
        difference = np.abs(reference - features) if same_shape else None
        same = difference is not None and bool(difference.max() <= tolerance)
        causes: list[Cause] = []
        if not same:
            excerpt = features[: min(_MAX_EXPLAINED, len(reference))]
            audio = ParityAudio(self.song, feature_config, self.first, len(excerpt))
            causes = rank_hypotheses(audio, excerpt)[:_TRIED]
        return Parity(
            model=model_name,
            kind=feature_config.kind,
            same=same,
            tolerance=tolerance,
            shape=list(features.shape),
            expected_shape=list(reference.shape),
            maximum=None if difference is None else float(difference.max()),
            mean=None if difference is None else float(difference.mean()),
            frames=[] if difference is None else _worst_frames(difference, self.first),
            coefficients=[] if difference is None else _coefficients(difference),
            cause=_cause(causes, difference, tolerance, features.shape, reference.shape, same=same),
            tried=causes,
        )


def _tolerance(kind: str) -> float:
    if kind in _TOLERANCE:
        return _TOLERANCE[kind]
    _, absolute = feature_kind(kind).tolerance
    return 10 * absolute


def _cause(
    causes: list[Cause],
    difference: NDArray[np.float64] | None,
    tolerance: float,
    shape: tuple[int, ...],
    expected_shape: tuple[int, ...],
    *,
    same: bool,
) -> Cause:
    if same:
        return Cause(code="none", detail="The features are the same.", maximum=None, mean=None)
    if causes and _explains(causes[0], difference, tolerance):
        return causes[0]
    detail = "No known cause explains the differences."
    if difference is None:
        detail = f"The shape is {shape} instead of {expected_shape}; no known cause explains it."
    return Cause(code="unknown", detail=detail, maximum=None, mean=None)


def _explains(cause: Cause, difference: NDArray[np.float64] | None, tolerance: float) -> bool:
    maximum, mean = cause.maximum or 0.0, cause.mean or 0.0
    if difference is None:  # the shapes differ, so there is no difference to improve on
        return mean <= _SMALL * tolerance
    mean_before = float(difference.mean())
    if maximum <= _SMALL * tolerance:
        return mean <= _IMPROVED * mean_before
    return mean <= _EXPLAINED * mean_before


def _worst_frames(difference: NDArray[np.float64], first: int) -> list[FrameDifference]:
    maxima, means = difference.max(axis=2), difference.mean(axis=2)
    order = np.argsort(-maxima, axis=None)[:_WORST_FRAMES]
    places = zip(*np.unravel_index(order, maxima.shape), strict=True)
    return [
        FrameDifference(
            segment=first + int(segment),
            frame=int(frame),
            maximum=float(maxima[segment, frame]),
            mean=float(means[segment, frame]),
        )
        for segment, frame in places
    ]


def _coefficients(difference: NDArray[np.float64]) -> list[CoefficientDifference]:
    maxima, means = difference.max(axis=(0, 1)), difference.mean(axis=(0, 1))
    return [
        CoefficientDifference(coefficient=int(n), maximum=float(maxima[n]), mean=float(means[n]))
        for n in np.argsort(-maxima)
    ]
