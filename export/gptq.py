"""Round weights to the int8 grid with the least change of what the layers say.

The converter rounds each weight to the nearest step, and the errors of a convolution's hundreds
of weights add up: on held-out songs that alone turned over 1.2 % of the published CNN's labels.
Here the weights are rounded one input after the other, and the weights that are not rounded yet
make good for the error, as far as the calibration data show that they can: GPTQ, Frantar et
al., "Accurate Post-Training Quantization for Generative Pre-trained Transformers" (2022), after
the Optimal Brain Surgeon. The converter then finds weights that stand on its grid already.
"""

from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

_LEVELS = 127  # int8 weights are symmetric
_DAMPING = 0.01  # of the mean square of an input, as in the paper
_EXAMPLES_PER_INPUT = 10
"""With fewer the inputs' statistics are chance, and rounding to the nearest does better."""
_MOST_EXAMPLES = 200_000
_BATCH = 16  # segments
_ROUNDED = (layers.Conv1D, layers.Conv2D, layers.Dense)


def round_weights(model: keras.Model, calibration: FloatArray) -> keras.Model:
    """The same network with the weights of its convolutions and dense layers on the int8 grid.

    Those of models within it are rounded too, there by what the float32 layers before them say.

    Parameters
    ----------
    model : a Sequential network; it is left as it is
    calibration : float32 [shape=(segments, ...)], inputs of the network
    """
    clones = [layer.__class__.from_config(layer.get_config()) for layer in model.layers]
    rounded = keras.Sequential([keras.Input(model.input_shape[1:]), *clones], name=model.name)
    activations = calibration
    for layer, clone in zip(model.layers, clones, strict=True):
        clone.set_weights(layer.get_weights())
        if isinstance(layer, keras.Model):
            _round_within(layer, clone, activations)
        elif isinstance(layer, _ROUNDED):
            moments = _Moments(layer, len(activations))
            for batch in _batches(activations):
                moments.add(batch)
            moments.round(clone)
        activations = run_in_batches(clone, activations)
    return rounded


def _round_within(model: keras.Model, clone: keras.Model, inputs: FloatArray) -> None:
    """Round the layers of a functional model's clone, those of models within it as well."""
    inner = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    rounded = [layer for layer in model.layers if isinstance(layer, _ROUNDED)]
    ask = keras.Model(model.input, [_taken_in(layer) for layer in [*inner, *rounded]])
    moments = [_Moments(layer, len(inputs)) for layer in rounded]
    heard: list[list[FloatArray]] = [[] for _ in inner]
    for batch in _batches(inputs):
        said = [np.asarray(tensor) for tensor in keras.tree.flatten(ask(batch, training=False))]
        for parts, tensor in zip(heard, said[: len(inner)], strict=True):
            parts.append(tensor)
        for moment, tensor in zip(moments, said[len(inner) :], strict=True):
            moment.add(tensor)
    for layer, moment in zip(rounded, moments, strict=True):
        moment.round(clone.get_layer(layer.name))
    for layer, parts in zip(inner, heard, strict=True):
        _round_within(layer, clone.get_layer(layer.name), np.concatenate(parts))


def _taken_in(layer: keras.Layer) -> keras.KerasTensor:
    """What a layer is given in the model around it; a model's own ``input`` is inside it."""
    return keras.Operation.input.fget(layer)


def run_in_batches(layer: keras.Layer, inputs: FloatArray) -> FloatArray:
    """What a layer makes of many segments; a wide network on all at once would take 5 GB."""
    return np.concatenate([np.asarray(layer(batch, training=False)) for batch in _batches(inputs)])


def round_matrix(weights: FloatArray, moments: NDArray[np.float64]) -> FloatArray:
    """Round so that ``examples @ weights`` changes little.

    Parameters
    ----------
    weights : float32 [shape=(inputs, outputs)]
    moments : float64 [shape=(inputs, inputs)], ``examples.T @ examples / len(examples)``

    Returns
    -------
    float32 [shape=(inputs, outputs)]
        in each column, whole multiples of its largest magnitude / 127. The largest itself
        stays, so that the converter computes the same step.
    """
    order = np.argsort(-np.diag(moments), kind="stable")  # the loudest first
    left = weights[order].astype(np.float64)
    steps = np.abs(left).max(axis=0) / _LEVELS
    steps[steps == 0] = 1.0
    largest, kept = np.abs(left).argmax(axis=0), np.abs(left).max(axis=0)
    propagation = _propagation(moments[np.ix_(order, order)])
    rounded = np.empty_like(left)
    for i, row in enumerate(left):
        nearest = np.clip(np.rint(row / steps), -_LEVELS, _LEVELS) * steps
        signed = np.copysign(kept, weights[order[i]])
        rounded[i] = np.where(largest == i, signed, nearest)
        error = (row - rounded[i]) / propagation[i, i]
        left[i + 1 :] -= np.outer(propagation[i, i + 1 :], error)
    result = np.empty_like(weights)
    result[order] = rounded
    return result


def _propagation(moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """How the error of one input is spread over the later ones: upper triangular."""
    hessian = moments.copy()
    hessian[np.diag_indices_from(hessian)] += _DAMPING * np.trace(hessian) / len(hessian) + 1e-12
    return np.linalg.cholesky(np.linalg.inv(hessian)).T


class _Moments:
    """How what a layer's kernel is multiplied with goes together, gathered batch by batch."""

    def __init__(self, layer: keras.Layer, segments: int) -> None:
        self._layer = layer
        self._segments = segments
        self._count = 0
        self._sum: NDArray[np.float64] | float = 0.0

    def add(self, activations: FloatArray) -> None:
        """Look at the layer's inputs for some segments."""
        examples = _examples(self._layer, activations)
        share = _MOST_EXAMPLES * len(activations) / self._segments
        examples = examples[:: 1 + int(len(examples) / share)]
        self._sum = self._sum + (examples.T @ examples).astype(np.float64)
        self._count += len(examples)

    def round(self, clone: keras.Layer) -> None:
        """Round the weights of the layer's clone, if enough was seen."""
        kernel, *bias = clone.get_weights()
        matrix = kernel.reshape(-1, kernel.shape[-1])
        if self._count >= _EXAMPLES_PER_INPUT * len(matrix):
            rounded = round_matrix(matrix, np.asarray(self._sum) / self._count)
            clone.set_weights([rounded.reshape(kernel.shape), *bias])


def _examples(layer: keras.Layer, activations: FloatArray) -> FloatArray:
    """What the layer's kernel is multiplied with, float32 [shape=(n, inputs)]."""
    if isinstance(layer, layers.Dense):
        return activations.reshape(-1, activations.shape[-1])
    sizes, strides, rates = layer.kernel_size, layer.strides, layer.dilation_rate
    if isinstance(layer, layers.Conv1D):
        activations = activations[:, :, np.newaxis]
        sizes, strides, rates = ((*size, 1) for size in (sizes, strides, rates))
    patches = tf.image.extract_patches(
        activations, [1, *sizes, 1], [1, *strides, 1], [1, *rates, 1], layer.padding.upper()
    )
    examples: FloatArray = patches.numpy().reshape(-1, patches.shape[-1])
    return examples


def _batches(segments: FloatArray) -> Iterator[FloatArray]:
    return (segments[start : start + _BATCH] for start in range(0, len(segments), _BATCH))
