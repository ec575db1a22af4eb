"""Run TFLite files on the audio of a data set, as the device would, one song at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketgenre.errors import AudioError
from pocketgenre.export.variants import WAVEFORM
from pocketgenre.features import compute_features
from pocketgenre.models.model_card import ModelCard
from pocketgenre.models.tflite_model import TFLiteModel
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.labelled_songs import LabelledSong
from pocketgenre.training.data.librosa_features import song_segments
from pocketgenre.training.errors import DataError

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class ConvertedFile:
    """A TFLite file and the segments to evaluate it on.

    Attributes
    ----------
    model : content of the file
    card : model card of the file
    segments : int64 [shape=(n,)]
        positions in the data set, ascending
    """

    model: bytes
    card: ModelCard
    segments: NDArray[np.int64]


@dataclass(frozen=True)
class FileEvaluation:
    """Features and probabilities computed from the audio of a data set.

    Attributes
    ----------
    numpy_features : float32 [shape=(segments, frames, coefficients)]
    graph_features : features of the graph, float32 of the same shape; None if not computed
    probabilities : float32 [shape=(n, genres)] for each file
    """

    numpy_features: FloatArray
    graph_features: FloatArray | None
    probabilities: list[FloatArray]


def evaluate_files(
    dataset: Dataset,
    files: Sequence[ConvertedFile],
    feature_graph: Callable[[FloatArray], FloatArray] | None,
    on_song: Callable[[], None],
) -> FileEvaluation:
    """Compute features and probabilities from the audio of every song.

    Parameters
    ----------
    dataset : data set whose audio is present
    files : files to evaluate
    feature_graph : computation of the features in the graph of the waveform files, if any
    on_song : function called after each song, for a progress bar

    Raises
    ------
    DataError
        if the audio is missing or has changed.
    """
    models = [TFLiteModel(file.model, file.card) for file in files]
    numpy_features: list[FloatArray] = []
    graph_features: list[FloatArray] = []
    probabilities: list[list[FloatArray]] = [[] for _ in files]
    position = 0
    for song, count in zip(dataset.songs, dataset.segment_counts, strict=True):
        segments = read_segments(dataset, song, count)
        features = np.stack([compute_features(s, dataset.feature_config) for s in segments])
        numpy_features.append(features)
        if feature_graph:
            graph_features += [feature_graph(segment) for segment in segments]
        for file, model, rows in zip(files, models, probabilities, strict=True):
            inputs = segments if file.card.input == WAVEFORM else features
            selected = np.isin(np.arange(position, position + count), file.segments)
            if selected.any():
                rows.append(model.predict(inputs[selected]))
        position += count
        on_song()
    return FileEvaluation(
        np.concatenate(numpy_features),
        np.stack(graph_features) if feature_graph else None,
        [np.concatenate(rows) for rows in probabilities],
    )


def read_segments(dataset: Dataset, song: LabelledSong, count: int) -> FloatArray:
    """Decode a song of a data set, float32 [shape=(count, segment_samples)].

    Raises
    ------
    DataError
        if the audio is missing or has changed.
    """
    path = dataset.audio / song.path
    try:
        segments = song_segments(path, dataset.feature_config)
    except AudioError as error:
        raise DataError(
            f"The parity check needs the audio of the data set, but {path}: {error}."
        ) from error
    if len(segments) != count:
        raise DataError(f"{path} has changed since the data set was prepared; prepare it again.")
    return segments
