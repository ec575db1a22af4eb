"""What a card says of the training of a network, and of what it reached."""

from typing import Any

import numpy as np

from pocketgenre.export.prediction_parity import LabelParity
from pocketgenre.text import printable
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.splits import PROTOCOLS, Split, leave_out_songs
from pocketgenre.training.evaluation.run_evaluation import recorded_metrics
from pocketgenre.training.models.networks import MUSICNN, RESIDUAL
from pocketgenre.training.models.residual.segment_sampler import known_by_mfcc
from pocketgenre.training.runs import Run


def training_of(run: Run, dataset: Dataset, temperature: float) -> dict[str, Any]:
    """How the network was trained that a run kept.

    Parameters
    ----------
    run : the trained run
    dataset : what it was trained on
    temperature : that the logits were divided by
    """
    config = run.config
    return {
        "data": _data(run, dataset),
        "command": printable(run.command),
        "protocol": config.protocol,
        "folds": config.folds,
        **({"epochs": config.epochs} if config.model != MUSICNN else {}),
        "seed": config.seed,
        "temperature": round(temperature, 4),
        "versions": run.versions,
    }


def accuracy_of(run: Run, heldout: LabelParity) -> dict[str, Any]:
    """What the file and the network reached on songs that they were not trained on.

    Raises
    ------
    DataError
        the run's figures are damaged.
    """
    folds = run.config.folds
    recorded = recorded_metrics(run, ("song_mean_recall", "segment_accuracy"))
    return {
        "what": f"songs by majority vote, {PROTOCOLS[run.config.protocol]},"
        + (f" {folds}-fold cross-validation" if folds else " one split"),
        "songs": heldout.songs,
        "song_accuracy_tflite": round(heldout.tflite_accuracy, 4),
        "song_accuracy_keras": round(heldout.keras_accuracy, 4),
        "song_mean_recall_keras": round(recorded["song_mean_recall"], 4),
        "segment_accuracy_keras": round(recorded["segment_accuracy"], 4),
    }


def _data(run: Run, dataset: Dataset) -> str:
    songs, segments = len(dataset.songs), len(dataset.segment_songs)
    text = f"{printable(dataset.folder.name)}: {songs} songs, {segments} segments"
    if run.config.model != RESIDUAL:
        return text
    _, known = known_by_mfcc(dataset, _kept_split(run, dataset))
    more = f"; {len(known)} songs known by their MFCC, which may include them"
    return text + more if len(known) else text


def _kept_split(run: Run, dataset: Dataset) -> Split:
    """What the network learned from that the run kept, and what it was judged on."""
    everything = np.arange(len(dataset.segment_songs))
    nothing = everything[:0]
    judged = nothing if run.config.folds else run.heldout()[0].segments
    split = Split(np.setdiff1d(everything, judged), judged, validation=nothing)
    return leave_out_songs(dataset, split, run.config.leave_out)
