"""From a run folder to a TFLite file, its card and its report."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from export.convert import (
    Io,
    convert_to_int8,
    draw_calibration,
    op_names,
    split_standardization,
)
from export.fixtures import difficult_segments
from export.parity import FeatureParity, LabelParity, compare_features, compare_labels
from export.report import ExportReport
from mobile_demo.card import ModelCard, model_hash
from mobile_demo.classifier import Classifier
from mobile_demo.errors import AudioError
from mobile_demo.mfcc import mfcc
from training.checkpoints import load_network
from training.dataset import Dataset
from training.features import librosa_mfcc, song_segments
from training.fit import predict
from training.runs import Run
from training.songs import DataError
from training.splits import PROTOCOLS

FloatArray = NDArray[np.float32]
Step = Callable[[], None]


@dataclass(frozen=True)
class Export:
    """A converted network, its card and its report."""

    model: bytes
    card: ModelCard
    report: ExportReport


def export_run(
    run: Run,
    dataset: Dataset,
    out: Path,
    io: Io,
    representative: int,
    on_song: Step,
) -> Export:
    """Convert a run's network and check the file against it.

    With folds, the network of each fold is converted as well, with the same settings, and
    asked about the songs that it was not trained on: the figures that the card carries.

    Parameters
    ----------
    run : the trained run
    dataset : what it was trained on; its audio must be there
    out : name that the file will have
    io : type of input and output
    representative : number of calibration segments
    on_song : called after each song of the check, for a progress bar

    Raises
    ------
    DataError
        the run, the data set and the audio don't belong together, or the network can't
        be converted.
    """
    if dataset.labels != run.labels or dataset.front_end != run.front_end:
        raise DataError(
            f"The data set {dataset.folder} has other genres or another front end than the run"
            f" {run.folder}; name the one that it was trained on."
        )
    features = numpy_features(dataset, on_song)
    everything = np.arange(len(dataset.segment_songs))
    calibration = _calibration(run, dataset, everything, representative)

    model = load_network(run.folder / "model.keras")
    tflite = convert_to_int8(model, calibration, io)
    card = _card(run, dataset, model, tflite, io)
    kept = compare_labels(
        "the network kept, on all songs",
        dataset,
        everything,
        predict(model, dataset, everything),
        Classifier(tflite, card).predict(features),
    )
    heldout = _compare_heldout(run, dataset, features, representative, io)
    report = ExportReport(
        file=out.name,
        model=run.config.model,
        sha256=card.sha256,
        size=len(tflite),
        io=io,
        ops=op_names(tflite),
        calibration=f"{len(calibration)} segments, evenly by genre, seed {run.config.seed}",
        features={
            "difficult ones": _difficult_parity(run),
            "all of the data set": compare_features(
                [dataset.songs[song].name for song in dataset.segment_songs],
                features,
                np.asarray(dataset.features),
            ),
        },
        labels=[kept, heldout],
    )
    return Export(tflite, _with_accuracy(card, run, heldout), report)


def numpy_features(dataset: Dataset, on_song: Step) -> FloatArray:
    """The device's MFCC of every segment of a data set, computed from its audio.

    Returns
    -------
    float32 [shape=(segments, frames, coefficients)]

    Raises
    ------
    DataError
        the audio is gone or has changed.
    """
    features = []
    for song, count in zip(dataset.songs, dataset.segment_counts, strict=True):
        path = dataset.audio / song.path
        try:
            segments = song_segments(path, dataset.front_end)
        except AudioError as error:
            raise DataError(
                f"The parity check needs the data set's audio, but {path}: {error}."
            ) from error
        if len(segments) != count:
            raise DataError(
                f"{path} has changed since the data set was prepared; prepare it again."
            )
        features += [mfcc(segment, dataset.front_end) for segment in segments]
        on_song()
    return np.stack(features)


def _difficult_parity(run: Run) -> FeatureParity:
    segments = difficult_segments(run.front_end)
    ours = np.stack([mfcc(samples, run.front_end) for samples in segments.values()])
    librosas = np.stack([librosa_mfcc(samples, run.front_end) for samples in segments.values()])
    return compare_features(list(segments), ours, librosas)


def _calibration(
    run: Run, dataset: Dataset, segments: NDArray[np.int64], representative: int
) -> FloatArray:
    drawn = draw_calibration(dataset.segment_targets[segments], representative, run.config.seed)
    return dataset.features[segments[drawn]]


def _compare_heldout(
    run: Run, dataset: Dataset, features: FloatArray, representative: int, io: Io
) -> LabelParity:
    parts = run.heldout()
    everything = np.arange(len(dataset.segment_songs))
    tflite = []
    for part in parts:
        model = load_network(part.model)
        heard = np.setdiff1d(everything, part.segments)
        calibration = _calibration(run, dataset, heard, representative)
        converted = convert_to_int8(model, calibration, io)
        card = _card(run, dataset, model, converted, io)
        tflite.append(Classifier(converted, card).predict(features[part.segments]))
    folds = f"the {len(parts)} folds' networks" if run.config.folds else "the network kept"
    return compare_labels(
        f"{folds}, on what each was not trained on ({PROTOCOLS[run.config.protocol]})",
        dataset,
        np.concatenate([part.segments for part in parts]),
        np.concatenate([part.probabilities for part in parts]),
        np.concatenate(tflite),
    )


def _card(run: Run, dataset: Dataset, model: keras.Model, tflite: bytes, io: Io) -> ModelCard:
    mean, deviation, _ = split_standardization(model)
    return ModelCard(
        name=run.config.model,
        labels=run.labels,
        front_end=run.front_end,
        sha256=model_hash(tflite),
        standardization=(
            {"mean": mean.tolist(), "deviation": deviation.tolist()} if io == "int8" else None
        ),
        training={
            "data": f"{dataset.folder.name}: {len(dataset.songs)} songs,"
            f" {len(dataset.segment_songs)} segments",
            "command": run.command,
            "protocol": run.config.protocol,
            "folds": run.config.folds,
            "epochs": run.config.epochs,
            "seed": run.config.seed,
            "versions": run.versions,
        },
    )


def _with_accuracy(card: ModelCard, run: Run, heldout: LabelParity) -> ModelCard:
    metrics = run.metrics()
    accuracy = {
        "what": f"songs by majority vote, {metrics['protocol_meaning']},"
        + (f" {run.config.folds}-fold cross-validation" if run.config.folds else " one split"),
        "songs": heldout.songs,
        "song_accuracy_int8": round(heldout.tflite_accuracy, 4),
        "song_accuracy_float32": round(heldout.keras_accuracy, 4),
        "song_mean_recall_float32": round(metrics["song_mean_recall"], 4),
        "segment_accuracy_float32": round(metrics["segment_accuracy"], 4),
    }
    return replace(card, accuracy=accuracy)
