"""Convert Keras networks to TFLite, in any :class:`pocketgenre.export.variants.Variant`.

A file is joined from three graphs: the features, always in float32; the network up to its last
layer, quantized as requested; and the last layer with the softmax, in float32. This has five
effects. MFCC c0, which spans hundreds, and c12, which spans a few units, are standardised before
they share one int8 scale. The network of the waveform file equals that of the MFCC file to the bit.
No quantization can change the features. The logits are not rounded to 8 bits, which would change
0.8 % of the labels of musicnn. The softmax, whose int8 form differs by processor, is the same on
all.

With int8 input and output the file contains the network only. The caller standardises while
quantizing, with the numbers on the model card.
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
from pocketgenre.export.feature_graph import head_graph, input_graph
from pocketgenre.export.gptq import apply_in_batches, round_weights
from pocketgenre.export.operations import require_builtin_ops
from pocketgenre.export.variants import Variant
from pocketgenre.features.config import FeatureConfig
from pocketgenre.models.interpreter import create_interpreter
from pocketgenre.suppress_stderr import suppress_stderr
from pocketgenre.training.errors import DataError
from pocketgenre.training.models.networks import STANDARDIZE

FloatArray = NDArray[np.float32]

CLIP_DEVIATIONS = 4.0
"""Representative features are clipped to this number of standard deviations from their mean.

