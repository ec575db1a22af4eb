"""Build musicnn's network without its inactive channels, in a form that suits int8.

Most channels of musicnn's front end are inactive: of the 561 channels of the Million Song network
64 carry a signal, the others are constant. Only the active channels are kept; the contribution of
the constants is added to the biases.

Every channel of every tensor is scaled to a similar range, so that one int8 scale fits all of them
(cross-layer equalisation, Nagel et al. 2019): a channel is divided by its range on some segments of
music, and the following layer multiplies by it. The normalisations after ReLU, which also convert
between the ranges, are depthwise convolutions over one frame, since int8 has a scale for each
channel of those. The maxima and the means over time are centred by depthwise convolutions, too.
These also separate their scale from that of the stages, which a concatenation would otherwise
force to be equal.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray
from scipy.linalg import block_diag

from pocketgenre.training.models.musicnn import channel_folding as folding
from pocketgenre.training.models.musicnn.published_weights import Checkpoint, Convolution

FloatArray = NDArray[np.float32]

_MIN_DEVIATION = 1e-3  # standard deviation above which a channel is active
_RANGE_QUANTILE = 0.999  # quantile of a channel's magnitude that is its range
_HEADROOM = 1.3  # value at which a convolution's output is clipped, relative to its range
_MAX_OUTPUT = 6.0  # of relu6
_MIN_RANGE = 1e-3  # smallest range of a channel, relative to the largest of its stage
_BATCH = 16


@dataclass(frozen=True, eq=False)
class Tower:
    """Network from log-mel bands to features.

    Attributes
    ----------
    network : from standardised bands (frames, bands) to (features,): musicnn's features are
        divided by their ranges, the means are centred and divided by their largest deviations
    basis : matrix that converts the means of the convolutions to means of the stages, which are
        sums of convolutions, and keeps musicnn's features, float32 [shape=(features, features)]
    """

    network: keras.Model
    basis: FloatArray


def build_tower(
    checkpoint: Checkpoint, patches: FloatArray, mean: float, deviation: float, name: str
) -> Tower:
    """Build the network from log-mel bands to features.

    The features are musicnn's 200, and the mean over time of each convolution's outputs, which
    makes more of the songs correct (docs/results/accuracy.md).

    Parameters
    ----------
    checkpoint : weights of the network
    patches : log-mel of some segments, from which the channels' ranges are measured, float32
        [shape=(n, frames, bands)]
    mean, deviation : standardisation of the network's input
    name : name of the network
    """
    tower = _TowerBuilder(checkpoint, patches)
    frames, bands = patches.shape[1:]
    inputs = keras.Input((frames, bands))
    stages = [tower.front_end(inputs, mean, deviation)]
    for number in range(len(checkpoint.mid_end)):
        stages.append(tower.mid_end(number, stages[-1]))
    features, basis = tower.features(stages)
    network = keras.Model(inputs, features, name=name)
    for layer, weights in tower.weights:
        layer.set_weights(weights)
    return Tower(network, basis)


@dataclass(frozen=True, eq=False)
class _ConvolutionOutput:
    """Output of a stage's convolutions, before the normalisation ``factor * x + offset``.

    Attributes
    ----------
    tensor : tensor (frames, channels)
    means : means over time on the patches, float32 [shape=(n, channels)]
    factor, offset : float32 [shape=(channels,)]
    """

    tensor: keras.KerasTensor
    means: FloatArray
    factor: FloatArray
    offset: FloatArray


class _TowerBuilder:
    """Build the layers one after another, with the activations on the patches at each stage.

    Attributes
    ----------
    weights : layers and their weights, which are set when all layers are built
    """

    def __init__(self, checkpoint: Checkpoint, patches: FloatArray) -> None:
        self._checkpoint = checkpoint
        self.weights: list[tuple[keras.Layer, list[FloatArray]]] = []
        bands = checkpoint.scale * patches + checkpoint.shift
        self._pooled = [_pooled(conv, bands) for conv in checkpoint.front_end]
        pairs = list(zip(checkpoint.front_end, self._pooled, strict=True))
        self._active = [
            (conv.factor > 0) & (_spread(conv, z) > _MIN_DEVIATION) for conv, z in pairs
        ]
        self._is_active = np.concatenate(self._active)
        levels = [conv.factor * z.mean(axis=(0, 1)) + conv.offset for conv, z in pairs]
        self._constants = np.concatenate(levels)[~self._is_active]
        # For each stage, its activations on the patches, float32 [shape=(n, frames, channels)], in
        # musicnn's units, and the range of each channel, by which the layers' outputs are divided.
        self._activations: list[FloatArray] = []
        self._ranges: list[FloatArray] = []
        self._convolutions: list[_ConvolutionOutput] = []

    def front_end(
        self, inputs: keras.KerasTensor, mean: float, deviation: float
    ) -> keras.KerasTensor:
        """Concatenate the active channels of the parallel convolutions."""
        image = self._image(inputs, mean, deviation)
        blocks = folding.stack_frames(image)
        parts, ranges, factors, offsets, activations, means = [], [], [], [], [], []
        for conv, pooled, active in zip(
            self._checkpoint.front_end, self._pooled, self._active, strict=True
        ):
            if not active.any():
                continue
            inner = _units(pooled[..., active])
            z = np.minimum(pooled[..., active], _MAX_OUTPUT * inner)
            kernel, bias = conv.kernel[..., active] / inner, conv.bias[active] / inner
            if conv.spans_bands:
                parts.append(self._over_bands(image, kernel, bias))
            else:
                parts.append(self._over_frames(blocks, kernel, bias, frames=z.shape[1]))
            ranges.append(inner)
            factors.append(conv.factor[active])
            offsets.append(conv.offset[active])
            activations.append(conv.factor[active] * z + conv.offset[active])
            means.append(z.mean(axis=1) / inner)
        self._add_stage(np.concatenate(activations, axis=-1))
        output = _ConvolutionOutput(
            tensor=layers.Concatenate()(parts),
            means=np.concatenate(means, axis=-1),
            factor=np.concatenate(factors) * np.concatenate(ranges),
            offset=np.concatenate(offsets),
        )
        self._convolutions.append(output)
        return self._affine(output.tensor, output.factor, output.offset)

    def _image(self, inputs: keras.KerasTensor, mean: float, deviation: float) -> keras.KerasTensor:
        """Apply the first normalisation as a convolution, which int8 rounds only once."""
        layer = layers.Conv2D(1, 1)
        scale, shift = self._checkpoint.scale, self._checkpoint.shift
        kernel = np.full((1, 1, 1, 1), scale * deviation, np.float32)
        self.weights.append((layer, [kernel, np.array([scale * mean + shift], np.float32)]))
        return layer(layers.Reshape((*inputs.shape[1:], 1))(inputs))

    def _over_bands(
        self, image: keras.KerasTensor, kernel: FloatArray, bias: FloatArray
    ) -> keras.KerasTensor:
        """Convolve, padded by half a kernel in time only, and take the maximum over the bands."""
        padded = layers.ZeroPadding2D((kernel.shape[0] // 2, 0))(image)
        tensor, stacking = folding.stack_bands(padded, kernel.shape[1])
        self.weights.append((stacking, [folding.stacking_kernel()]))
        kernel = folding.fold_band_kernel(kernel)
        layer = layers.Conv2D(
            len(bias), kernel.shape[:2], dilation_rate=(1, folding.CHANNELS), activation="relu6"
        )
        self.weights.append((layer, [kernel, bias]))
        return _max_over_bands(layer(tensor))

    def _over_frames(
        self, blocks: keras.KerasTensor, kernel: FloatArray, bias: FloatArray, frames: int
    ) -> keras.KerasTensor:
        """Convolve blocks of frames and take the maximum over the bands."""
        alignment = folding.BlockAlignment.of(kernel.shape[0])
        padded = layers.ZeroPadding2D(((alignment.before, alignment.after), (0, 0)))(blocks)
        layer = layers.Conv2D(folding.CHANNELS * len(bias), (alignment.size, 1), activation="relu6")
        self.weights.append(
            (layer, [folding.fold_frame_kernel(kernel), np.tile(bias, folding.CHANNELS)])
        )
        y = layers.Reshape((-1, len(bias)))(_max_over_bands(layer(padded)))
        return layers.Cropping1D((0, y.shape[1] - frames))(y)

    def mid_end(self, number: int, previous: keras.KerasTensor) -> keras.KerasTensor:
        """Convolve over time; from the second convolution on, add the previous stage."""
        conv, ranges = self._checkpoint.mid_end[number], self._ranges[-1]
        activations = self._activations[-1]
        kernel, bias = conv.kernel, conv.bias
        if number == 0:
            bias = bias + kernel[:, ~self._is_active].sum(axis=0).T @ self._constants
            kernel = kernel[:, self._is_active]
        z = _in_batches(
            lambda x: tf.nn.relu(tf.nn.conv1d(x, kernel, 1, "SAME") + bias), activations
        )
        inner = _units(z)
        z = np.minimum(z, _MAX_OUTPUT * inner)
        normalized = conv.factor * z + conv.offset
        layer = layers.Conv1D(kernel.shape[2], kernel.shape[0], padding="same", activation="relu6")
        y = layer(previous)
        self.weights.append((layer, [kernel * ranges[:, np.newaxis] / inner, bias / inner]))
        self._add_stage(normalized if number == 0 else normalized + activations)
        output = _ConvolutionOutput(y, z.mean(axis=1) / inner, conv.factor * inner, conv.offset)
        self._convolutions.append(output)
        y = self._affine(output.tensor, output.factor, output.offset)
        if number == 0:
            return y
        return layers.Add()([y, self._affine(previous, ranges, None)])

    def features(self, stages: list[keras.KerasTensor]) -> tuple[keras.KerasTensor, FloatArray]:
        """Apply the dense layer to the maxima and the means over time, and append the means.

        Returns
        -------
        features, basis : see :class:`Tower`
        """
        mid_end_channels = self._checkpoint.dense.shape[1] - len(self._is_active)
        kept = np.concatenate([self._is_active, np.ones(mid_end_channels, bool)])
        kernel_of_maxima, kernel_of_stages = (part[kept] for part in self._checkpoint.dense)
        dropped = (self._checkpoint.dense[0] + self._checkpoint.dense[1])[~kept]
        bias = self._checkpoint.bias + self._constants @ dropped
        pooled = []
        for tensor, activations, ranges in zip(
            stages, self._activations, self._ranges, strict=True
        ):
            maxima = layers.MaxPooling1D(activations.shape[1])(tensor)
            pooled.append(self._centred(maxima, ranges, activations.max(axis=1)))
        # A stage is the sum of convolutions, so its means are sums of theirs. The outputs of the
        # convolutions have finer int8 steps than the sums.
        kernels = [kernel_of_maxima]
        sums = _kernels_of_summands(kernel_of_stages, [len(ranges) for ranges in self._ranges])
        for output, kernel in zip(self._convolutions, sums, strict=True):
            weights = np.full(len(output.factor), 1 / output.tensor.shape[1], np.float32)
            pooled.append(self._centred(output.tensor, weights, output.means))
            kernels.append(output.factor[:, np.newaxis] * kernel)
            bias = bias + output.offset @ kernel
        tensors, values, centres, scales = zip(*pooled, strict=True)
        kernel = np.concatenate(kernels)
        features = np.maximum(np.concatenate(values, axis=1) @ kernel + bias, 0)
        ranges = _channel_ranges(features[:, np.newaxis])
        bias = (bias + np.concatenate(centres) @ kernel) / ranges
        kernel = kernel * np.concatenate(scales)[:, np.newaxis] / ranges
        dense = layers.Dense(len(bias), activation="relu")
        self.weights.append((dense, [kernel, bias]))
        means = layers.Concatenate()(list(tensors[len(stages) :]))
        maxima_and_means = layers.Concatenate()([*tensors[: len(stages)], means])
        parts = [dense(layers.Flatten()(maxima_and_means)), layers.Flatten()(means)]
        basis = block_diag(np.eye(len(bias)), self._sums_of_means(scales[len(stages) :]))
        return layers.Concatenate()(parts), basis.astype(np.float32)

    def _sums_of_means(self, scales: Sequence[FloatArray]) -> FloatArray:
        """Return the matrix that sums the scaled means of convolutions to means of stages."""
        front_end, *mid_end = (
            np.diag(output.factor * scale)
            for output, scale in zip(self._convolutions, scales, strict=True)
        )
        rows = [
            np.hstack([np.zeros((len(part), i * len(part))), *[part] * (len(mid_end) - i)])
            for i, part in enumerate(mid_end)
        ]
        sums: FloatArray = block_diag(front_end, np.vstack(rows))
        return sums

    def _centred(
        self, tensor: keras.KerasTensor, weights: FloatArray, values: FloatArray
    ) -> tuple[keras.KerasTensor, FloatArray, FloatArray, FloatArray]:
        """Sum over frames, subtract the centre and divide by the largest deviation from it.

        Parameters
        ----------
        tensor : tensor (frames, channels)
        weights : weights of the sum, equal for all frames, float32 [shape=(channels,)]
        values : sums on the patches, float32 [shape=(n, channels)]

        Returns
        -------
        tensor, values, centre, scale
        """
        centre = values.mean(axis=0)
        scale = _limit_below(np.abs(values - centre).max(axis=0))
        frames = tensor.shape[1]
        layer = layers.DepthwiseConv1D(frames)
        kernel = np.broadcast_to(weights / scale, (frames, len(scale)))
        self.weights.append((layer, [kernel[..., np.newaxis], -centre / scale]))
        return layer(tensor), values, centre, scale

    def _add_stage(self, activations: FloatArray) -> None:
        self._activations.append(activations)
        self._ranges.append(_channel_ranges(activations))

    def _affine(
        self, tensor: keras.KerasTensor, factor: FloatArray, offset: FloatArray | None
    ) -> keras.KerasTensor:
        """Compute ``factor * x + offset``, divided by the ranges of the last stage."""
        ranges = self._ranges[-1]
        layer = layers.DepthwiseConv1D(1, use_bias=offset is not None)
        weights = [(factor / ranges).reshape(1, -1, 1)]
        self.weights.append((layer, weights if offset is None else [*weights, offset / ranges]))
        return layer(tensor)


def _kernels_of_summands(kernel: FloatArray, sizes: list[int]) -> list[FloatArray]:
    """Convert the kernel for the means of the stages to kernels for the convolutions' means.

    Each stage after the second is the sum of a convolution and the previous stage.

    Parameters
    ----------
    kernel : float32 [shape=(channels of all stages, outputs)]
    sizes : channels of each stage
    """
    front_end, *mid_end = np.split(kernel, np.cumsum(sizes)[:-1])
    return [front_end, *np.cumsum(mid_end[::-1], axis=0)[::-1]]


def _max_over_bands(tensor: keras.KerasTensor) -> keras.KerasTensor:
    """Take the maximum over all bands: (frames, bands, channels) to (frames, channels)."""
    y = layers.MaxPooling2D((1, tensor.shape[2]))(tensor)
    return layers.Reshape((y.shape[1], y.shape[3]))(y)


def _pooled(conv: Convolution, bands: FloatArray) -> FloatArray:
    """Compute a front-end convolution with ReLU and its maximum over the bands.

    musicnn pools after the normalisation, so the minimum is taken where that has a negative factor.
    """
    padding = conv.kernel.shape[0] // 2 if conv.spans_bands else 0

    def compute(x: tf.Tensor) -> tf.Tensor:
        image = tf.pad(x, [[0, 0], [padding, padding], [0, 0]])[..., tf.newaxis]
        z = tf.nn.conv2d(image, conv.kernel, 1, "VALID" if conv.spans_bands else "SAME")
        z = tf.nn.relu(z + conv.bias)
        maxima, minima = tf.reduce_max(z, axis=2), tf.reduce_min(z, axis=2)
        return tf.where(conv.factor > 0, maxima, minima)

    return _in_batches(compute, bands)


def _in_batches(compute: "tf.types.experimental.Callable", inputs: FloatArray) -> FloatArray:
    parts = [compute(inputs[i : i + _BATCH]).numpy() for i in range(0, len(inputs), _BATCH)]
    return np.concatenate(parts)


def _spread(conv: Convolution, z: FloatArray) -> FloatArray:
    """Compute the standard deviation of each normalised channel, float32 [shape=(channels,)]."""
    spread: FloatArray = np.abs(conv.factor) * z.std(axis=(0, 1))
    return spread


def _channel_ranges(activations: FloatArray) -> FloatArray:
    """Compute the range of each channel, float32 [shape=(channels,)]."""
    return _limit_below(np.quantile(np.abs(activations), _RANGE_QUANTILE, axis=(0, 1)))


def _units(outputs: FloatArray) -> FloatArray:
    """Compute the unit of each channel of a convolution, whose outputs are clipped at 6 units.

    A single loud frame would otherwise widen the int8 range of all channels.

    Parameters
    ----------
    outputs : outputs on the patches, float32 [shape=(n, frames, channels)]
    """
    return _channel_ranges(outputs) * np.float32(_HEADROOM / _MAX_OUTPUT)


def _limit_below(ranges: FloatArray) -> FloatArray:
    """Limit ranges from below, since most channels of the first mid-end stage are nearly silent.

    Without a limit, these channels would be amplified a thousandfold.
    """
    floor = max(_MIN_RANGE * float(ranges.max()), 1e-6)
    return np.maximum(ranges, floor).astype(np.float32)
