"""One number that makes a network's probabilities mean what they say.

Guo et al., "On Calibration of Modern Neural Networks" (2017): the logits are divided by a
temperature, which changes no label. It is found on what the networks said of songs that they had
not heard.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

FloatArray = NDArray[np.floating]
IntArray = NDArray[np.int64]

_BOUNDS = (0.05, 20.0)
_LEAST = 1e-9  # a probability that was rounded to zero


def fit_temperature(probabilities: FloatArray, targets: IntArray) -> float:
    """The temperature at which the probabilities have the least log loss.

    Parameters
    ----------
    probabilities : float [shape=(n, genres)], of segments not trained on
    targets : int64 [shape=(n,)]
    """
    logits = _logits(probabilities)
    rows = np.arange(len(targets))

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float(scaled[rows, targets].mean())

    found = minimize_scalar(loss, bounds=np.log(_BOUNDS), method="bounded")
    return float(np.exp(found.x))


def at_temperature(probabilities: FloatArray, temperature: float) -> NDArray[np.float64]:
    """The probabilities of a network whose logits are divided by the temperature."""
    tempered: NDArray[np.float64] = softmax(_logits(probabilities) / temperature, axis=1)
    return tempered


def cross_fitted(
    probabilities: Sequence[FloatArray], targets: Sequence[IntArray]
) -> NDArray[np.float64]:
    """Each fold's probabilities at the temperature that all the other folds give.

    Parameters
    ----------
    probabilities, targets : of each fold, as for :func:`fit_temperature`; at least two folds

    Returns
    -------
    float64 [shape=(n, genres)], one fold after the other
    """
    parts = []
    for fold, part in enumerate(probabilities):
        others = [i for i in range(len(probabilities)) if i != fold]
        temperature = fit_temperature(
            np.concatenate([probabilities[i] for i in others]),
            np.concatenate([targets[i] for i in others]),
        )
        parts.append(at_temperature(part, temperature))
    return np.concatenate(parts)


def _logits(probabilities: FloatArray) -> NDArray[np.float64]:
    return np.log(np.maximum(np.asarray(probabilities, np.float64), _LEAST))
