"""Keras to int8 TFLite.

Inside the file all of the network is int8, but for the standardisation in front of it: MFCC
c0 spans hundreds and c12 a few units, and one int8 scale over both would leave c12 a few
levels (97 % of labels would agree with Keras instead of 99 %). With a float32 input it is
part of the file, in float32. With an int8 input it belongs to what the caller does to
quantize, and the card carries its numbers.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from export.fold import fold_batch_norms
from mobile_demo.quiet import quiet_stderr
from mobile_demo.runtime import new_interpreter
from training.networks import STANDARDIZE
from training.songs import DataError

Io = Literal["float32", "int8"]

CLIP_DEVIATIONS = 4.0
"""Calibration features are clipped to so many standard deviations from their mean.

A frame of digital silence is 8 away. Let into the calibration, it stretches the int8 scale of
the input, and every other frame pays with its resolution.
"""


def convert_to_int8(
    model: keras.Model, calibration: NDArray[np.float32], io: Io = "float32"
) -> bytes:
    """A TFLite file for one segment at a time.

    Parameters
    ----------
    model : the trained network
    calibration : float32 [shape=(segments, frames, coefficients)]
        representative features; they set the ranges of the int8 activations.
    io : type of the input and the output

    Raises
    ------
    DataError
        an operation of the network has no int8 kernel among TFLite's built-in ones.
    """
    model = fold_batch_norms(model)
    mean, deviation, core = split_standardization(model)
    reach = CLIP_DEVIATIONS * deviation
    calibration = np.clip(calibration, mean - reach, mean + reach)
    with tempfile.TemporaryDirectory() as folder, quiet_stderr():
        saved = _save_for_one_segment(core if io == "int8" else model, Path(folder))
        try:
            if io == "int8":
                converter = _converter(saved, (calibration - mean) / deviation)
                converter.inference_input_type = tf.int8
                converter.inference_output_type = tf.int8
                tflite: bytes = converter.convert()
            else:
                tflite = _convert_selectively(saved, calibration)
        except Exception as error:  # the converter raises whatever its C++ passes raise
            first = next((line for line in str(error).splitlines() if "error:" in line), str(error))
            raise DataError(f"The network cannot be converted to int8: {first.strip()}") from error
    check_builtin_ops(tflite)
    return tflite


def split_standardization(
    model: keras.Model,
) -> tuple[NDArray[np.float32], NDArray[np.float32], keras.Model]:
    """Take a network apart: (x - mean) / deviation, and what stands behind it.

    Returns
    -------
    mean, deviation : float32 [shape=(coefficients,)]
    core : the network that expects standardised features

    Raises
    ------
    DataError
        the network doesn't begin with a standardisation.
    """
    first, *rest = model.layers
    if first.name != STANDARDIZE:
        raise DataError("The network doesn't begin with the standardisation of its features.")
    mean = np.asarray(first.mean, np.float32).reshape(-1)
    deviation = np.sqrt(np.asarray(first.variance, np.float32)).reshape(-1)
    return mean, deviation, keras.Sequential([keras.Input(model.input_shape[1:]), *rest])


def draw_calibration(targets: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Positions of ``count`` segments, evenly by genre, without repetition.

    Parameters
    ----------
    targets : int64 [shape=(segments,)], genre of each
    count : how many to draw
    seed : the same draws the same
    """
    rng = np.random.default_rng(seed)
    queues = [rng.permutation(np.flatnonzero(targets == genre)) for genre in np.unique(targets)]
    longest = max(map(len, queues))
    turns = [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]
    return np.sort(np.array(turns[:count], dtype=np.int64))


def op_names(tflite: bytes) -> list[str]:
    """The operations of a TFLite file, in order."""
    # Without delegates, which would stand in for the operations that they take over.
    with quiet_stderr():
        interpreter = Interpreter(
            model_content=tflite, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
        )
    return [str(op["op_name"]) for op in interpreter._get_ops_details()]


def check_builtin_ops(tflite: bytes) -> None:
    """Make sure that a plain TFLite runtime has every operation.

    Raises
    ------
    DataError
        names those that it has not.
    """
    foreign = sorted(
        {name for name in op_names(tflite) if name.startswith("Flex") or name == "CUSTOM"}
    )
    if foreign:
        raise DataError(f"The network needs operations that phones lack: {', '.join(foreign)}.")
    new_interpreter(tflite)


def _save_for_one_segment(model: keras.Model, folder: Path) -> str:
    archive = keras.export.ExportArchive()
    archive.track(model)
    spec = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32)
    archive.add_endpoint("serve", lambda features: model(features, training=False), [spec])
    archive.write_out(str(folder / "saved"), verbose=False)
    return str(folder / "saved")


def _converter(saved: str, calibration: NDArray[np.float32]) -> Any:
    converter = tf.lite.TFLiteConverter.from_saved_model(saved)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.representative_dataset = _one_by_one(calibration)
    return converter


def _one_by_one(calibration: NDArray[np.float32]) -> Callable[[], Iterator[list[Any]]]:
    return lambda: ([segment[np.newaxis]] for segment in calibration)


def _convert_selectively(saved: str, calibration: NDArray[np.float32]) -> bytes:
    """Quantize everything but the standardisation."""
    options = tf.lite.experimental.QuantizationDebugOptions(
        denylisted_nodes=_standardisation_nodes(saved)
    )
    quantizer = tf.lite.experimental.QuantizationDebugger(
        converter=_converter(saved, calibration),
        debug_dataset=_one_by_one(calibration[:1]),
        debug_options=options,
    )
    tflite: bytes = quantizer.get_nondebug_quantized_model()
    return tflite


def _standardisation_nodes(saved: str) -> list[str]:
    """Names that the converter gives to the standardisation's operations."""
    float_model = tf.lite.TFLiteConverter.from_saved_model(saved).convert()
    interpreter = Interpreter(model_content=float_model)
    return [
        tensor["name"]
        for tensor in interpreter.get_tensor_details()
        if STANDARDIZE in tensor["name"]
    ]
