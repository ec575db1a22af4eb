"""Fold batch normalisation into the layers around it, for the sake of int8.

The published CNN normalises after pooling, where the converter can't fold it. Left alone it
becomes a multiplication and an addition in int8, which round every activation once more.
In float32 this is exactly the same function: ReLU and max pooling let a positive factor
through, so the size of each channel's scale goes into the convolution before, whose
weights have an int8 scale a channel anyway; the sign and the offset go into the
convolution (without padding) or dense layer behind. The channels then arrive there with
like ranges, which suits their one int8 scale: cross-layer equalisation of Nagel et al.,
"Data-Free Quantization Through Weight Equalization and Bias Correction" (2019).
"""

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


def fold_batch_norms(model: keras.Model) -> keras.Model:
    """The same function with each ``BatchNormalization`` gone that stands in such a place.

    Parameters
    ----------
    model : a Sequential network; it is left as it is
    """
    stack = list(model.layers)
    weights = {id(layer): layer.get_weights() for layer in stack}
    for i, layer in enumerate(stack):
        before, behind = _conv_before(stack[:i]), _heir(stack[i + 1 :])
        if not isinstance(layer, layers.BatchNormalization) or not before or not behind:
            continue
        scale, offset = _affine(layer)
        weights[id(before)] = [w * np.abs(scale) for w in weights[id(before)]]
        weights[id(behind)] = _absorb(weights[id(behind)], np.sign(scale), offset)
        del weights[id(layer)]
    kept = [layer for layer in stack if id(layer) in weights]
    clones = [layer.__class__.from_config(layer.get_config()) for layer in kept]
    folded = keras.Sequential([keras.Input(model.input_shape[1:]), *clones], name=model.name)
    for layer, clone in zip(kept, clones, strict=True):
        clone.set_weights(weights[id(layer)])
    return folded


def _conv_before(preceding: list[keras.Layer]) -> keras.Layer | None:
    """The ReLU convolution whose output arrives with nothing but max pooling in between."""
    for layer in reversed(preceding):
        if isinstance(layer, layers.MaxPooling2D):
            continue
        relu = isinstance(layer, layers.Conv2D) and layer.activation is keras.activations.relu
        return layer if relu else None
    return None


def _heir(following: list[keras.Layer]) -> keras.Layer | None:
    """The layer that can take an affine map of its input's last axis into its weights."""
    for layer in following:
        if isinstance(layer, layers.Flatten | layers.Dropout):
            continue
        unpadded = isinstance(layer, layers.Conv2D) and layer.padding == "valid"
        return layer if unpadded or isinstance(layer, layers.Dense) else None
    return None


def _affine(norm: layers.BatchNormalization) -> tuple[FloatArray, FloatArray]:
    """A normalisation as ``scale * x + offset``, float32 [shape=(channels,)] each."""
    mean, variance = np.asarray(norm.moving_mean), np.asarray(norm.moving_variance)
    gamma = np.asarray(norm.gamma) if norm.scale else np.ones_like(mean)
    beta = np.asarray(norm.beta) if norm.center else np.zeros_like(mean)
    scale = gamma / np.sqrt(variance + norm.epsilon)
    return scale, beta - mean * scale


def _absorb(weights: list[FloatArray], scale: FloatArray, offset: FloatArray) -> list[FloatArray]:
    """Kernel and bias with which a layer given ``x`` acts as if given ``scale * x + offset``."""
    kernel, bias = weights
    inputs, outputs = int(np.prod(kernel.shape[:-1])), kernel.shape[-1]
    matrix = kernel.reshape(inputs, outputs)  # the channel is the fastest axis of the inputs
    repeats = inputs // len(scale)
    return [
        (matrix * np.tile(scale, repeats)[:, np.newaxis]).reshape(kernel.shape),
        bias + np.tile(offset, repeats) @ matrix,
    ]
