"""Calibrate a network's probabilities by temperature scaling.

The logits are divided by one temperature, which changes no label (Guo et al., "On Calibration of
Modern Neural Networks", 2017). The temperature is fitted on held-out predictions.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

FloatArray = NDArray[np.floating]
IntArray = NDArray[np.int64]

_BOUNDS = (0.05, 20.0)
_MIN_PROBABILITY = 1e-9  # replaces a probability that was rounded to zero


def fit_temperature(probabilities: FloatArray, targets: IntArray) -> float:
    """Find the temperature that minimises the log loss.

    Parameters
    ----------
    probabilities : float [shape=(n, genres)], predicted for segments not used in training
    targets : int64 [shape=(n,)], column of each segment's true genre
    """
    logits = _logits(probabilities)
    rows = np.arange(len(targets))

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float(scaled[rows, targets].mean())

    minimum = minimize_scalar(loss, bounds=np.log(_BOUNDS), method="bounded")
    return float(np.exp(minimum.x))


def scale_probabilities(probabilities: FloatArray, temperature: float) -> NDArray[np.float64]:
    """Return the probabilities after dividing the logits by the temperature.

    Parameters
    ----------
    probabilities : float [shape=(n, genres)]
    temperature : divisor of the logits

    Returns
    -------
    float64 [shape=(n, genres)]
    """
    scaled: NDArray[np.float64] = softmax(_logits(probabilities) / temperature, axis=1)
    return scaled


def cross_calibrate(
    probabilities: Sequence[FloatArray], targets: Sequence[IntArray]
) -> NDArray[np.float64]:
    """Scale each fold's probabilities by a temperature fitted on all other folds.

    Parameters
    ----------
    probabilities, targets : arguments of :func:`fit_temperature` for each of at least two folds

    Returns
    -------
    float64 [shape=(n, genres)], the folds concatenated
    """
    scaled = []
    for fold, fold_probabilities in enumerate(probabilities):
        others = [i for i in range(len(probabilities)) if i != fold]
        temperature = fit_temperature(
            np.concatenate([probabilities[i] for i in others]),
            np.concatenate([targets[i] for i in others]),
        )
        scaled.append(scale_probabilities(fold_probabilities, temperature))
    return np.concatenate(scaled)


def _logits(probabilities: FloatArray) -> NDArray[np.float64]:
    return np.log(np.maximum(np.asarray(probabilities, np.float64), _MIN_PROBABILITY))
