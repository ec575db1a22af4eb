"""One of musicnn's networks without its dead channels, in the shape that int8 likes.

Most of the front end is dead: of the Million Song network's 561 channels 64 carry a signal, the
others stay at a constant. The living are kept; what the constants add goes into the biases.

Every channel of every tensor is brought to a like range, so that one int8 scale fits all of
them (cross-layer equalisation, Nagel et al. 2019): a channel is divided by its range on some
patches of music, and whatever takes it in multiplies by it. The normalisations behind ReLU, which
then also translate between the ranges, are depthwise convolutions over one frame, since int8 has
a scale for each channel of those. So is what centres the maxima and the means over time; it also
parts their scale from that of the stages, which a concatenation would otherwise tie together.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from pocketgenre.training.models.musicnn import channel_folding as folding
from pocketgenre.training.models.musicnn.checkpoint import Checkpoint, Convolution

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]

FEATURES = 200

_ALIVE = 1e-3  # standard deviation of a channel that carries something
_RANGE = 0.999  # quantile of a channel's magnitude at which its range ends
_SMALLEST = 1e-3  # range of a channel, to the largest of its stage
_BATCH = 16


def build_tower(
    checkpoint: Checkpoint, patches: FloatArray, mean: float, deviation: float, name: str
) -> keras.Model:
    """A network from log-mel bands to musicnn's 200 features.

    Parameters
    ----------
    checkpoint : the weights
    patches : float32 [shape=(n, frames, bands)], log-mel of some music, to see the ranges
    mean, deviation : what the bands are standardised with before they come in
    name : of the network

    Returns
    -------
    keras.Model
        from (frames, bands), standardised, to (200,), each feature in units of its range
    """
    tower = _Tower(checkpoint, patches)
    frames, bands = patches.shape[1:]
    inputs = keras.Input((frames, bands))
    stack = [tower.front(inputs, mean, deviation)]
    for number in range(len(checkpoint.middle)):
        stack.append(tower.middle(number, stack[-1]))
    model = keras.Model(inputs, tower.features(stack), name=name)
    for layer, weights in tower.weights:
        layer.set_weights(weights)
    return model


class _Tower:
    """Layers, and their weights, made one after the other with what was heard so far.

    Attributes
    ----------
    weights : of each layer with weights, to be set when all are built
    heard : float32 [shape=(n, frames, channels)], what the last stage says of the patches, in
        musicnn's own units; ``units`` is the range of each channel, in which the layers have it
    """

    def __init__(self, checkpoint: Checkpoint, patches: FloatArray) -> None:
        self._checkpoint = checkpoint
        self.weights: list[tuple[keras.Layer, list[FloatArray]]] = []
        bands = checkpoint.scale * patches + checkpoint.shift
        self._pooled = [_pooled(conv, bands) for conv in checkpoint.front]
        pairs = list(zip(checkpoint.front, self._pooled, strict=True))
        self._alive = [(conv.factor > 0) & (_spread(conv, z) > _ALIVE) for conv, z in pairs]
        self._living = np.concatenate(self._alive)
        levels = [conv.factor * z.mean(axis=(0, 1)) + conv.offset for conv, z in pairs]
        self._level = np.concatenate(levels)[~self._living]
        self._heard: list[FloatArray] = []
        self._units: list[FloatArray] = []

    def front(self, inputs: keras.KerasTensor, mean: float, deviation: float) -> keras.KerasTensor:
        """The living channels of the five convolutions, side by side."""
        image = self._image(inputs, mean, deviation)
        in_blocks = folding.blocks(image)
        parts, ranges, factors, offsets, said = [], [], [], [], []
        for conv, z, alive in zip(self._checkpoint.front, self._pooled, self._alive, strict=True):
            if not alive.any():
                continue
            inner = _ranges(z[..., alive])
            kernel, bias = conv.kernel[..., alive] / inner, conv.bias[alive] / inner
            if conv.over_bands:
                parts.append(self._over_bands(image, kernel, bias))
            else:
                parts.append(self._over_frames(in_blocks, kernel, bias, frames=z.shape[1]))
            ranges.append(inner)
            factors.append(conv.factor[alive])
            offsets.append(conv.offset[alive])
            said.append(conv.factor[alive] * z[..., alive] + conv.offset[alive])
        self._keep(np.concatenate(said, axis=-1))
        affine = np.concatenate(factors) * np.concatenate(ranges), np.concatenate(offsets)
        return self._affine(layers.Concatenate()(parts), *affine)

    def _image(self, inputs: keras.KerasTensor, mean: float, deviation: float) -> keras.KerasTensor:
        """The first normalisation: a convolution, which int8 rounds once and no more."""
        layer = layers.Conv2D(1, 1)
        scale, shift = self._checkpoint.scale, self._checkpoint.shift
        kernel = np.full((1, 1, 1, 1), scale * deviation, np.float32)
        self.weights.append((layer, [kernel, np.array([scale * mean + shift], np.float32)]))
        return layer(layers.Reshape((*inputs.shape[1:], 1))(inputs))

    def _over_bands(
        self, image: keras.KerasTensor, kernel: FloatArray, bias: FloatArray
    ) -> keras.KerasTensor:
        """The largest over all bands; padded by half a kernel in time alone."""
        padded = layers.ZeroPadding2D((kernel.shape[0] // 2, 0))(image)
        tensor, copying = folding.slid(padded, kernel.shape[1])
        self.weights.append((copying, [folding.sliding_kernel()]))
        kernel = folding.of_slid(kernel)
        layer = layers.Conv2D(
            len(bias), kernel.shape[:2], dilation_rate=(1, folding.WIDTH), activation="relu"
        )
        self.weights.append((layer, [kernel, bias]))
        return _largest(layer(tensor))

    def _over_frames(
        self, in_blocks: keras.KerasTensor, kernel: FloatArray, bias: FloatArray, frames: int
    ) -> keras.KerasTensor:
        """The largest over all bands."""
        place = folding.Blocking.of(kernel.shape[0])
        padded = layers.ZeroPadding2D(((place.before, place.behind), (0, 0)))(in_blocks)
        layer = layers.Conv2D(folding.WIDTH * len(bias), (place.size, 1), activation="relu")
        self.weights.append((layer, [folding.of_blocks(kernel), np.tile(bias, folding.WIDTH)]))
        y = layers.Reshape((-1, len(bias)))(_largest(layer(padded)))
        return layers.Cropping1D((0, y.shape[1] - frames))(y)

    def middle(self, number: int, before: keras.KerasTensor) -> keras.KerasTensor:
        """A convolution over time, and from the second on what came before it added."""
        conv, units, heard = self._checkpoint.middle[number], self._units[-1], self._heard[-1]
        kernel, bias = conv.kernel, conv.bias
        if number == 0:
            bias = bias + kernel[:, ~self._living].sum(axis=0).T @ self._level
            kernel = kernel[:, self._living]
        z = _in_batches(lambda x: tf.nn.relu(tf.nn.conv1d(x, kernel, 1, "SAME") + bias), heard)
        inner = _ranges(z)
        said = conv.factor * z + conv.offset
        layer = layers.Conv1D(kernel.shape[2], kernel.shape[0], padding="same", activation="relu")
        y = layer(before)
        self.weights.append((layer, [kernel * units[:, np.newaxis] / inner, bias / inner]))
        self._keep(said if number == 0 else said + heard)
        y = self._affine(y, conv.factor * inner, conv.offset)
        if number == 0:
            return y
        return layers.Add()([y, self._affine(before, units, None)])

    def features(self, stack: list[keras.KerasTensor]) -> keras.KerasTensor:
        """The dense layer on the maxima and the means over time of all stages."""
        of_middle = self._checkpoint.dense.shape[1] - len(self._living)
        kept = np.concatenate([self._living, np.ones(of_middle, bool)])
        of_maxima, of_means = (part[kept] for part in self._checkpoint.dense)
        lost = (self._checkpoint.dense[0] + self._checkpoint.dense[1])[~kept]
        bias = self._checkpoint.bias + self._level @ lost
        pooled = []
        for tensor, heard, units in zip(stack, self._heard, self._units, strict=True):
            largest = layers.MaxPooling1D(heard.shape[1])(tensor)
            pooled.append(self._centred(largest, units, heard.max(axis=1)))
        for tensor, heard, units in zip(stack, self._heard, self._units, strict=True):
            pooled.append(self._centred(tensor, units / heard.shape[1], heard.mean(axis=1)))
        tensors, values, centres, reaches = zip(*pooled, strict=True)
        kernel = np.concatenate([of_maxima, of_means])
        features = np.maximum(np.concatenate(values, axis=1) @ kernel + bias, 0)
        units = _ranges(features[:, np.newaxis])
        bias = (bias + np.concatenate(centres) @ kernel) / units
        kernel = kernel * np.concatenate(reaches)[:, np.newaxis] / units
        dense = layers.Dense(FEATURES, activation="relu")
        self.weights.append((dense, [kernel, bias]))
        return dense(layers.Flatten()(layers.Concatenate()(list(tensors))))

    def _centred(
        self, tensor: keras.KerasTensor, weights: FloatArray, values: FloatArray
    ) -> tuple[keras.KerasTensor, FloatArray, FloatArray, FloatArray]:
        """The sum over frames, less its centre, in units of its reach.

        Parameters
        ----------
        tensor : (frames, channels)
        weights : float32 [shape=(channels,)], of each frame alike
        values : float32 [shape=(n, channels)], what the sum is of the patches

        Returns
        -------
        tensor, values, centre, reach
        """
        centre = values.mean(axis=0)
        reach = _not_too_small(np.abs(values - centre).max(axis=0))
        frames = tensor.shape[1]
        layer = layers.DepthwiseConv1D(frames)
        kernel = np.broadcast_to(weights / reach, (frames, len(reach)))
        self.weights.append((layer, [kernel[..., np.newaxis], -centre / reach]))
        return layer(tensor), values, centre, reach

    def _keep(self, heard: FloatArray) -> None:
        self._heard.append(heard)
        self._units.append(_ranges(heard))

    def _affine(
        self, tensor: keras.KerasTensor, factor: FloatArray, offset: FloatArray | None
    ) -> keras.KerasTensor:
        """``factor * x + offset`` in the units of the last stage."""
        units = self._units[-1]
        layer = layers.DepthwiseConv1D(1, use_bias=offset is not None)
        weights = [(factor / units).reshape(1, -1, 1)]
        self.weights.append((layer, weights if offset is None else [*weights, offset / units]))
        return layer(tensor)


def _largest(tensor: keras.KerasTensor) -> keras.KerasTensor:
    """Over all bands: (frames, bands, channels) to (frames, channels)."""
    y = layers.MaxPooling2D((1, tensor.shape[2]))(tensor)
    return layers.Reshape((y.shape[1], y.shape[3]))(y)


def _pooled(conv: Convolution, bands: FloatArray) -> FloatArray:
    """What a front convolution says behind ReLU: the largest over the bands.

    Where the normalisation turns the sign, the smallest: the original pools behind it.
    """
    padding = conv.kernel.shape[0] // 2 if conv.over_bands else 0

    def compute(x: tf.Tensor) -> tf.Tensor:
        image = tf.pad(x, [[0, 0], [padding, padding], [0, 0]])[..., tf.newaxis]
        z = tf.nn.conv2d(image, conv.kernel, 1, "VALID" if conv.over_bands else "SAME")
        z = tf.nn.relu(z + conv.bias)
        largest, smallest = tf.reduce_max(z, axis=2), tf.reduce_min(z, axis=2)
        return tf.where(conv.factor > 0, largest, smallest)

    return _in_batches(compute, bands)


def _in_batches(compute: "tf.types.experimental.Callable", inputs: FloatArray) -> FloatArray:
    parts = [compute(inputs[i : i + _BATCH]).numpy() for i in range(0, len(inputs), _BATCH)]
    return np.concatenate(parts)


def _spread(conv: Convolution, z: FloatArray) -> FloatArray:
    spread: FloatArray = np.abs(conv.factor) * z.std(axis=(0, 1))
    return spread


def _ranges(heard: FloatArray) -> FloatArray:
    """Range of each channel."""
    return _not_too_small(np.quantile(np.abs(heard), _RANGE, axis=(0, 1)))


def _not_too_small(ranges: FloatArray) -> FloatArray:
    """So that no channel is blown up a thousandfold: most of the first middle stage is silent."""
    floor = max(_SMALLEST * float(ranges.max()), 1e-6)
    return np.maximum(ranges, floor).astype(np.float32)
