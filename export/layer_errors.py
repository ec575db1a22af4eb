"""Measure the quantization error of each layer, for the report of a file that lost accuracy."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pocketgenre.export.convert import (
    NetworkParts,
    create_converter,
    representative_dataset,
    split_head,
)
from pocketgenre.export.gptq import round_weights
from pocketgenre.export.variants import Variant
from pocketgenre.suppress_stderr import suppress_stderr

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class LayerError:
    """Error of one quantized operation, compared with float32 on the same input.

    Attributes
    ----------
    operation : TFLite's name of the operation
    tensor : name of its result, which contains the name of the Keras layer
    steps : root mean square error in quantization steps; rounding contributes 0.29
    """

    operation: str
    tensor: str
    steps: float


def layer_errors(
    model: keras.Model, representative: FloatArray, variant: Variant
) -> list[LayerError]:
    """Measure the error of each quantized operation, and sort them largest first.

    Parameters
    ----------
    model : trained network
    representative : float32 [shape=(segments, frames, coefficients)]
        representative features
    variant : variant of the file; the result is empty unless it is full integer
    """
    if not variant.is_full_integer:
        return []
    parts = NetworkParts.from_model(model)
    standardized = parts.standardize(representative)
    body, _, _ = split_head(parts.core)
    core = round_weights(body, standardized)
    with tempfile.TemporaryDirectory() as folder, suppress_stderr():
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=create_converter(core, standardized, variant, Path(folder)),
            debug_dataset=representative_dataset(standardized[:50]),
        )
        debugger.run()
        table = Path(folder, "layers.csv")
        with open(table, "w", encoding="utf-8") as file:
            debugger.layer_statistics_dump(file)
        rows = np.genfromtxt(table, delimiter=",", names=True, dtype=None, encoding="utf-8")
    errors = [
        LayerError(
            operation=str(row["op_name"]),
            tensor=str(row["tensor_name"]),
            steps=round(float(np.sqrt(row["mean_squared_error"]) / row["scale"]), 3),
        )
        for row in np.atleast_1d(rows)
    ]
    return sorted(errors, key=lambda error: -error.steps)
