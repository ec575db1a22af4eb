"""Which layer loses what by quantization, for the report of a file that lost too much."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pocketgenre.export.convert import Network, new_converter, one_by_one, without_softmax
from pocketgenre.export.gptq import round_weights
from pocketgenre.export.variants import Form
from pocketgenre.suppress_stderr import suppress_stderr

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class LayerError:
    """How far an operation's int8 result is from what float32 makes of the same input.

    Attributes
    ----------
    operation : TFLite's name of it
    tensor : the converter's name of its result, which tells the Keras layer
    steps : root mean square error in int8 steps; rounding alone gives 0.29
    """

    operation: str
    tensor: str
    steps: float


def layer_errors(model: keras.Model, calibration: FloatArray, form: Form) -> list[LayerError]:
    """The error of each quantized operation on the calibration segments, largest first.

    Parameters
    ----------
    model, calibration, form : as for :func:`pocketgenre.export.convert.convert`; empty for forms that
        don't quantize activations, which can't be compared so
    """
    if not form.calibrated:
        return []
    network = Network.of(model)
    standardized = network.standardized(calibration)
    core = round_weights(without_softmax(network.core), standardized)
    with tempfile.TemporaryDirectory() as folder, suppress_stderr():
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=new_converter(core, standardized, form, Path(folder)),
            debug_dataset=one_by_one(standardized[:50]),
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
