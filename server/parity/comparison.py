"""A device's features beside ours: how far they are off, where, and most likely why."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgenre.classifier import Classifier
from pocketgenre.features import compute_features
from pocketgenre.server.feature_encoding import decode
from pocketgenre.server.parity.audio import ParityAudio
from pocketgenre.server.parity.hypotheses import explain
from pocketgenre.server.schemas import (
    Cause,
    CoefficientDifference,
    FrameDifference,
    ModelName,
    Parity,
)
from pocketgenre.server.tasks import Recording, some_segments

TOLERANCE = {"mfcc": 0.01, "log-mel": 0.001}
"""Largest difference that is none, by the kind of features: ten times what float32 costs."""

_MOST_SEGMENTS = 40
_MOST_EXPLAINED = 3  # segments that mistakes are tried on
# What a mistake may leave of the differences, on average: decoders and rounding differ as well.
_EXPLAINED, _BETTER = 0.02, 0.25
_SMALL = 10  # tolerances: where no more than that is left, to have bettered them is enough
_WORST_FRAMES = 10
_NEAREST = 5


@dataclass(frozen=True)
class Compare:
    """A device's features of a song beside ours; the answer is :class:`pocketgenre.server.schemas.Parity`.

    Attributes
    ----------
    features : path of the file with the device's
    first : number of the segment that they begin with
    """

    recording: Recording
    features: str
    model: str
    seconds: float
    first: int = 0

    def answer(self, classifier: Classifier, name: ModelName) -> Parity:
        """Compare, and look for the cause."""
        feature_config = classifier.card.feature_config
        theirs = decode(Path(self.features).read_bytes(), feature_config, _MOST_SEGMENTS)
        chosen = some_segments(self.recording, feature_config, self.first, len(theirs))
        ours = np.stack([compute_features(samples, feature_config) for samples in chosen])
        tolerance = TOLERANCE[feature_config.kind]
        difference = np.abs(ours - theirs) if ours.shape == theirs.shape else None
        same = difference is not None and bool(difference.max() <= tolerance)
        nearest: list[Cause] = []
        if not same:
            some = theirs[: min(_MOST_EXPLAINED, len(ours))]
            excerpt = ParityAudio(self.recording, feature_config, self.first, len(some))
            tried = (
                Cause(code=mistake.code, detail=mistake.detail, maximum=maximum, mean=mean)
                for mistake, maximum, mean in explain(excerpt, some)
            )
            nearest = sorted(tried, key=lambda cause: cause.mean or 0.0)[:_NEAREST]
        return Parity(
            model=name,
            kind=feature_config.kind,
            same=same,
            tolerance=tolerance,
            shape=list(theirs.shape),
            expected_shape=list(ours.shape),
            maximum=None if difference is None else float(difference.max()),
            mean=None if difference is None else float(difference.mean()),
            frames=[] if difference is None else _worst_frames(difference, self.first),
            coefficients=[] if difference is None else _coefficients(difference),
            cause=_cause(nearest, difference, tolerance, theirs.shape, ours.shape, same=same),
            tried=nearest,
        )


def _cause(
    nearest: list[Cause],
    difference: NDArray[np.float64] | None,
    tolerance: float,
    shape: tuple[int, ...],
    expected: tuple[int, ...],
    *,
    same: bool,
) -> Cause:
    if same:
        return Cause(code="none", detail="The features are the same.", maximum=None, mean=None)
    if nearest and _explains(nearest[0], difference, tolerance):
        return nearest[0]
    detail = "None of the known mistakes explains the differences."
    if difference is None:
        detail = f"The table is {shape}, not {expected}, which no known mistake explains."
    return Cause(code="unknown", detail=detail, maximum=None, mean=None)


def _explains(cause: Cause, difference: NDArray[np.float64] | None, tolerance: float) -> bool:
    maximum, mean = cause.maximum or 0.0, cause.mean or 0.0
    if difference is None:  # nothing to be better than
        return mean <= _SMALL * tolerance
    before = float(difference.mean())
    if maximum <= _SMALL * tolerance:
        return mean <= _BETTER * before
    return mean <= _EXPLAINED * before


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
