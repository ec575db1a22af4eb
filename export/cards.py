"""Build the model card of an exported file: labels, features, training and accuracy."""

from dataclasses import asdict
from typing import Any

import keras
import numpy as np

from pocketgenre.export.convert import NetworkParts
from pocketgenre.export.parity_checks import LabelParity
from pocketgenre.export.variants import Variant
from pocketgenre.models.model_card import ModelCard
from pocketgenre.text import printable
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.splits import PROTOCOLS, Split, leave_out_songs
from pocketgenre.training.evaluation.confidence_fit import ConfidenceFit
from pocketgenre.training.evaluation.run_evaluation import recorded_metrics
from pocketgenre.training.models.residual.segment_sampler import usable_mfcc_songs
from pocketgenre.training.models.trainers import RESIDUAL, find_trainer, licence_of
from pocketgenre.training.runs import Run


def build_card(
    run: Run,
    model: keras.Model,
    variant: Variant,
    training: dict[str, Any],
    licence: str | None = None,
) -> ModelCard:
    """Build the card of a file, without its hash and accuracy.

    Parameters
    ----------
    run : trained run
    model : network of the run
    variant : variant of the file
    training : result of :func:`training_record`
    licence : SPDX expression of the run's owner; None if unspecified
    """
    standardization = None
    if variant.io == "int8":
        parts = NetworkParts.from_model(model)
        standardization = {"mean": parts.mean.tolist(), "deviation": parts.deviation.tolist()}
    return ModelCard(
        name=run.config.model,
        labels=run.labels,
        feature_config=run.feature_config,
        sha256="",
        input=variant.input,
        standardization=standardization,
        licence=licence_of(run, licence),
        training=training,
    )


def training_record(run: Run, dataset: Dataset, temperature: float) -> dict[str, Any]:
    """Describe the training of a run's final network.

    Parameters
    ----------
    run : trained run
    dataset : data set of the run
    temperature : divisor of the logits
    """
    config = run.config
    has_epochs = "epochs" not in find_trainer(config.model).unused_options
    return {
        "data": _describe_data(run, dataset),
        "command": printable(run.command),
        "protocol": config.protocol,
        "folds": config.folds,
        **({"epochs": config.epochs} if has_epochs else {}),
        **_describe_augmentation(run),
        "seed": config.seed,
        "temperature": round(temperature, 4),
        "versions": run.versions,
    }


def accuracy_record(
    run: Run, held_out: LabelParity, confidence: ConfidenceFit | None
) -> dict[str, Any]:
    """Describe the accuracy of the file and of the network on held-out songs.

    Parameters
    ----------
    run : trained run
    held_out : comparison of the file with the network on held-out songs
    confidence : confidence fitted on these songs; None if there are too few

    Raises
    ------
    DataError
        if the metrics of the run are damaged.
    """
    folds = run.config.folds
    recorded = recorded_metrics(run, ("song_mean_recall", "segment_accuracy"))
    return {
        "what": f"songs by majority vote, {PROTOCOLS[run.config.protocol]},"
        + (f" {folds}-fold cross-validation" if folds else " one split"),
        "songs": held_out.songs,
        "song_accuracy_tflite": round(held_out.tflite_accuracy, 4),
        "song_accuracy_keras": round(held_out.keras_accuracy, 4),
        "song_mean_recall_keras": round(recorded["song_mean_recall"], 4),
        "segment_accuracy_keras": round(recorded["segment_accuracy"], 4),
        **({} if confidence is None else _describe_confidence(confidence)),
    }


def accepted_parity(held_out: LabelParity) -> dict[str, Any]:
    """Describe a file that misses the limits of the check and that its owner has accepted."""
    return {
        "parity_accepted": True,
        "segment_agreement": round(held_out.segment_agreement, 4),
    }


def _describe_confidence(confidence: ConfidenceFit) -> dict[str, float]:
    """Describe the cross-fitted confidence of the songs, and the default threshold."""
    return {
        "confidence_calibration_error": round(confidence.calibration.ece, 4),
        "default_min_confidence": confidence.model.min_confidence,
        "songs_above_default": round(confidence.coverage, 4),
        "song_accuracy_above_default": round(confidence.covered_accuracy, 4),
    }


def _describe_augmentation(run: Run) -> dict[str, Any]:
    """Describe changes of the training segments that are not those of the network's protocol."""
    augmentation = run.config.augmentation
    if augmentation == find_trainer(run.config.model).defaults.augmentation:
        return {}
    return {"augmentation": {name: value for name, value in asdict(augmentation).items() if value}}


def _describe_data(run: Run, dataset: Dataset) -> str:
    songs, segments = len(dataset.songs), len(dataset.segment_songs)
    text = f"{printable(dataset.folder.name)}: {songs} songs, {segments} segments"
    if run.config.model != RESIDUAL:
        return text
    _, mfcc_songs = usable_mfcc_songs(dataset, _final_split(run, dataset))
    more = f"; {len(mfcc_songs)} songs known by their MFCC, which may include them"
    return text + more if len(mfcc_songs) else text


def _final_split(run: Run, dataset: Dataset) -> Split:
    """Return the training and test segments of the run's final network."""
    all_segments = np.arange(len(dataset.segment_songs))
    none = all_segments[:0]
    test = none if run.config.folds else run.heldout()[0].segments
    split = Split(np.setdiff1d(all_segments, test), test, validation=none)
    return leave_out_songs(dataset, split, run.config.leave_out)
