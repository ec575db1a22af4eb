"""Keras to TFLite, in any of the forms of :mod:`pocketgenre.export.variants`.

A file is put together of three: the front end, always in float32, the network, quantized as
asked, and the softmax in float32. So MFCC c0, which spans hundreds, and c12, a few units, are
standardised before one int8 scale is laid over both; the waveform file's network is to the bit
that of the MFCC file; no form of quantization can touch the front end; and the softmax, whose
int8 form differs by processor, gives the same on all. With int8 at both ends there is only the
network: standardising belongs to the caller's quantizing, and the card carries the numbers.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from pocketgenre.export import flatbuffer, lstm
from pocketgenre.export.batchnorm_folding import fold_batch_norms
from pocketgenre.export.feature_graph import front_graph, softmax_graph
from pocketgenre.export.gptq import round_weights, run_in_batches
from pocketgenre.export.operations import check_builtin_ops
from pocketgenre.export.variants import Form
from pocketgenre.features.config import FeatureConfig
from pocketgenre.models.interpreter import create_interpreter
from pocketgenre.suppress_stderr import suppress_stderr
from pocketgenre.training.data.songs import DataError
from pocketgenre.training.models.networks import STANDARDIZE

FloatArray = NDArray[np.float32]

CLIP_DEVIATIONS = 4.0
"""Calibration features are clipped to so many standard deviations from their mean.

