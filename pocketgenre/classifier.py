"""From a file to a genre: decode, cut, MFCC, TFLite network, vote."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pocketgenre.audio.decoding import DamagedAudioError, stream_mono
from pocketgenre.audio.seeking import CannotSeekError, pick_segments, spread_segments
from pocketgenre.audio.segments import cut_segments
from pocketgenre.errors import AudioError, ModelError
from pocketgenre.features import compute_features
from pocketgenre.models.interpreter import create_interpreter
from pocketgenre.models.model_card import ModelCard, read_model
from pocketgenre.models.pretrained import DEFAULT_MODEL, PRETRAINED
from pocketgenre.vote import VOTES, Vote

SILENCE = 2.0**-15
"""A song that never leaves this peak, one step of 16 bits, holds nothing to judge."""

# Decoding takes the processor's cache from the features' tables and they from it; taking turns once
# a minute of music rather than once a segment saves some hundredths of a scan, and costs 5 MB.
_BATCH = 20

FloatArray = NDArray[np.float32]
TensorDetails = Mapping[str, Any]  # as an interpreter describes a tensor


class Classifier:
    """A TFLite genre network with its card. One object serves one thread.

    Parameters
    ----------
    model : content of the ``.tflite`` file
    card : what belongs to it
    threads : that the runtime may use

    Raises
    ------
    ModelError
        they don't belong together, or no runtime can run them.
    """

    def __init__(self, model: bytes, card: ModelCard, *, threads: int = 1) -> None:
        self.card = card
        self._interpreter = create_interpreter(model, threads)
        self._input, self._output = _only_input_and_output(self._interpreter, self.card)
        self._standardization = _standardization(self.card)

    @classmethod
    def load(cls, model_path: Path = PRETRAINED[DEFAULT_MODEL], *, threads: int = 1) -> Self:
        """A classifier from a ``.tflite`` file with its card beside it.

        Raises
        ------
        ModelError
            the files are missing, don't belong together, or can't be run.
        """
        return cls(*read_model(model_path), threads=threads)

    def predict(self, inputs: FloatArray) -> FloatArray:
        """Genre probabilities of segments.

        Parameters
        ----------
        inputs : float32 [shape=(segments, frames, coefficients)]
            features as :func:`pocketgenre.features.log_mel.compute_features` computes them; or the
            samples themselves, [shape=(segments, segment_samples)], if the card says so.

        Returns
        -------
        float32 [shape=(segments, genres)]
        """
        return np.stack([self._invoke(segment) for segment in inputs])

    def prepare(self, samples: FloatArray) -> FloatArray:
        """What the file takes for one segment: its features, or the samples as they are.

        Parameters
        ----------
        samples : float32 [shape=(segment_samples,)]
        """
        if self.card.input == "waveform":
            return samples
        return compute_features(samples, self.card.feature_config)

    def segment_probabilities(self, path: Path, count: int = 0) -> FloatArray:
        """Genre probabilities of the 3 s segments of a song, in time order.

        A file that breaks after its first segment counts as far as it went: that is
        what a player does, and what decoders do with a truncated MP3 anyway.

        Parameters
        ----------
        path : the song
        count : how many segments, spread over the song; 0 for all of them

        Returns
        -------
        float32 [shape=(segments, genres)]

        Raises
        ------
        AudioError
            the file gives no segment, or nothing but silence.
        """
        feature_config = self.card.feature_config
        if count:
            try:
                return self.listen(spread_segments(path, feature_config, count))
            except CannotSeekError:
                return self.listen(pick_segments(path, feature_config, count))
        return self.listen(
            cut_segments(stream_mono(path, feature_config.sample_rate), feature_config)
        )

    def listen(self, segments: Iterable[FloatArray]) -> FloatArray:
        """Genre probabilities of segments as they come, until they end or break.

        Parameters
        ----------
        segments : iterable of float32 [shape=(segment_samples,)]

        Returns
        -------
        float32 [shape=(segments, genres)]

        Raises
        ------
        AudioError
            there is no segment, or nothing but silence.
        """
        rows: list[FloatArray] = []
        peak = 0.0
        try:
            for batch in _batches(segments):
                for segment in batch:
                    if peak <= SILENCE:  # once is enough
                        peak = max(peak, float(segment.max()), -float(segment.min()))
                    rows.append(self._invoke(self.prepare(segment)))
        except DamagedAudioError:
            if not rows:
                raise
        if peak <= SILENCE:
            raise AudioError("there is only silence in it")
        return np.stack(rows)

    def label(self, path: Path, vote: str = "majority") -> Vote:
        """The genre of a song, by a vote of its segments.

        Parameters
        ----------
        path : the song
        vote : a key of :data:`pocketgenre.vote.VOTES`

        Raises
        ------
        AudioError
            the file gives no segment.
        """
        return VOTES[vote](self.segment_probabilities(path), self.card.labels)

    def _invoke(self, given: FloatArray) -> FloatArray:
        if self._standardization:
            mean, deviation = self._standardization
            given = (given - mean) / deviation
        self._interpreter.set_tensor(self._input["index"], _encode(given, self._input))
        self._interpreter.invoke()
        return _decode(self._interpreter.get_tensor(self._output["index"])[0], self._output)


def _batches(segments: Iterable[FloatArray]) -> Iterator[list[FloatArray]]:
    """A few segments at a time; before an error those that came before it."""
    batch: list[FloatArray] = []
    try:
        for segment in segments:
            batch.append(segment)
            if len(batch) == _BATCH:
                yield batch
                batch = []
    except AudioError:
        yield batch
        raise
    yield batch


def _only_input_and_output(
    interpreter: Any, card: ModelCard
) -> tuple[TensorDetails, TensorDetails]:
    """The details of the network's input and output, checked against its card."""
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelError("The model must have one input and one output.")
    feature_config = card.feature_config
    given = (feature_config.segment_samples,) if card.input == "waveform" else feature_config.shape
    expected_in = (1, *given)
    expected_out = (1, len(card.labels))
    for details, expected, what in (
        (inputs[0], expected_in, "input"),
        (outputs[0], expected_out, "output"),
    ):
        shape = tuple(int(n) for n in details["shape"])
        if shape != expected:
            raise ModelError(f"The model's {what} has shape {shape}, but its card says {expected}.")
        if details["dtype"] not in (np.float32, np.int8):
            raise ModelError(
                f"The model's {what} is {details['dtype'].__name__}, not float32 or int8."
            )
    return inputs[0], outputs[0]


def _standardization(card: ModelCard) -> tuple[FloatArray, FloatArray] | None:
    if card.standardization is None:
        return None
    mean = np.array(card.standardization["mean"], np.float32)
    deviation = np.array(card.standardization["deviation"], np.float32)
    if mean.shape != (card.feature_config.n_coefficients,) or mean.shape != deviation.shape:
        raise ModelError("The card's standardization doesn't fit its front end.")
    return mean, deviation


def _encode(given: FloatArray, details: TensorDetails) -> NDArray[Any]:
    batch = given[np.newaxis]
    if details["dtype"] == np.float32:
        return batch.astype(np.float32, copy=False)
    scale, zero_point = details["quantization"]
    quantized: NDArray[np.int8] = np.clip(np.rint(batch / scale) + zero_point, -128, 127)
    return quantized.astype(np.int8)


def _decode(values: NDArray[Any], details: TensorDetails) -> FloatArray:
    if details["dtype"] == np.float32:
        return values.astype(np.float32)
    scale, zero_point = details["quantization"]
    decoded: FloatArray = (values.astype(np.float32) - zero_point) * np.float32(scale)
    return decoded
