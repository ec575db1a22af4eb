"""Fit the last layer of a network to labelled songs, starting from the layer that it had.

It is a logistic regression whose weights are drawn to those of the old layer instead of to zero
(a Gaussian prior; Chelba and Acero, "Adaptation of Maximum Entropy Capitalizer", 2004). Without an
old layer it is scikit-learn's ``LogisticRegression``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from pocketgenre.constants import INVERSE_REGULARIZATION, MIN_DEVIATION

FloatArray = NDArray[np.float32]
Float64Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

_MAX_ITERATIONS = 500


@dataclass(frozen=True, eq=False)
class Layer:
    """Weights of a last layer.

    Attributes
    ----------
    labels : labels in the order of the outputs
    kernel : float32 [shape=(features, labels)]
    bias : float32 [shape=(labels,)]
    """

    labels: tuple[str, ...]
    kernel: FloatArray
    bias: FloatArray

    def logits(self, features: FloatArray) -> FloatArray:
        """Compute logits, float32 [shape=(n, labels)], of features [shape=(n, features)]."""
        return features @ self.kernel + self.bias


def fit_layer(
    features: FloatArray,
    targets: IntArray,
    start: Layer,
    weights: Float64Array | None = None,
    *,
    has_prior: bool = True,
) -> Layer:
    """Fit a layer to songs.

    Parameters
    ----------
    features : float32 [shape=(songs, features)], mean over the segments of each song
    targets : int64 [shape=(songs,)], position of each song's label in ``start.labels``
    start : layer with the wanted labels, see :func:`starting_layer`
    weights : float64 [shape=(songs,)], weight of each song; by default all labels that occur have
        the same total weight, and the mean weight is 1
    has_prior : draw the weights to those of ``start``; False to draw them to zero
    """
    mean = features.mean(axis=0, dtype=np.float64)
    deviation = features.std(axis=0, dtype=np.float64) + MIN_DEVIATION
    rows = (features - mean) / deviation
    kernel = start.kernel * deviation[:, np.newaxis]
    bias = start.bias + mean @ start.kernel
    if not has_prior:
        kernel, bias = np.zeros_like(kernel), np.zeros_like(bias)
    weights = balanced(targets) if weights is None else weights
    kernel, bias = _minimize(rows, targets, weights, kernel, bias, has_prior)
    kernel = kernel / deviation[:, np.newaxis]
    bias = bias - mean @ kernel
    return Layer(start.labels, kernel.astype(np.float32), bias.astype(np.float32))


def balanced(targets: IntArray) -> Float64Array:
    """Weight songs so that all labels that occur have the same total, float64 [shape=(songs,)]."""
    labels, positions, counts = np.unique(targets, return_inverse=True, return_counts=True)
    weights: Float64Array = len(targets) / len(labels) / counts[positions]
    return weights


def starting_layer(
    old: Layer, labels: Sequence[str], features: FloatArray, targets: IntArray, ignored: str
) -> Layer:
    """Give each label weights before any is fitted.

    A label of the old layer keeps its weights. A new label begins as a mixture of old labels, with
    the shares that the old layer predicts for its songs, so that it takes songs from the genres
    that it is similar to, and none from ``not-music``.

    Parameters
    ----------
    old : the layer that the network has
    labels : labels of the new layer
    features : float32 [shape=(songs, features)]
    targets : int64 [shape=(songs,)], position of each song's label in ``labels``
    ignored : old label that is no part of mixtures, if the layer has it: ``not-music``
    """
    known = {label: i for i, label in enumerate(old.labels)}
    genres = [i for i, label in enumerate(old.labels) if label != ignored]
    shares = softmax(old.logits(features)[:, genres], axis=1)
    kernel = np.empty((len(old.kernel), len(labels)), np.float32)
    bias = np.empty(len(labels), np.float32)
    for i, label in enumerate(labels):
        if label in known:
            mixture = np.eye(len(old.labels), dtype=np.float32)[known[label]]
        else:
            mixture = np.zeros(len(old.labels), np.float32)
            mixture[genres] = shares[targets == i].mean(axis=0)
        kernel[:, i], bias[i] = old.kernel @ mixture, old.bias @ mixture
    return Layer(tuple(labels), kernel, bias)


def _minimize(
    rows: Float64Array,
    targets: IntArray,
    weights: Float64Array,
    kernel: Float64Array,
    bias: Float64Array,
    has_prior: bool,
) -> tuple[Float64Array, Float64Array]:
    """Minimise the log loss and the squared distance from the start.

    Without a prior the bias is free, as in scikit-learn. With one, a new label of which there are
    songs, among old labels without any, would get an infinite bias.
    """
    songs, shape, size = np.arange(len(rows)), kernel.shape, kernel.size
    start = np.concatenate([kernel.ravel(), bias])
    penalty = np.ones(len(start))
    penalty[size:] = has_prior
    scaled = INVERSE_REGULARIZATION * weights

    def loss(values: Float64Array) -> tuple[float, Float64Array]:
        kernel = values[:size].reshape(shape)
        logits = rows @ kernel + values[size:]
        losses = logsumexp(logits, axis=1) - logits[songs, targets]
        errors = softmax(logits, axis=1)
        errors[songs, targets] -= 1.0
        errors *= scaled[:, np.newaxis]
        distance = (values - start) * penalty
        gradient = np.concatenate([(rows.T @ errors).ravel(), errors.sum(axis=0)]) + distance
        return float(scaled @ losses + 0.5 * distance @ distance), gradient

    values = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _MAX_ITERATIONS, "gtol": 1e-5, "ftol": 1e-10},
    ).x
    return values[:size].reshape(shape), values[size:]
