"""From a data set to a run folder."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pocketgenre.atomic_write import write_atomic
from pocketgenre.features.config import LOG_MEL_CONFIG, MFCC_CONFIG
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.songs import DataError
from pocketgenre.training.data.splits import (
    PROTOCOLS,
    Split,
    hold_out_folds,
    hold_out_validation,
    leave_out_songs,
    require_all_genres,
    split_segments,
)
from pocketgenre.training.evaluation.metrics import compute_metrics
from pocketgenre.training.models.checkpoints import History, save_network
from pocketgenre.training.models.keras_trainer import coefficient_moments, fit_network, predict
from pocketgenre.training.models.networks import MUSICNN
from pocketgenre.training.models.strategy import Placement
from pocketgenre.training.runs import HeldOutPredictions, Run, TrainingConfig

_FINEST_SHARE = 20  # --validation is taken as the nearest fraction with at most this below
_KEPT = "model"  # the one network of a run without folds, and the one kept of a run with them

OnEpoch = Callable[[str, History], None]
"""Called after each epoch with the network's name and its history so far."""


@dataclass(frozen=True)
class TrainingContext:
    """What every training of a run needs.

    Attributes
    ----------
    config : what was asked
    dataset : what to learn from
    folder : where the run is built
    placement : on which devices
    on_epoch : for a progress bar
    tensorboard : whether to log
    """

    config: TrainingConfig
    dataset: Dataset
    folder: Path
    placement: Placement
    on_epoch: OnEpoch
    tensorboard: bool


def train_run(
    config: TrainingConfig,
    dataset: Dataset,
    out: Path,
    *,
    command: str,
    placement: Placement,
    on_epoch: OnEpoch,
    tensorboard: bool = False,
) -> Run | None:
    """Train, judge and save; an interrupted run goes on from its last epoch.

    Parameters
    ----------
    config : what to train
    dataset : what to learn from
    out : the run folder, which must not exist
    command : how the person asked for it, for the record
    placement : on which devices
    on_epoch : for a progress bar
    tensorboard : whether to write logs for TensorBoard

    Returns
    -------
    the finished run; None in all workers but the first, which writes it.

    Raises
    ------
    DataError
        the data set can't be split so, ``out`` exists, or what an interrupted run left there
        was asked for differently.
    OSError
        something can't be written; what is finished stays for the next attempt.
    """
    if out.exists():
        raise DataError(f"{out} exists already; name another folder for the run, or remove it.")
    _require_front_end(config, dataset)
    dataset.check()
    splits = _plan(config, dataset)
    mean, variance = coefficient_moments(dataset, splits[_KEPT].train)
    run = Run(
        folder=out,
        config=config,
        dataset=dataset.folder.resolve(),
        labels=dataset.labels,
        feature_config=dataset.feature_config,
        normalization={"mean": mean.tolist(), "variance": variance.tolist()},
        versions={
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "librosa": version("librosa"),
            "numpy": np.__version__,
        },
        command=command,
        dataset_sha256=dataset.digest,
    )
    unfinished = out.with_name(out.name + ".unfinished")
    workshop = TrainingContext(config, dataset, unfinished, placement, on_epoch, tensorboard)
    if placement.is_chief:
        _claim(unfinished, run)
    heldout = [_train_and_ask(workshop, name, split) for name, split in splits.items()]
    if not placement.is_chief:
        return None
    _save_judgement(workshop, [part for part in heldout if len(part.segments)])
    unfinished.replace(out)
    return run


def _require_front_end(config: TrainingConfig, dataset: Dataset) -> None:
    """The published networks are made for the standard front end, musicnn for its own."""
    made_for = LOG_MEL_CONFIG if config.model == MUSICNN else MFCC_CONFIG
    found, wanted = dataset.feature_config.to_dict(), made_for.to_dict()
    others = [
        f"{name} {found.get(name)}, not {wanted[name]}"
        for name in wanted
        if found.get(name) != wanted[name]
    ]
    if others:
        raise DataError(
            f"The data set {dataset.folder} was made with another front end ({'; '.join(others)});"
            " prepare it again."
        )


def _plan(config: TrainingConfig, dataset: Dataset) -> dict[str, Split]:
    """The networks to train, by name, and what each learns from."""
    share = Fraction(config.validation).limit_denominator(_FINEST_SHARE)
    parts = config.folds or share.denominator
    splits = split_segments(dataset, config.protocol, parts, config.seed)
    if config.folds:
        plan = {f"fold-{number}": split for number, split in enumerate(splits, start=1)}
        everything = np.arange(len(dataset.segment_songs))
        plan[_KEPT] = Split(everything, test=everything[:0], validation=everything[:0])
    else:
        plan = {_KEPT: hold_out_folds(splits, share.numerator)}
    for name, split in plan.items():
        require_all_genres(dataset, split, name)
    if config.leave_out:
        plan = {
            name: leave_out_songs(dataset, split, config.leave_out) for name, split in plan.items()
        }
    if not config.early_stopping:
        return plan
    return {
        name: hold_out_validation(dataset, split, config.protocol, config.seed)
        for name, split in plan.items()
    }


