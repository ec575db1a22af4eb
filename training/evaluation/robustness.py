"""Evaluate a run on perturbed audio: compressed, band-limited, quiet or short."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pocketgenre.errors import AudioError
from pocketgenre.prediction import predict_song
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.librosa_features import (
    FloatArray,
    librosa_features,
    song_samples,
    split_into_segments,
)
from pocketgenre.training.data.splits import PROTOCOLS
from pocketgenre.training.errors import DataError
from pocketgenre.training.evaluation.metrics import (
    compute_classification_metrics,
    to_stored_dict,
)
from pocketgenre.training.evaluation.perturbations import PERTURBATIONS, Perturbation
from pocketgenre.training.evaluation.run_evaluation import load_heldout, require_song_split
from pocketgenre.training.models.checkpoints import load_network
from pocketgenre.training.runs import Run

_BATCH_SIZE = 32  # segments; a wide network needs 8 GB for 256


@dataclass(frozen=True)
class PerturbationMetrics:
    """Metrics of a run on songs with one perturbation. Shares lie in [0, 1].

    Attributes
    ----------
    perturbation, description : name and description of the perturbation
    segments : number of evaluated segments
    song_accuracy : share of songs with the correct label by majority vote
    song_mean_recall : mean over the genres of the songs' recall
    segment_accuracy : share of segments with the correct label
    label_agreement : share of songs with the same predicted label as the unchanged song
    """

    perturbation: str
    description: str
    segments: int
    song_accuracy: float
    song_mean_recall: float
    segment_accuracy: float
    label_agreement: float


@dataclass(frozen=True)
class Robustness:
    """Metrics of a run for each perturbation, from the same networks and songs."""

    run: str
    model: str
    seed: int
    folds: int
    protocol: str
    songs: int
    perturbations: tuple[PerturbationMetrics, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``robustness.json``."""
        return {
            "format": 1,
            "protocol_meaning": PROTOCOLS[self.protocol],
            **to_stored_dict(self),
        }


def evaluate_robustness(
    run: Run,
    dataset: Dataset,
    on_song: Callable[[], None] = lambda: None,
    perturbations: Sequence[Perturbation] = PERTURBATIONS,
) -> Robustness:
    """Evaluate every song with each perturbation, by the network not trained on that song.

    One song is in memory at a time.

    Parameters
    ----------
    run : run to evaluate
    dataset : data set that the run was trained on; its audio must still exist
    on_song : callback after each song, for a progress bar
    perturbations : perturbations to apply; the others are compared with the first

    Raises
    ------
    DataError
        if the run was not split by song, the data set or its audio has changed since the
        training, or a network can't be read.
    """
    require_song_split(run)
    heldout = load_heldout(run, dataset)
    if not dataset.audio.is_dir():
        raise DataError(
            f"The audio of {dataset.folder} is no longer at {dataset.audio}; --robustness needs"
            " the audio."
        )
    songs: list[int] = []
    by_song: list[list[FloatArray]] = []
    for part in heldout:
        network = load_network(part.model)
        for song in np.unique(dataset.segment_songs[part.segments]):
            by_song.append(_predict_perturbed(network, dataset, int(song), perturbations))
            songs.append(int(song))
            on_song()
    targets = dataset.song_targets[songs]
    by_perturbation = list(zip(*by_song, strict=True))
    predicted = [_predicted_labels(tables, dataset.labels) for tables in by_perturbation]
    return Robustness(
        run=run.folder.resolve().name,
        model=run.config.model,
        seed=run.config.seed,
        folds=run.config.folds,
        protocol=run.config.protocol,
        songs=len(songs),
        perturbations=tuple(
            _metrics(perturbation, tables, targets, labels, predicted[0], dataset.labels)
            for perturbation, tables, labels in zip(
                perturbations, by_perturbation, predicted, strict=True
            )
        ),
    )


def _predict_perturbed(
    network: keras.Model, dataset: Dataset, song: int, perturbations: Sequence[Perturbation]
) -> list[FloatArray]:
    """Predict a song's segments, float [shape=(segments, genres)] for each perturbation."""
    name, path = dataset.songs[song].name, dataset.audio / dataset.songs[song].path
    try:
        samples = song_samples(path, dataset.feature_config)
    except AudioError as error:
        raise DataError(
            f"The audio of {name} has changed since {dataset.folder} was prepared: {error}."
        ) from error
    if len(split_into_segments(samples, dataset.feature_config)) != dataset.segment_counts[song]:
        raise DataError(
            f"The audio of {name} ({path}) has changed since {dataset.folder} was prepared;"
            " prepare the data set again and train again."
        )
    tables: list[FloatArray] = []
    for perturbation in perturbations:
        perturbed = perturbation.apply(samples, dataset.feature_config.sample_rate)
        if tables and np.array_equal(perturbed, samples):  # such as the beginning of a short clip
            tables.append(tables[0])
        else:
            segments = split_into_segments(perturbed, dataset.feature_config)
            tables.append(_predict_segments(network, segments, dataset))
    return tables


def _predict_segments(network: keras.Model, segments: FloatArray, dataset: Dataset) -> FloatArray:
    probabilities = []
    for start in range(0, len(segments), _BATCH_SIZE):
        batch = segments[start : start + _BATCH_SIZE]
        features = np.stack(
            [librosa_features(segment, dataset.feature_config) for segment in batch]
        )
        probabilities.append(network.predict_on_batch(features))
    return np.concatenate(probabilities)


def _predicted_labels(tables: Sequence[FloatArray], labels: Sequence[str]) -> NDArray[np.int64]:
    genres = [predict_song(table, labels).genre for table in tables]
    return np.array([labels.index(genre) for genre in genres], dtype=np.int64)


def _metrics(
    perturbation: Perturbation,
    tables: Sequence[FloatArray],
    targets: NDArray[np.int64],
    predicted: NDArray[np.int64],
    predicted_unchanged: NDArray[np.int64],
    labels: Sequence[str],
) -> PerturbationMetrics:
    songs = compute_classification_metrics(targets, predicted, labels)
    segment_targets = np.repeat(targets, [len(table) for table in tables])
    correct = np.concatenate(tables).argmax(axis=1) == segment_targets
    return PerturbationMetrics(
        perturbation=perturbation.name,
        description=perturbation.description,
        segments=len(segment_targets),
        song_accuracy=songs.accuracy,
        song_mean_recall=songs.mean_recall,
        segment_accuracy=float(correct.mean()),
        label_agreement=float((predicted == predicted_unchanged).mean()),
    )
