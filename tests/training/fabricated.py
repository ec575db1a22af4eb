"""Fabricate data sets and finished runs with known metrics."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pocketgenre.features.config import MFCC_CONFIG, FeatureConfig
from pocketgenre.training.data.dataset import Dataset, load_dataset, save_dataset, save_index
from pocketgenre.training.data.labelled_songs import LabelledSong
from pocketgenre.training.data.shard_format import Shard, write_manifest
from pocketgenre.training.data.splits import PROTOCOLS
from pocketgenre.training.data.storage import FolderStore
from pocketgenre.training.evaluation.metrics import compute_metrics
from pocketgenre.training.runs import Run, TrainingConfig


def fabricate_dataset(
    folder: Path,
    genres: dict[str, Sequence[int]],
    difference: float = 0.0,
    config: FeatureConfig = MFCC_CONFIG,
) -> Dataset:
    """Write a data set of random features, with songs named ``genre/0`` and so on.

    Parameters
    ----------
    folder : folder of the data set
    genres : number of segments of each song, by genre
    difference : difference of one coefficient's mean between successive genres
    config : feature parameters
    """
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    songs, files = [], []
    for shift, (genre, counts) in enumerate(genres.items()):
        for number, count in enumerate(counts):
            file = folder / f"{len(files)}.part.npy"
            features = rng.normal(size=(count, *config.shape)).astype(np.float32)
            features[:, :, 2] += difference * shift
            np.save(file, features)
            files.append(file)
            name = f"{genre}/{number}"
            songs.append(LabelledSong(name, Path(f"{name}.wav"), genre, group=len(songs)))
    return save_dataset(folder, folder / "audio", config, songs, files)


def three_genres(
    folder: Path, difference: float = 0.7, config: FeatureConfig = MFCC_CONFIG
) -> Dataset:
    """Write a data set with eight songs of each of three genres that a network can distinguish."""
    genres = dict.fromkeys(("jazz", "metal", "pop"), [4] * 8)
    return fabricate_dataset(folder, genres, difference, config)


def in_shards(dataset: Dataset, folder: Path, songs_per_shard: int) -> Dataset:
    """Write the same songs in the same order with their features in shards."""
    store, shards = FolderStore(folder), []
    counts = dataset.segment_counts
    for first in range(0, len(dataset.songs), songs_per_shard):
        chunk = slice(first, first + songs_per_shard)
        names = tuple(song.name for song in dataset.songs[chunk])
        features = dataset.features[counts[:first].sum() : counts[: chunk.stop].sum()]
        shard = Shard(f"{first:06d}", names, tuple(counts[chunk].tolist()), names, (), 0, "")
        (folder / shard.file).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / shard.file, features)
        content = (folder / shard.file).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        shards.append(replace(shard, size=len(content), sha256=digest))
    write_manifest(shards, store)
    save_index(
        store, dataset.audio, dataset.feature_config, dataset.songs, counts.tolist(), len(shards)
    )
    return load_dataset(folder)


def fabricate_run(
    folder: Path,
    dataset: Dataset,
    probabilities: Sequence[Sequence[float]],
    fold: Sequence[int] | None = None,
    validation_curves: bool = False,
    **config: object,
) -> Run:
    """Write a finished run.

    Parameters
    ----------
    folder : folder of the run
    dataset : data set of the run
    probabilities : held-out probabilities of all segments
    fold : number of the fold that each segment was held out in; None for a run without folds
    validation_curves : True to add validation curves to the history
    config : fields of :class:`~pocketgenre.training.runs.TrainingConfig`
    """
    table = np.array(probabilities, dtype=np.float32)
    folds = np.ones(len(table), int) if fold is None else np.array(fold)
    count = 0 if fold is None else len(set(fold))
    run = Run(
        folder=folder,
        config=TrainingConfig(folds=count, **{"epochs": 3, **config}),
        dataset=dataset.folder.resolve(),
        labels=dataset.labels,
        feature_config=dataset.feature_config,
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
        **compute_metrics(dataset, np.arange(len(table)), table).to_dict(),
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
