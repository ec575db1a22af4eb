"""Round weights to the int8 grid so that the outputs of the layers change as little as possible.

The TFLite converter rounds each weight to the nearest step, and the errors of a convolution's
hundreds of weights add up: on held-out songs, this changed 1.2 % of the published CNN's labels.
Here the weights are rounded one input at a time, and the weights that are not rounded yet
compensate for the error on the representative data. This is GPTQ:
Frantar et al., "Accurate Post-Training Quantization for Generative Pre-trained Transformers"
(2022), based on the Optimal Brain Surgeon. The converter then receives weights on its
grid.
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
_MIN_EXAMPLES_PER_INPUT = 10
"""With fewer examples the statistics are noise, and rounding to the nearest step is better."""
_MAX_EXAMPLES = 50_000
_BATCH = 16  # segments
_ROUNDED = (layers.Conv1D, layers.Conv2D, layers.Dense)


def round_weights(model: keras.Model, representative: FloatArray) -> keras.Model:
    """Return a network whose convolutions and dense layers have weights on the int8 grid.

    Layers of nested models are rounded as well, with the activations of the float32 layers.

    Parameters
    ----------
    model : Sequential network; it is not changed
    representative : float32 [shape=(segments, ...)]
        representative inputs of the network
    """
    clones = [layer.__class__.from_config(layer.get_config()) for layer in model.layers]
    rounded = keras.Sequential([keras.Input(model.input_shape[1:]), *clones], name=model.name)
    activations = representative
    for layer, clone in zip(model.layers, clones, strict=True):
        clone.set_weights(layer.get_weights())
        if isinstance(layer, keras.Model):
            _round_nested(layer, clone, activations)
        elif isinstance(layer, _ROUNDED):
            moments = _Moments(layer, len(activations))
            for batch in _batches(activations):
                moments.add(batch)
            moments.round(clone)
        activations = apply_in_batches(clone, activations)
    return rounded


def _round_nested(model: keras.Model, clone: keras.Model, inputs: FloatArray) -> None:
    """Round the layers of a functional model's clone and of the models nested in it."""
    nested = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    rounded = [layer for layer in model.layers if isinstance(layer, _ROUNDED)]
    layer_inputs = keras.Model(model.input, [_outer_input(layer) for layer in [*nested, *rounded]])
    moments = [_Moments(layer, len(inputs)) for layer in rounded]
    nested_inputs: list[list[FloatArray]] = [[] for _ in nested]
    for batch in _batches(inputs):
        outputs = keras.tree.flatten(layer_inputs(batch, training=False))
        arrays = [np.asarray(tensor) for tensor in outputs]
        for batches, array in zip(nested_inputs, arrays[: len(nested)], strict=True):
            batches.append(array)
        for moment, array in zip(moments, arrays[len(nested) :], strict=True):
            moment.add(array)
    for layer, moment in zip(rounded, moments, strict=True):
        moment.round(clone.get_layer(layer.name))
    for layer, batches in zip(nested, nested_inputs, strict=True):
        _round_nested(layer, clone.get_layer(layer.name), np.concatenate(batches))


def _outer_input(layer: keras.Layer) -> keras.KerasTensor:
    """Return a layer's input in the surrounding model; ``Model.input`` is the one inside it."""
    return keras.Operation.input.fget(layer)


def apply_in_batches(layer: keras.Layer, inputs: FloatArray) -> FloatArray:
    """Apply a layer to many segments; all at once, a wide network would take 5 GB."""
    return np.concatenate([np.asarray(layer(batch, training=False)) for batch in _batches(inputs)])


