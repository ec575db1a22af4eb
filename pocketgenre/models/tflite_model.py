"""Run a TFLite genre network: from segments to genre probabilities."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pocketgenre.errors import AudioError, ModelError
from pocketgenre.features import compute_features
from pocketgenre.models.interpreter import create_interpreter
from pocketgenre.models.model_card import ModelCard, read_model

FloatArray = NDArray[np.float32]
TensorDetails = Mapping[str, Any]
"""Description of a tensor as the interpreter returns it."""


class TFLiteModel:
    """A TFLite genre network with its model card.

    Threads may share it; their predictions take turns.

    Parameters
    ----------
    model : content of the ``.tflite`` file
    card : its model card
    threads : number of threads of the TFLite runtime
    with_features : compute the inputs of the last layer as well

    Raises
    ------
    ModelError
        if model and card don't match, no runtime can run the model, or features are requested from
        a model without them.
    """

    def __init__(
        self, model: bytes, card: ModelCard, *, threads: int = 1, with_features: bool = False
    ) -> None:
        self.card = card
        if with_features:
            from pocketgenre.models.flatbuffer import with_feature_output  # needs LiteRT

            model = with_feature_output(model)
        self._interpreter = create_interpreter(model, threads)
        outputs = self._interpreter.get_output_details()
        self._features = outputs.pop() if with_features else None
        self._input = _checked_input(self._interpreter, outputs, card)
        self._output = outputs[0]
        self._standardization = _standardization(card)
        self._lock = threading.Lock()

    @classmethod
    def load(cls, path: Path, *, threads: int = 1) -> Self:
        """Load a ``.tflite`` file and the card next to it.

        Raises
        ------
        ModelError
            if a file is missing, the two don't match, or no runtime can run the model.
        """
        return cls(*read_model(path), threads=threads)

    def predict(self, inputs: FloatArray) -> FloatArray:
        """Predict the genre probabilities of segments.

        Parameters
        ----------
        inputs : float32 [shape=(segments, frames, coefficients)]
            features, see :func:`pocketgenre.features.compute_features`; for a model whose input
            is the waveform, samples [shape=(segments, segment_samples)]

        Returns
        -------
        float32 [shape=(segments, genres)]
        """
        return np.stack([self._predict_one(segment) for segment in inputs])

    def predict_segment(self, samples: FloatArray) -> FloatArray:
        """Predict the genre probabilities of one segment.

        Parameters
        ----------
        samples : float32 [shape=(segment_samples,)]

        Returns
        -------
        float32 [shape=(genres,)]
        """
        return self._predict_one(self.model_input(samples))

    def predict_with_features(
        self, samples: FloatArray
    ) -> tuple[FloatArray, NDArray[np.int8] | None]:
        """Predict the genre probabilities of one segment, and return its features.

        Parameters
        ----------
        samples : float32 [shape=(segment_samples,)]

        Returns
        -------
        probabilities, features
            float32 [shape=(genres,)], int8 [shape=(features,)]; features are None if they were
            not requested
        """
        return self._predict(self.model_input(samples))

    def features(self, inputs: FloatArray) -> NDArray[np.int8]:
        """Return the features of one segment.

        Parameters
        ----------
        inputs : float32 [shape=(frames, coefficients)], as for :meth:`predict`

        Returns
        -------
        int8 [shape=(features,)]

        Raises
        ------
        ModelError
            if they were not requested.
        """
        features = self._predict(inputs)[1]
        if features is None:
            raise ModelError("The features were not requested; load the model with them.")
        return features

    def model_input(self, samples: FloatArray) -> FloatArray:
        """Convert one segment to the model's input: its features, or the samples unchanged.

        Parameters
        ----------
        samples : float32 [shape=(segment_samples,)]
        """
        if self.card.input == "waveform":
            return samples
        return compute_features(samples, self.card.feature_config)

    def _predict_one(self, values: FloatArray) -> FloatArray:
        return self._predict(values)[0]

    def _predict(self, values: FloatArray) -> tuple[FloatArray, NDArray[np.int8] | None]:
        if not np.isfinite(values).all():
            raise AudioError("its samples are out of range: its features are not finite")
        if self._standardization:
            mean, deviation = self._standardization
            values = (values - mean) / deviation
        quantized = _quantize(values, self._input)
        with self._lock:
            self._interpreter.set_tensor(self._input["index"], quantized)
            self._interpreter.invoke()
            output = self._interpreter.get_tensor(self._output["index"])[0]
            features = self._features and self._interpreter.get_tensor(self._features["index"])[0]
        return _dequantize(output, self._output), features


def _checked_input(
    interpreter: Any, outputs: Sequence[TensorDetails], card: ModelCard
) -> TensorDetails:
    """Return the details of the only input, after checking it and the output against the card."""
    inputs: Sequence[TensorDetails] = interpreter.get_input_details()
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelError("The model must have one input and one output.")
    config = card.feature_config
    shape_in = (config.segment_samples,) if card.input == "waveform" else config.shape
    for details, expected, name in (
        (inputs[0], (1, *shape_in), "input"),
        (outputs[0], (1, len(card.labels)), "output"),
    ):
        shape = tuple(int(n) for n in details["shape"])
        if shape != expected:
            raise ModelError(
                f"The model's {name} has shape {shape}, but its card requires {expected}."
            )
        if details["dtype"] not in (np.float32, np.int8):
            raise ModelError(
                f"The model's {name} is {details['dtype'].__name__}, not float32 or int8."
            )
    return inputs[0]


def _standardization(card: ModelCard) -> tuple[FloatArray, FloatArray] | None:
    if card.standardization is None:
        return None
    mean = np.array(card.standardization["mean"], np.float32)
    deviation = np.array(card.standardization["deviation"], np.float32)
    if mean.shape != (card.feature_config.n_coefficients,) or mean.shape != deviation.shape:
        raise ModelError("The card's standardization does not match its features.")
    if not (np.isfinite(mean).all() and np.isfinite(deviation).all() and (deviation > 0).all()):
        raise ModelError("The card's standardization has values that are out of range.")
    return mean, deviation


def _quantize(values: FloatArray, details: TensorDetails) -> NDArray[Any]:
    batch = values[np.newaxis]
    if details["dtype"] == np.float32:
        return batch.astype(np.float32, copy=False)
    scale, zero_point = details["quantization"]
    quantized: NDArray[np.int8] = np.clip(np.rint(batch / scale) + zero_point, -128, 127)
    return quantized.astype(np.int8)


def _dequantize(values: NDArray[Any], details: TensorDetails) -> FloatArray:
    if details["dtype"] == np.float32:
        return values.astype(np.float32)
    scale, zero_point = details["quantization"]
    decoded: FloatArray = (values.astype(np.float32) - zero_point) * np.float32(scale)
    return decoded