A frame of digital silence is 8 deviations away. Unclipped, it widens the int8 range of the input,
and every other frame loses resolution.
"""

OUTPUT_NAME = "probabilities"
_DEFAULT_VARIANT = Variant()


def convert(
    model: keras.Model,
    feature_config: FeatureConfig,
    representative: FloatArray,
    variant: Variant = _DEFAULT_VARIANT,
    correction_features: FloatArray | None = None,
) -> bytes:
    """Convert a network to a TFLite file for one segment at a time.

    Parameters
    ----------
    model : trained network
    feature_config : parameters of the features
    representative : float32 [shape=(segments, frames, coefficients)]
        representative features, which set the ranges of the activations
    variant : variant of the file
    correction_features : float32 [shape=(segments, frames, coefficients)]
        features on which the mean error of the quantized network is measured and corrected; by
        default the representative ones

    Raises
    ------
    DataError
        if TFLite's built-in operations cannot represent the network in this variant.
    """
    parts = NetworkParts.from_model(model)
    standardized = parts.standardize(representative)
    if variant.io == "int8":
        tflite = flatbuffer.align_lstm_states(convert_core(parts.core, standardized, variant))
    else:
        body, kernel, bias = split_head(parts.core)
        tflite = flatbuffer.align_lstm_states(convert_core(body, standardized, variant))
        if variant.is_full_integer:
            features = representative if correction_features is None else correction_features
            bias = bias + mean_error(body, tflite, parts.standardize(features)) @ kernel
        inputs = input_graph(variant.input, feature_config, parts.mean, parts.deviation)
        tflite = flatbuffer.join(flatbuffer.join(inputs, tflite), head_graph(kernel, bias))
    tflite = flatbuffer.set_names(tflite, variant.input, OUTPUT_NAME, f"pocketgenre {variant.name}")
    require_builtin_ops(tflite)
    return tflite


@dataclass(frozen=True)
class NetworkParts:
    """Standardisation of a trained network, (x - mean) / deviation, and the rest of the network.

    Attributes
    ----------
    mean, deviation : float32 [shape=(coefficients,)]
    core : network on standardised features, with folded batch normalisation
    """

    mean: FloatArray
    deviation: FloatArray
    core: keras.Model

    @classmethod
    def from_model(cls, model: keras.Model) -> Self:
        """Separate the standardisation from a trained network.

        Raises
        ------
        DataError
            if the network does not begin with a standardisation.
        """
        first, *rest = fold_batch_norms(model).layers
        if first.name != STANDARDIZE:
            raise DataError("The network does not begin with the standardisation of its features.")
        mean = np.asarray(first.mean, np.float32).reshape(-1)
        deviation = np.sqrt(np.asarray(first.variance, np.float32)).reshape(-1)
        core = keras.Sequential([keras.Input(model.input_shape[1:]), *rest])
        return cls(mean, deviation, core)

    def standardize(self, features: FloatArray) -> FloatArray:
        """Standardise representative features and clip their outliers."""
        scaled = (features - self.mean) / self.deviation
        clipped: FloatArray = np.clip(scaled, -CLIP_DEVIATIONS, CLIP_DEVIATIONS)
        return clipped


def split_head(core: keras.Model) -> tuple[keras.Model, FloatArray, FloatArray]:
    """Separate the last layer from a network.

    Returns
    -------
    body, kernel, bias
        network up to the inputs of the last layer; float32 [shape=(inputs, outputs)] and
        [shape=(outputs,)]

    Raises
    ------
    DataError
        if the network does not end in a dense layer with softmax.
    """
    *rest, head = core.layers
    if not isinstance(head, layers.Dense) or head.activation is not keras.activations.softmax:
        raise DataError("The network does not end in a dense layer with softmax.")
    body = keras.Sequential([keras.Input(core.input_shape[1:]), *rest])
    kernel, *bias = head.get_weights()
    return body, kernel, bias[0] if bias else np.zeros(kernel.shape[1], np.float32)


def mean_error(body: keras.Model, tflite: bytes, standardized: FloatArray) -> FloatArray:
    """Compute the mean difference between float32 and quantized outputs.

    Rounding errors are not symmetric: some outputs rise and others fall. Adding the mean
    difference corrects this. It is the bias correction of Nagel et al., "Data-Free Quantization
    Through Weight Equalization and Bias Correction" (2019), for the last layer only.

    Parameters
    ----------
    body : float32 network up to the inputs of its last layer
    tflite : the same network as a quantized file
    standardized : float32 [shape=(segments, frames, coefficients)]

    Returns
    -------
    float32 [shape=(outputs,)]
    """
    interpreter = create_interpreter(tflite)
    input_index = interpreter.get_input_details()[0]["index"]
    output_index = interpreter.get_output_details()[0]["index"]
    quantized = []
    for segment in standardized:
        interpreter.set_tensor(input_index, segment[np.newaxis].astype(np.float32))
        interpreter.invoke()
        quantized.append(interpreter.get_tensor(output_index)[0])
    outputs = body.predict(standardized, batch_size=16, verbose=0)
    error: FloatArray = (outputs - np.stack(quantized)).mean(axis=0).astype(np.float32)
    return error


def convert_core(core: keras.Model, standardized: FloatArray, variant: Variant) -> bytes:
    """Convert the network on standardised features to a TFLite file.

    Parameters
    ----------
    core : network of :class:`NetworkParts`
    standardized : float32 [shape=(segments, frames, coefficients)]
        representative inputs
    variant : variant of the file

    Raises
    ------
    DataError
        if the converter cannot convert the network.
    """
    if variant.is_full_integer:
        core = round_weights(core, standardized)
    with tempfile.TemporaryDirectory() as folder, suppress_stderr():
        converter = create_converter(core, standardized, variant, Path(folder))
        try:
            tflite: bytes = converter.convert()
        except Exception as error:  # of any type, from the converter's C++ code
            raise DataError(
                f"The network cannot be converted to {variant.quantization}: {_reason(error)}"
            ) from error
    return tflite


def create_converter(
    core: keras.Model, standardized: FloatArray, variant: Variant, folder: Path
) -> Any:
    """Create a ``TFLiteConverter`` with the settings of a variant.

    Parameters
    ----------
    core, standardized, variant : as for :func:`convert_core`
    folder : folder for the saved model; it must exist as long as the converter
    """
    saved_model = _save_model(core, standardized, folder)
    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model)
    if variant.quantization == "float32":
        return converter
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if variant.quantization == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if variant.is_full_integer:
        ops = {
            "int8": tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
            "int16x8": (tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8),
        }
        converter.target_spec.supported_ops = [ops[variant.quantization]]
        converter.representative_dataset = representative_dataset(standardized)
    if variant.io == "int8":
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter


def representative_dataset(segments: FloatArray) -> Callable[[], Iterator[list[Any]]]:
    """Return segments in the form of the converter's ``representative_dataset``."""
    return lambda: ([segment[np.newaxis]] for segment in segments)


def _save_model(core: keras.Model, standardized: FloatArray, folder: Path) -> str:
    """Save the network for batches of one segment, with LSTM layers in a form that can be fused."""
    stages = []
    activations = standardized
    for layer in core.layers:
        if isinstance(layer, layers.LSTM):
            stages.append(lstm.fused_lstm(layer, max_input=float(activations.max())))
        else:
            stages.append(_inference_stage(layer))
        activations = apply_in_batches(layer, activations)

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


def _inference_stage(layer: keras.Layer) -> lstm.Stage:
    return lambda features: layer(features, training=False)


def _reason(error: Exception) -> str:
    """Return the most specific line of a converter error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no reason"]
    return next((line for line in lines if "error:" in line or "not yet" in line), lines[0])