def round_matrix(weights: FloatArray, moments: NDArray[np.float64]) -> FloatArray:
    """Round a matrix so that ``examples @ weights`` changes as little as possible.

    Parameters
    ----------
    weights : float32 [shape=(inputs, outputs)]
    moments : float64 [shape=(inputs, inputs)]
        second moments of the inputs, ``examples.T @ examples / len(examples)``

    Returns
    -------
    float32 [shape=(inputs, outputs)]
        In each column, whole multiples of its largest magnitude / 127. The largest weight is
        unchanged, so that the converter computes the same step.
    """
    order = np.argsort(-np.diag(moments), kind="stable")  # largest inputs first
    remaining = weights[order].astype(np.float64)
    steps = np.abs(remaining).max(axis=0) / _LEVELS
    steps[steps == 0] = 1.0
    largest_row, largest = np.abs(remaining).argmax(axis=0), np.abs(remaining).max(axis=0)
    propagation = _error_propagation(moments[np.ix_(order, order)])
    rounded = np.empty_like(remaining)
    for i, row in enumerate(remaining):
        nearest = np.clip(np.rint(row / steps), -_LEVELS, _LEVELS) * steps
        unchanged = np.copysign(largest, weights[order[i]])
        rounded[i] = np.where(largest_row == i, unchanged, nearest)
        error = (row - rounded[i]) / propagation[i, i]
        remaining[i + 1 :] -= np.outer(propagation[i, i + 1 :], error)
    result = np.empty_like(weights)
    result[order] = rounded
    return result


def _error_propagation(moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the factors that spread each input's error over later inputs (upper triangular)."""
    hessian = moments.copy()
    hessian[np.diag_indices_from(hessian)] += _DAMPING * np.trace(hessian) / len(hessian) + 1e-12
    return np.linalg.cholesky(np.linalg.inv(hessian)).T


class _Moments:
    """Second moments of the inputs of one layer's kernel, accumulated batch by batch.

    Parameters
    ----------
    layer : convolution or dense layer
    segments : number of segments in all batches together
    """

    def __init__(self, layer: keras.Layer, segments: int) -> None:
        self._layer = layer
        self._segments = segments
        self._count = 0
        self._sum: NDArray[np.float64] | float = 0.0

    def add(self, activations: FloatArray) -> None:
        """Add the layer's inputs for a batch of segments."""
        share = _MAX_EXAMPLES * len(activations) // self._segments
        examples = _kernel_inputs(self._layer, activations, share)
        self._sum = self._sum + (examples.T @ examples).astype(np.float64)
        self._count += len(examples)

    def round(self, clone: keras.Layer) -> None:
        """Round the weights of the layer's clone, if there were enough examples."""
        kernel, *bias = clone.get_weights()
        matrix = kernel.reshape(-1, kernel.shape[-1])
        if self._count >= _MIN_EXAMPLES_PER_INPUT * len(matrix):
            rounded = round_matrix(matrix, np.asarray(self._sum) / self._count)
            clone.set_weights([rounded.reshape(kernel.shape), *bias])


def _kernel_inputs(layer: keras.Layer, activations: FloatArray, limit: int) -> FloatArray:
    """Return vectors that the layer's kernel is multiplied by, from evenly spaced frames.

    Parameters
    ----------
    layer : convolution or dense layer
    activations : float32 [shape=(segments, ..., channels)]
    limit : approximate number of vectors, if the layer has more

    Returns
    -------
    float32 [shape=(n, inputs)]
    """
    if isinstance(layer, layers.Dense):
        examples = activations.reshape(-1, activations.shape[-1])
        return examples[:: max(1, len(examples) // limit)]
    sizes, strides, rates = layer.kernel_size, layer.strides, layer.dilation_rate
    if isinstance(layer, layers.Conv1D):
        activations = activations[:, :, np.newaxis]
        sizes, strides, rates = ((*size, 1) for size in (sizes, strides, rates))
    # Frames are skipped before the patches are copied, since all patches would take gigabytes.
    positions = len(activations) * activations.shape[1] * activations.shape[2] // np.prod(strides)
    step = int(np.clip(positions // limit, 1, activations.shape[1]))
    patches = tf.image.extract_patches(
        activations,
        [1, *sizes, 1],
        [1, strides[0] * step, strides[1], 1],
        [1, *rates, 1],
        layer.padding.upper(),
    )
    patch_vectors: FloatArray = patches.numpy().reshape(-1, patches.shape[-1])
    return patch_vectors


def _batches(segments: FloatArray) -> Iterator[FloatArray]:
    return (segments[start : start + _BATCH] for start in range(0, len(segments), _BATCH))
