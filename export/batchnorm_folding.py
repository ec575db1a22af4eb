"""Fold batch normalisation into adjacent layers before int8 quantization.

The published CNN normalises after pooling, where the TFLite converter cannot fold the
normalisation. Unfolded, it becomes an int8 multiplication and addition, each of which rounds every
activation again.

In float32 the folded network computes the same function. ReLU and max pooling commute with a
positive factor, so the magnitude of each channel's scale moves into the preceding convolution,
whose weights have one int8 scale per channel. The sign and the offset move into the following
convolution (without padding) or dense layer. The channels then reach that layer with similar
ranges, which suits their common int8 scale. This is the cross-layer equalisation of Nagel et al.,
"Data-Free Quantization Through Weight Equalization and Bias Correction" (2019).
"""

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


def fold_batch_norms(model: keras.Model) -> keras.Model:
    """Return an equivalent network without the ``BatchNormalization`` layers that can be folded.

    Parameters
    ----------
    model : Sequential network; it is not changed
    """
    stack = list(model.layers)
    weights = {id(layer): layer.get_weights() for layer in stack}
    for i, layer in enumerate(stack):
        before, after = _preceding_conv(stack[:i]), _following_layer(stack[i + 1 :])
        if not isinstance(layer, layers.BatchNormalization) or not before or not after:
            continue
        scale, offset = _scale_and_offset(layer)
        weights[id(before)] = [w * np.abs(scale) for w in weights[id(before)]]
        weights[id(after)] = _fold_input(weights[id(after)], np.sign(scale), offset)
        del weights[id(layer)]
    kept = [layer for layer in stack if id(layer) in weights]
    clones = [layer.__class__.from_config(layer.get_config()) for layer in kept]
    folded = keras.Sequential([keras.Input(model.input_shape[1:]), *clones], name=model.name)
    for layer, clone in zip(kept, clones, strict=True):
        clone.set_weights(weights[id(layer)])
    return folded


def _preceding_conv(preceding: list[keras.Layer]) -> keras.Layer | None:
    """Find the ReLU convolution that only max pooling separates from the next layer."""
    for layer in reversed(preceding):
        if isinstance(layer, layers.MaxPooling2D):
            continue
        relu = isinstance(layer, layers.Conv2D) and layer.activation is keras.activations.relu
        return layer if relu else None
    return None


def _following_layer(following: list[keras.Layer]) -> keras.Layer | None:
    """Find the layer whose weights can include an affine map of the channels of its input."""
    for layer in following:
        if isinstance(layer, layers.Flatten | layers.Dropout):
            continue
        unpadded = isinstance(layer, layers.Conv2D) and layer.padding == "valid"
        return layer if unpadded or isinstance(layer, layers.Dense) else None
    return None


def _scale_and_offset(norm: layers.BatchNormalization) -> tuple[FloatArray, FloatArray]:
    """Return a normalisation as ``scale * x + offset``, float32 [shape=(channels,)] each."""
    mean, variance = np.asarray(norm.moving_mean), np.asarray(norm.moving_variance)
    gamma = np.asarray(norm.gamma) if norm.scale else np.ones_like(mean)
    beta = np.asarray(norm.beta) if norm.center else np.zeros_like(mean)
    scale = gamma / np.sqrt(variance + norm.epsilon)
    return scale, beta - mean * scale


def _fold_input(
    weights: list[FloatArray], scale: FloatArray, offset: FloatArray
) -> list[FloatArray]:
    """Return kernel and bias that map ``x`` as the given ones map ``scale * x + offset``."""
    kernel, bias = weights
    inputs, outputs = int(np.prod(kernel.shape[:-1])), kernel.shape[-1]
    matrix = kernel.reshape(inputs, outputs)  # the channel is the fastest axis of the inputs
    repeats = inputs // len(scale)
    return [
        (matrix * np.tile(scale, repeats)[:, np.newaxis]).reshape(kernel.shape),
        bias + np.tile(offset, repeats) @ matrix,
    ]