A frame of digital silence is 8 away. Let into the calibration, it stretches the int8 scale of
the input, and every other frame pays with its resolution.
"""

OUTPUT_NAME = "probabilities"
_DEFAULT_FORM = Form()


def convert(
    model: keras.Model,
    feature_config: FeatureConfig,
    calibration: FloatArray,
    form: Form = _DEFAULT_FORM,
    others: FloatArray | None = None,
) -> bytes:
    """A TFLite file for one segment at a time.

    Parameters
    ----------
    model : the trained network
    feature_config : what its features are computed with
    calibration : float32 [shape=(segments, frames, coefficients)]
        representative features; they set the ranges of the activations.
    form : of the file
    others : features of more segments like them, on which the mean error of quantized logits
        is seen, and made good; by default the same

    Raises
    ------
    DataError
        an operation of the network has no such form among TFLite's built-in ones.
    """
    network = Network.of(model)
    standardized = network.standardized(calibration)
    seen = standardized if others is None else network.standardized(others)
    core = network.core if form.io == "int8" else without_softmax(network.core)
    tflite = flatbuffer.align_lstm_states(convert_core(core, standardized, form))
    if form.io == "float32":
        front = front_graph(form.input, feature_config, network.mean, network.deviation)
        nothing = np.zeros(model.output_shape[-1], np.float32)
        error = mean_error(core, tflite, seen) if form.calibrated else nothing
        back = softmax_graph(error)
        tflite = flatbuffer.join(flatbuffer.join(front, tflite), back)
    tflite = flatbuffer.name_ends(tflite, form.input, OUTPUT_NAME, f"pocketgenre {form.name}")
    check_builtin_ops(tflite)
    return tflite


@dataclass(frozen=True)
class Network:
    """A trained network taken apart: (x - mean) / deviation, and what stands behind it.

    Attributes
    ----------
    mean, deviation : float32 [shape=(coefficients,)]
    core : the network that expects standardised features, its normalisations folded
    """

    mean: FloatArray
    deviation: FloatArray
    core: keras.Model

    @classmethod
    def of(cls, model: keras.Model) -> Self:
        """Take a network apart.

        Raises
        ------
        DataError
            it doesn't begin with a standardisation.
        """
        first, *rest = fold_batch_norms(model).layers
        if first.name != STANDARDIZE:
            raise DataError("The network doesn't begin with the standardisation of its features.")
        mean = np.asarray(first.mean, np.float32).reshape(-1)
        deviation = np.sqrt(np.asarray(first.variance, np.float32)).reshape(-1)
        core = keras.Sequential([keras.Input(model.input_shape[1:]), *rest])
        return cls(mean, deviation, core)

    def standardized(self, calibration: FloatArray) -> FloatArray:
        """Calibration features as the core expects them, their outliers clipped."""
        scaled = (calibration - self.mean) / self.deviation
        clipped: FloatArray = np.clip(scaled, -CLIP_DEVIATIONS, CLIP_DEVIATIONS)
        return clipped


def without_softmax(core: keras.Model) -> keras.Model:
    """The same network up to its logits.

    Raises
    ------
    DataError
        it doesn't end in a dense layer with softmax.
    """
    *rest, head = core.layers
    if not isinstance(head, layers.Dense) or head.activation is not keras.activations.softmax:
        raise DataError("The network doesn't end in a dense layer with softmax.")
    logits = layers.Dense.from_config({**head.get_config(), "activation": "linear"})
    model = keras.Sequential([keras.Input(core.input_shape[1:]), *rest, logits])
    logits.set_weights(head.get_weights())
    return model


def mean_error(core: keras.Model, tflite: bytes, standardized: FloatArray) -> FloatArray:
    """How far off the file's logits are on average, float32 [shape=(outputs,)].

    Rounding is not even: it moves some outputs up and others down. What it does on average can
    be made good: bias correction, Nagel et al., "Data-Free Quantization Through Weight
    Equalization and Bias Correction" (2019), of the last layer only.

    Parameters
    ----------
    core : float32 network, up to its logits
    tflite : the same as a file
    standardized : float32 [shape=(segments, frames, coefficients)]
    """
    interpreter = create_interpreter(tflite)
    given = interpreter.get_input_details()[0]["index"]
    said = interpreter.get_output_details()[0]["index"]
    logits = []
    for segment in standardized:
        interpreter.set_tensor(given, segment[np.newaxis].astype(np.float32))
        interpreter.invoke()
        logits.append(interpreter.get_tensor(said)[0])
    wanted = core.predict(standardized, batch_size=16, verbose=0)
    error: FloatArray = (wanted - np.stack(logits)).mean(axis=0).astype(np.float32)
    return error


def convert_core(core: keras.Model, standardized: FloatArray, form: Form) -> bytes:
    """The network behind the standardisation, as a TFLite file of its own.

    Parameters
    ----------
    core : of a :class:`Network`
    standardized : float32 [shape=(segments, frames, coefficients)], what calibrates it
    form : of the file

    Raises
    ------
    DataError
        as :func:`convert`.
    """
    if form.calibrated:
        core = round_weights(core, standardized)
    with tempfile.TemporaryDirectory() as folder, suppress_stderr():
        converter = new_converter(core, standardized, form, Path(folder))
        try:
            tflite: bytes = converter.convert()
        except Exception as error:  # the converter raises whatever its C++ passes raise
            raise DataError(
                f"The network cannot be converted to {form.quantization}: {_reason(error)}"
            ) from error
    return tflite


def new_converter(core: keras.Model, standardized: FloatArray, form: Form, folder: Path) -> Any:
    """A ``TFLiteConverter`` that is set for the form.

    Parameters
    ----------
    core, standardized, form : as for :func:`convert_core`
    folder : where the network may be written for it; must last as long as the converter
    """
    saved = _save_for_one_segment(core, standardized, folder)
    converter = tf.lite.TFLiteConverter.from_saved_model(saved)
    sets = tf.lite.OpsSet
    if form.quantization == "float32":
        return converter
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if form.quantization == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if form.calibrated:
        only = {
            "int8": sets.TFLITE_BUILTINS_INT8,
            "int16x8": sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
        }
        converter.target_spec.supported_ops = [only[form.quantization]]
        converter.representative_dataset = one_by_one(standardized)
    if form.io == "int8":
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter


def one_by_one(segments: FloatArray) -> Callable[[], Iterator[list[Any]]]:
    """Segments as the converter wants its representative data."""
    return lambda: ([segment[np.newaxis]] for segment in segments)


def _save_for_one_segment(core: keras.Model, standardized: FloatArray, folder: Path) -> str:
    stages = []
    activations = standardized
    for layer in core.layers:
        if isinstance(layer, layers.LSTM):
            stages.append(lstm.fused(layer, loudest=float(activations.max())))
        else:
            stages.append(_for_inference(layer))
        activations = run_in_batches(layer, activations)

    def serve(features: tf.Tensor) -> tf.Tensor:
        for stage in stages:
            features = stage(features)
        return features

    archive = keras.export.ExportArchive()
    archive.track(core)
    spec = tf.TensorSpec((1, *core.input_shape[1:]), tf.float32)
    archive.add_endpoint("serve", serve, [spec])
    archive.write_out(str(folder / "saved"), verbose=False)
    return str(folder / "saved")


def _for_inference(layer: keras.Layer) -> lstm.Stage:
    return lambda features: layer(features, training=False)


def _reason(error: Exception) -> str:
    """The line of the converter's many that says what it is about."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no reason"]
    return next((line for line in lines if "error:" in line or "not yet" in line), lines[0])
