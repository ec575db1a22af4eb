"""Compare a device's features with the reference and report differences and their cause."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketgenre.features import compute_features
from pocketgenre.features.config import FeatureConfig, feature_kind
from pocketgenre.parity.audio import ParityAudio, select_segments
from pocketgenre.parity.hypotheses import Cause, rank_hypotheses

FloatArray = NDArray[np.float32]

_TOLERANCE = {"mfcc": 0.01, "log-mel": 0.001}
"""Largest difference regarded as equal, by kind of features: ten times the float32 error."""

_MAX_EXPLAINED = 3  # segments on which the hypotheses are evaluated
# Largest share of the mean difference that may remain, since decoders and rounding also differ.
_EXPLAINED, _IMPROVED = 0.02, 0.25
_SMALL = 10  # tolerances; if the remaining differences are that small, _IMPROVED is enough
_WORST_FRAMES = 10
_TRIED = 5


@dataclass(frozen=True)
class FrameDifference:
    """Absolute difference in a frame."""

    segment: int
    frame: int
    maximum: float
    mean: float


@dataclass(frozen=True)
class CoefficientDifference:
    """Absolute difference in a coefficient."""

    coefficient: int
    maximum: float
    mean: float


@dataclass(frozen=True)
class Comparison:
    """Comparison of a device's features with the reference.

    Attributes
    ----------
    kind : kind of features: ``mfcc``, ``log-mel``, ...
    same : True if no difference exceeds the tolerance
    tolerance : largest difference regarded as equal
    shape : shape of the device's features
    expected_shape : shape of the reference features
    maximum : largest absolute difference; None if the shapes differ
    mean : mean absolute difference; None if the shapes differ
    frames : the ten frames with the largest differences
    coefficients : all coefficients, those with the largest differences first
    cause : cause of the differences
    tried : the five causes that explain the differences best
    """

    kind: str
    same: bool
    tolerance: float
    shape: tuple[int, ...]
    expected_shape: tuple[int, ...]
    maximum: float | None
    mean: float | None
    frames: list[FrameDifference]
    coefficients: list[CoefficientDifference]
    cause: Cause
    tried: list[Cause]


def compare_features(
    features: NDArray[np.float64],
    path: str | os.PathLike[str],
    segments: Iterable[FloatArray],
    feature_config: FeatureConfig,
    first: int = 0,
) -> Comparison:
    """Compare a device's features with the reference, and search for the cause of differences.

    Parameters
    ----------
    features : float64 [shape=(segments, ...)], the device's features
    path : path of the song
    segments : the segments of the song, from the first on, as a scan cuts them
    feature_config : parameters of the features
    first : number of the first segment in ``features``, counted from 0

    Raises
    ------
    AudioError
        if the song cannot be decoded, or ends before the first segment.
    """
    selected = select_segments(segments, first, len(features))
    reference = np.stack([compute_features(samples, feature_config) for samples in selected])
    tolerance = _tolerance(feature_config.kind)
    same_shape = reference.shape == features.shape
    difference = np.abs(reference - features) if same_shape else None
    same = difference is not None and bool(difference.max() <= tolerance)
    causes: list[Cause] = []
    if not same:
        excerpt = features[: min(_MAX_EXPLAINED, len(reference))]
        audio = ParityAudio(path, feature_config, first, len(excerpt))
        causes = rank_hypotheses(audio, excerpt)[:_TRIED]
    return Comparison(
        kind=feature_config.kind,
        same=same,
        tolerance=tolerance,
        shape=features.shape,
        expected_shape=reference.shape,
        maximum=None if difference is None else float(difference.max()),
        mean=None if difference is None else float(difference.mean()),
        frames=[] if difference is None else _worst_frames(difference, first),
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
        return Cause(code="none", detail="The features are the same.")
    if causes and _explains(causes[0], difference, tolerance):
        return causes[0]
    detail = "No known cause explains the differences."
    if difference is None:
        detail = f"The shape is {shape} instead of {expected_shape}; no known cause explains it."
    return Cause(code="unknown", detail=detail)


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