def _claim(unfinished: Path, run: Run) -> None:
    """Start a run's folder, or make sure that the one that is there is of the same run."""
    content = run.to_json().encode()
    marker = unfinished / "run.json"
    if marker.exists():
        if not _begins(marker.read_bytes(), run):
            raise DataError(
                f"{unfinished} is an interrupted run of another configuration, data set or"
                " version; finish that one, name another folder, or remove it."
            )
        return
    if unfinished.exists():
        shutil.rmtree(unfinished)
    unfinished.mkdir(parents=True)
    write_atomic(marker, content)


def _begins(marker: bytes, run: Run) -> bool:
    """Whether a ``run.json`` is of this run, begun."""
    try:
        before = json.loads(marker)
        config = TrainingConfig.from_dict(before["config"])
        return bool(config == run.config and before["dataset_sha256"] == run.dataset_sha256)
    except (ValueError, KeyError, TypeError, AttributeError):  # damaged, or of another version
        return False


def _train_and_ask(workshop: TrainingContext, name: str, split: Split) -> HeldOutPredictions:
    """Train one network unless it is there already, and ask it about what it is judged on."""
    folder = workshop.folder if name == _KEPT else workshop.folder / name
    model_file = folder / "model.keras"
    if not model_file.exists():
        _train_one(workshop, name, split, folder)
    if not len(split.test) or not workshop.placement.is_chief:
        nobody = np.empty((0, len(workshop.dataset.labels)), np.float32)
        return HeldOutPredictions(model_file, split.test[:0], nobody)
    # Loaded anew: outside of a strategy's scope, and exactly what is on disk.
    model = keras.models.load_model(model_file)
    return HeldOutPredictions(model_file, split.test, predict(model, workshop.dataset, split.test))


def _train_one(workshop: TrainingContext, name: str, split: Split, folder: Path) -> None:
    checkpoints = folder / "checkpoints"
    with workshop.placement.scratch(checkpoints) as scratch:
        model, history = fit_network(
            workshop.config,
            workshop.dataset,
            split,
            checkpoints,
            scratch,
            workshop.placement,
            lambda so_far: workshop.on_epoch(name, so_far),
            workshop.folder / "logs" / name if workshop.tensorboard else None,
        )
        finished = folder if workshop.placement.is_chief else scratch
        write_atomic(finished / "history.json", _json(history))
        save_network(model, finished / "model.keras")
    if workshop.placement.is_chief:
        shutil.rmtree(checkpoints)


def _save_judgement(workshop: TrainingContext, heldout: list[HeldOutPredictions]) -> None:
    config, dataset, folder = workshop.config, workshop.dataset, workshop.folder
    segments = np.concatenate([part.segments for part in heldout])
    probabilities = np.concatenate([part.probabilities for part in heldout])
    folds = np.repeat(np.arange(1, len(heldout) + 1), [len(part.segments) for part in heldout])
    np.savez(folder / "heldout.npz", fold=folds, segment=segments, probabilities=probabilities)
    metrics = {
        "protocol": config.protocol,
        "protocol_meaning": PROTOCOLS[config.protocol],
        "folds": config.folds,
        **compute_metrics(dataset, segments, probabilities).to_dict(),
        "by_fold": [
            compute_metrics(dataset, part.segments, part.probabilities).to_dict()
            for part in heldout
        ],
    }
    if config.leave_out:
        metrics["without_left_out"] = _judge_rest(workshop, segments, probabilities)
    write_atomic(folder / "metrics.json", _json(metrics))


def _judge_rest(
    workshop: TrainingContext, segments: NDArray[np.int64], probabilities: NDArray[np.float32]
) -> dict[str, Any] | None:
    """Metrics of the songs that were not left out of the training; None where there are none."""
    dataset = workshop.dataset
    left_out = {
        i for i, song in enumerate(dataset.songs) if song.name in set(workshop.config.leave_out)
    }
    rest = ~np.isin(dataset.segment_songs[segments], list(left_out))
    return (
        compute_metrics(dataset, segments[rest], probabilities[rest]).to_dict()
        if rest.any()
        else None
    )


def _json(values: object) -> bytes:
    return (json.dumps(values, indent=2) + "\n").encode()
