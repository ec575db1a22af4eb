"""Apply the last layer of a network to the features of segments, without a TFLite runtime."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketgenre.errors import ModelError

FloatArray = NDArray[np.float32]
Int8Array = NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class OutputLayer:
    """The last layer of a network.

    Attributes
    ----------
    kernel : float32 [shape=(features, labels)]
    bias : float32 [shape=(labels,)]
    scale, zero_point : a feature is (int8 - zero_point) * scale
    base : SHA-256 of the network without this layer, 32 bytes. Networks with the same base have
        the same features
    """

    kernel: FloatArray
    bias: FloatArray
    scale: float
    zero_point: int
    base: bytes

    def dequantize(self, features: Int8Array) -> FloatArray:
        """Convert features to float32, of any shape."""
        shifted = features.astype(np.float32) - np.float32(self.zero_point)
        return shifted * np.float32(self.scale)

    def predict(self, features: Int8Array) -> FloatArray:
        """Predict label probabilities as the network does, up to rounding.

        Parameters
        ----------
        features : int8 [shape=(n, features)]

        Returns
        -------
        float32 [shape=(n, labels)]
        """
        logits = self.dequantize(features) @ self.kernel + self.bias
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        total = exponentials.sum(axis=1, keepdims=True)
        probabilities: FloatArray = (exponentials / total).astype(np.float32)
        return probabilities


def find_output_layer(model: bytes) -> OutputLayer | None:
    """Read the last layer of a TFLite file.

    Returns
    -------
    OutputLayer
        None if the network ends in another way, or if the description of TFLite files is missing,
        which is a part of LiteRT and not of tflite-runtime
    """
    try:
        from pocketgenre.models.flatbuffer import read_output_layer
    except ModuleNotFoundError:
        return None
    try:
        return read_output_layer(model)
    except ModelError:
        return None
