"""Ask files about a data set's audio, as the device would, one song at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgenre.classifier import Classifier
from pocketgenre.errors import AudioError
from pocketgenre.features import compute_features
from pocketgenre.models.interpreter import create_interpreter
from pocketgenre.models.model_card import ModelCard
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.librosa_features import song_segments
from pocketgenre.training.data.songs import DataError

FloatArray = NDArray[np.float32]
Step = Callable[[], None]


@dataclass(frozen=True)
class Judge:
    """A file and the segments that it is asked about.

    Attributes
    ----------
    model, card : content of the file, and its card
    segments : int64 [shape=(n,)], positions in the data set, rising
    """

    model: bytes
    card: ModelCard
    segments: NDArray[np.int64]


@dataclass(frozen=True)
class InferenceSetup:
    """What was found on a data set's audio.

    Attributes
    ----------
    numpy_features : float32 [shape=(segments, frames, coefficients)], of NumPy's front end
    graph_features : the same of the front end in the graph
    probabilities : of each judge, float32 [shape=(n, genres)]
    """

    numpy_features: FloatArray
    graph_features: FloatArray
    probabilities: list[FloatArray]


def hear(
    dataset: Dataset, judges: Sequence[Judge], in_graph: "GraphFeatures", on_song: Step
) -> InferenceSetup:
    """Compute features and answers from the audio of every song.

    Parameters
    ----------
    dataset : whose audio must be there
    judges : files to ask
    in_graph : the front end of the waveform files
    on_song : called after each song, for a progress bar

    Raises
    ------
    DataError
        the audio is gone or has changed.
    """
    classifiers = [Classifier(judge.model, judge.card) for judge in judges]
    by_numpy, by_graph = [], []
    answers: list[list[FloatArray]] = [[] for _ in judges]
    position = 0
    for song, count in zip(dataset.songs, dataset.segment_counts, strict=True):
        segments = _segments(dataset, dataset.audio / song.path, count)
        features = np.stack([compute_features(s, dataset.feature_config) for s in segments])
        by_numpy.append(features)
        by_graph += [in_graph(segment) for segment in segments]
        for judge, classifier, rows in zip(judges, classifiers, answers, strict=True):
            inputs = segments if judge.card.input == "waveform" else features
            asked = np.isin(np.arange(position, position + count), judge.segments)
            if asked.any():
                rows.append(classifier.predict(inputs[asked]))
        position += count
        on_song()
    probabilities = [np.concatenate(rows) for rows in answers]
    return InferenceSetup(np.concatenate(by_numpy), np.stack(by_graph), probabilities)


class GraphFeatures:
    """The front end of a waveform file, run as such.

    Parameters
    ----------
    front : TFLite file from waveform to features
    """

    def __init__(self, front: bytes) -> None:
        self._interpreter = create_interpreter(front)
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def __call__(self, samples: FloatArray) -> FloatArray:
        """Features of one segment, float32 [shape=(frames, coefficients)]."""
        self._interpreter.set_tensor(self._input, samples[np.newaxis])
        self._interpreter.invoke()
        features: FloatArray = self._interpreter.get_tensor(self._output)[0]
        return features


def _segments(dataset: Dataset, path: Path, count: int) -> FloatArray:
    try:
        segments = song_segments(path, dataset.feature_config)
    except AudioError as error:
        raise DataError(
            f"The parity check needs the data set's audio, but {path}: {error}."
        ) from error
    if len(segments) != count:
        raise DataError(f"{path} has changed since the data set was prepared; prepare it again.")
    return segments
