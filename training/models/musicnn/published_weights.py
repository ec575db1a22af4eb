"""Read the weights of musicnn's checkpoint, each batch normalisation as factor and offset."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pocketgenre.training.errors import DataError

FloatArray = NDArray[np.float32]

_NETWORK = "MSD_musicnn"  # folder of the network trained on the Million Song Dataset

FRONT_END = ("timbral 0.4", "timbral 0.7", "temporal 128", "temporal 64", "temporal 32")
"""Parallel convolutions of musicnn's front end: kernels of 7 frames by 38 and 67 mel bands, and of
128, 64 and 32 frames by one band."""

_EPSILON = 1e-3  # tf.layers' default


@dataclass(frozen=True)
class Convolution:
    """Weights of a convolution with ReLU, followed by ``factor * x + offset``.

    Attributes
    ----------
    kernel : float32 [shape=(frames, bands, 1, channels)] or [shape=(frames, inputs, channels)]
    bias, factor, offset : float32 [shape=(channels,)]
    """

    kernel: FloatArray
    bias: FloatArray
    factor: FloatArray
    offset: FloatArray

    @property
    def spans_bands(self) -> bool:
        """True if the kernel spans bands; then the image is not padded along the bands."""
        return bool(self.kernel.shape[1] > 1)


@dataclass(frozen=True)
class Checkpoint:
    """Weights of musicnn's network, up to its 200 features.

    Attributes
    ----------
    scale, shift : first normalisation, of the log-mel bands: ``scale * x + shift``
    front_end : parallel convolutions, in the order of :data:`FRONT_END`
    mid_end : three convolutions over time
    dense : kernels for the maxima and the means over time, with the preceding normalisation folded
        in, float32 [shape=(2, 753, 200)]
    bias : bias of the dense layer, float32 [shape=(200,)]
    """

    scale: float
    shift: float
    front_end: list[Convolution]
    mid_end: list[Convolution]
    dense: FloatArray
    bias: FloatArray

    @classmethod
    def load(cls, package: Path) -> Self:
        """Read the weights from the unpacked package.

        Raises
        ------
        DataError
            if the package is missing.
        """
        folder = package / "musicnn" / _NETWORK
        if not (folder / ".index").is_file():
            raise DataError(
                f"There are no weights of musicnn in {package}; `make data/musicnn` downloads them."
            )
        get = tf.compat.v1.train.NewCheckpointReader(f"{folder}/").get_tensor

        def normalization(number: int) -> tuple[FloatArray, FloatArray]:
            layer = "batch_normalization" + (f"_{number}" if number else "")
            gamma, beta, mean, variance = (
                get(f"{layer}/{part}")
                for part in ("gamma", "beta", "moving_mean", "moving_variance")
            )
            factor = gamma / np.sqrt(variance + _EPSILON)
            return factor, beta - mean * factor

        def convolution(number: int) -> Convolution:
            layer = "conv2d" + (f"_{number}" if number else "")
            factor, offset = normalization(number + 1)
            return Convolution(get(f"{layer}/kernel"), get(f"{layer}/bias"), factor, offset)

        scale, shift = normalization(0)
        mid_end = [convolution(number) for number in (5, 6, 7)]
        factor, offset = normalization(9)
        kernel = get("dense/kernel")
        # In the flattened pooling, the mean of a channel follows its maximum.
        dense = (kernel * factor[:, np.newaxis]).reshape(-1, 2, kernel.shape[1])
        return cls(
            scale=float(scale[0]),
            shift=float(shift[0]),
            front_end=[convolution(number) for number in range(len(FRONT_END))],
            mid_end=[
                Convolution(conv.kernel[:, :, 0], conv.bias, conv.factor, conv.offset)
                for conv in mid_end
            ],
            dense=np.ascontiguousarray(dense.transpose(1, 0, 2)),
            bias=get("dense/bias") + offset @ kernel,
        )
