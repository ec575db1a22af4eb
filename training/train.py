"""From a data set to a run folder."""

import json
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np

from mobile_demo.files import write_atomically
from training.dataset import Dataset
from training.fit import coefficient_moments, fit_network, predict
from training.metrics import judge
from training.runs import HeldOut, Run, TrainingConfig
from training.songs import DataError
from training.splits import PROTOCOLS, Split, split_segments

_SINGLE_MODEL = "model"  # of a run without folds, and the one kept of a run with them

EpochCallback = Callable[[str], None]
"""Called after each epoch with the name of the network that is being trained."""


def train_run(
    config: TrainingConfig, dataset: Dataset, out: Path, command: str, on_epoch: EpochCallback
) -> Run:
    """Train, judge and save; folds that an interrupted run has finished are taken over.

    Parameters
    ----------
    config : what to train
    dataset : what to learn from
    out : the run folder, which must not exist
    command : how the person asked for it, for the record
    on_epoch : for a progress bar

    Raises
    ------
    DataError
        the data set can't be split so, ``out`` exists, or what an interrupted run left there
        was asked for differently.
    """
    if out.exists():
        raise DataError(f"{out} exists already; name another folder for the run, or remove it.")
    dataset.check_finite()
    splits = split_segments(
        dataset, config.protocol, config.folds or round(1 / config.validation), config.seed
    )
    everything = np.arange(len(dataset.segment_songs))
    kept = everything if config.folds else splits[0].train
    mean, variance = coefficient_moments(dataset, kept)
    run = Run(
        folder=out,
        config=config,
        dataset=dataset.folder.resolve(),
        labels=dataset.labels,
        front_end=dataset.front_end,
        normalization={"mean": mean.tolist(), "variance": variance.tolist()},
        versions={name: version(name) for name in ("tensorflow-cpu", "keras", "librosa", "numpy")},
        command=command,
    )
    unfinished = out.with_name(out.name + ".unfinished")
    _claim(unfinished, run)

    trainings = list(enumerate(splits, start=1)) if config.folds else [(1, splits[0])]
    heldout = []
    for number, split in trainings:
        name = f"fold-{number}" if config.folds else _SINGLE_MODEL
        heldout.append(_train_one(config, dataset, split, unfinished, name, on_epoch))
    if config.folds:
        final = Split(everything, everything[:0])
        _train_one(config, dataset, final, unfinished, _SINGLE_MODEL, on_epoch)

    _save_judgement(unfinished, config, dataset, heldout)
    unfinished.replace(out)
    return run


def _claim(unfinished: Path, run: Run) -> None:
    content = run.to_json().encode()
    marker = unfinished / "run.json"
    if marker.exists():
        before, now = json.loads(marker.read_bytes()), json.loads(content)
        if any(before[key] != now[key] for key in ("config", "normalization", "labels")):
            raise DataError(
                f"{unfinished} is an interrupted run of another configuration or data set;"
                " finish that one, name another folder, or remove it."
            )
        return
    if unfinished.exists():
        shutil.rmtree(unfinished)
    unfinished.mkdir(parents=True)
    write_atomically(marker, content)


def _train_one(
    config: TrainingConfig,
    dataset: Dataset,
    split: Split,
    run_folder: Path,
    name: str,
    on_epoch: EpochCallback,
) -> HeldOut:
    folder = run_folder if name == _SINGLE_MODEL else run_folder / name
    folder.mkdir(exist_ok=True)
    model_file = folder / "model.keras"
    if model_file.exists():
        model = keras.models.load_model(model_file)
        for _ in range(config.epochs):
            on_epoch(name)
    else:
        tick = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: on_epoch(name))
        model, history = fit_network(config, dataset, split.train, [tick])
        write_atomically(folder / "history.json", _json(history))
        temporary = folder / "unfinished.keras"
        model.save(temporary)
        temporary.replace(model_file)
    if not len(split.judge):
        return HeldOut(model_file, split.judge, np.empty((0, len(dataset.labels)), np.float32))
    return HeldOut(model_file, split.judge, predict(model, dataset, split.judge))


def _save_judgement(
    folder: Path, config: TrainingConfig, dataset: Dataset, heldout: list[HeldOut]
) -> None:
    segments = np.concatenate([part.segments for part in heldout])
    probabilities = np.concatenate([part.probabilities for part in heldout])
    folds = np.repeat(np.arange(1, len(heldout) + 1), [len(part.segments) for part in heldout])
    np.savez(folder / "heldout.npz", fold=folds, segment=segments, probabilities=probabilities)
    metrics = {
        "protocol": config.protocol,
        "protocol_meaning": PROTOCOLS[config.protocol],
        "folds": config.folds,
        **judge(dataset, segments, probabilities).to_dict(),
        "by_fold": [
            judge(dataset, part.segments, part.probabilities).to_dict() for part in heldout
        ],
    }
    write_atomically(folder / "metrics.json", _json(metrics))


def _json(values: object) -> bytes:
    return (json.dumps(values, indent=2, default=float) + "\n").encode()
