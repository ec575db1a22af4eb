"""Data sets and finished runs made by hand, so that every figure is known beforehand."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mobile_demo.frontend import STANDARD
from training.dataset import Dataset, save_dataset
from training.metrics import judge
from training.runs import Run, TrainingConfig
from training.songs import LabelledSong
from training.splits import PROTOCOLS


def fabricate_dataset(folder: Path, genres: dict[str, Sequence[int]]) -> Dataset:
    """Songs of so many segments each, named ``genre/0`` and so on; the features are noise."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    songs, parts = [], []
    for genre, counts in genres.items():
        for number, count in enumerate(counts):
            part = folder / f"{len(parts)}.part.npy"
            np.save(part, rng.normal(size=(count, *STANDARD.shape)).astype(np.float32))
            parts.append(part)
            name = f"{genre}/{number}"
            songs.append(LabelledSong(name, Path(f"{name}.wav"), genre, group=len(songs)))
    return save_dataset(folder, folder / "audio", STANDARD, songs, parts)


def fabricate_run(
    folder: Path,
    dataset: Dataset,
    probabilities: Sequence[Sequence[float]],
    fold: Sequence[int] | None = None,
    validation_curves: bool = False,
    **config: object,
) -> Run:
    """A finished run that said this of every segment; ``fold`` says whose fold said it."""
    table = np.array(probabilities, dtype=np.float32)
    folds = np.ones(len(table), int) if fold is None else np.array(fold)
    count = 0 if fold is None else len(set(fold))
    run = Run(
        folder=folder,
        config=TrainingConfig(folds=count, **{"epochs": 3, **config}),
        dataset=dataset.folder.resolve(),
        labels=dataset.labels,
        front_end=dataset.front_end,
        normalization={"mean": [0.0] * 13, "variance": [1.0] * 13},
        versions={},
        command="train-model",
    )
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(run.to_json())
    (folder / "model.keras").write_bytes(b"no network")
    order = np.argsort(folds, kind="stable")
    np.savez(folder / "heldout.npz", fold=folds[order], segment=order, probabilities=table[order])
    metrics = {
        "protocol_meaning": PROTOCOLS[run.config.protocol],
        **judge(dataset, np.arange(len(table)), table).to_dict(),
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))
    history = {"accuracy": [0.4, 0.6, 0.8], "loss": [2.0, 1.0, 0.5]}
    if validation_curves:
        history |= {"val_accuracy": [0.3, 0.5, 0.5], "val_loss": [2.1, 1.5, 1.6]}
    (folder / "history.json").write_text(json.dumps(history))
    for number in range(1, count + 1):
        (folder / f"fold-{number}").mkdir()
        (folder / f"fold-{number}" / "history.json").write_text(json.dumps(history))
    return run
