"""Train and evaluate the networks of a run, from a data set to a run folder."""

import json
import shutil
from collections.abc import Callable, Sequence
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
from pocketgenre.errors import PocketGenreError
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.not_music import with_not_music_label
from pocketgenre.training.data.splits import (
    PROTOCOLS,
    Split,
    hold_out_folds,
    hold_out_validation,
    leave_out_songs,
    limit_songs,
    require_all_genres,
    split_segments,
)
from pocketgenre.training.errors import DataError
from pocketgenre.training.evaluation.metrics import compute_metrics
from pocketgenre.training.models.checkpoints import save_network
from pocketgenre.training.models.keras_trainer import coefficient_moments, predict
from pocketgenre.training.models.strategy import Placement
from pocketgenre.training.models.trainers import TrainingContext, find_trainer
from pocketgenre.training.recipe import write_recipe
from pocketgenre.training.runs import HeldOutPredictions, History, Run, TrainingConfig

_MAX_DENOMINATOR = 20  # --validation is rounded to a fraction with at most this denominator
_FINAL = "model"  # the only network without folds; with folds, the one trained on all songs

OnEpoch = Callable[[str, History], None]
"""Callback that gets the network's name and its history after each epoch."""


def train_run(
    config: TrainingConfig,
    dataset: Dataset,
    out: Path,
    *,
    command: str,
    placement: Placement,
    on_epoch: OnEpoch,
    tensorboard: bool = False,
    not_music: Dataset | None = None,
) -> Run | None:
    """Train, evaluate and save the networks of a run, or resume an interrupted run.

    Parameters
    ----------
    config : options of the training
    dataset : data set to train on
    out : run folder to create
    command : command line, stored in the run
    placement : devices and hosts to train on
    on_epoch : callback that gets the network's name and its history after each epoch
    tensorboard : True to write TensorBoard logs
    not_music : data set ``config.not_music``; None if it is empty

    Returns
    -------
    run
        the finished run; None in all workers except the chief, which writes it.

    Raises
    ------
    DataError
        if the trainer can't use the features, the data set can't be split, ``out`` exists, or
        ``out`` was interrupted with other options.
    OSError
        if a file can't be written; finished networks are kept for the next attempt.
    """
    if out.exists():
        raise DataError(f"{out} exists already; name another folder for the run, or remove it.")
    find_trainer(config.model).check_features(dataset)
    dataset.check()
    if not_music is not None:
        not_music.check()
    splits = _plan_splits(config, dataset)
    if not_music is not None:
        dataset = with_not_music_label(dataset)
    mean, variance = coefficient_moments(dataset, splits[_FINAL].train)
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
        not_music_sha256=not_music.digest if not_music else "",
    )
    unfinished = out.with_name(out.name + ".unfinished")
    builder = _RunBuilder(config, dataset, unfinished, placement, on_epoch, tensorboard, not_music)
    if placement.is_chief:
        _start_folder(unfinished, run)
    try:
        parts = [builder.train_and_predict(name, split) for name, split in splits.items()]
    except PocketGenreError:
        if placement.is_chief and not _has_progress(unfinished):
            shutil.rmtree(unfinished)
        raise
    if not placement.is_chief:
        return None
    builder.save_metrics([part for part in parts if len(part.segments)])
    unfinished.replace(out)
    return run


@dataclass(frozen=True)
class _RunBuilder:
    """Train the networks of one run and write them to its folder.

    Attributes
    ----------
    config, dataset, placement, on_epoch, tensorboard, not_music : as in :func:`train_run`
    folder : unfinished run folder
    """

    config: TrainingConfig
    dataset: Dataset
    folder: Path
    placement: Placement
    on_epoch: OnEpoch
    tensorboard: bool
    not_music: Dataset | None

    def train_and_predict(self, name: str, split: Split) -> HeldOutPredictions:
        """Train one network, unless it is finished already, and predict its test segments."""
        folder = self.folder if name == _FINAL else self.folder / name
        model_file = folder / "model.keras"
        if not model_file.exists():
            self._train(name, split, folder)
        if not len(split.test) or not self.placement.is_chief:
            empty = np.empty((0, len(self.dataset.labels)), np.float32)
            return HeldOutPredictions(model_file, split.test[:0], empty)
        # Loaded from disk to predict outside the strategy's scope, with exactly the saved weights.
        model = keras.models.load_model(model_file)
        return HeldOutPredictions(model_file, split.test, predict(model, self.dataset, split.test))

    def save_metrics(self, parts: Sequence[HeldOutPredictions]) -> None:
        """Write the held-out predictions of all folds and the metrics computed from them."""
        segments = np.concatenate([part.segments for part in parts])
        probabilities = np.concatenate([part.probabilities for part in parts])
        folds = np.repeat(np.arange(1, len(parts) + 1), [len(part.segments) for part in parts])
        np.savez(
            self.folder / "heldout.npz", fold=folds, segment=segments, probabilities=probabilities
        )
        metrics = {
            "protocol": self.config.protocol,
            "protocol_meaning": PROTOCOLS[self.config.protocol],
            "folds": self.config.folds,
            **compute_metrics(self.dataset, segments, probabilities).to_dict(),
            "by_fold": [
                compute_metrics(self.dataset, part.segments, part.probabilities).to_dict()
                for part in parts
            ],
        }
        if self.config.leave_out:
            metrics["without_left_out"] = self._metrics_without_left_out(segments, probabilities)
        write_atomic(self.folder / "metrics.json", _json(metrics))

    def _train(self, name: str, split: Split, folder: Path) -> None:
        fit = find_trainer(self.config.model).load_fit()
        keras.backend.clear_session()
        keras.utils.set_random_seed(self.config.seed)
        tf.config.experimental.enable_op_determinism()
        checkpoints = folder / "checkpoints"
        with self.placement.scratch(checkpoints) as scratch:
            context = TrainingContext(
                config=self.config,
                dataset=self.dataset,
                split=split,
                placement=self.placement,
                checkpoints=checkpoints,
                scratch=scratch,
                on_epoch=self._epoch_callback(name),
                not_music=self.not_music,
            )
            model, history = fit(context)
            finished = folder if self.placement.is_chief else scratch
            write_atomic(finished / "history.json", _json(history))
            save_network(model, finished / "model.keras")
        if self.placement.is_chief:
            shutil.rmtree(checkpoints)

    def _epoch_callback(self, name: str) -> Callable[[History], None]:
        """Return the callback of a network, which also writes TensorBoard logs if they are on."""
        if not self.tensorboard or not self.placement.is_chief:
            return lambda history: self.on_epoch(name, history)
        writer = tf.summary.create_file_writer(str(self.folder / "logs" / name))

        def log(history: History) -> None:
            with writer.as_default(step=len(history["loss"])):
                for metric, values in history.items():
                    tf.summary.scalar(metric, values[-1])
            writer.flush()
            self.on_epoch(name, history)

        return log

    def _metrics_without_left_out(
        self, segments: NDArray[np.int64], probabilities: NDArray[np.float32]
    ) -> dict[str, Any] | None:
        """Compute the metrics of the songs not in ``leave_out``; None if there are no others."""
        left_out = set(self.config.leave_out)
        positions = [i for i, song in enumerate(self.dataset.songs) if song.name in left_out]
        rest = ~np.isin(self.dataset.segment_songs[segments], positions)
        if not rest.any():
            return None
        return compute_metrics(self.dataset, segments[rest], probabilities[rest]).to_dict()


def _plan_splits(config: TrainingConfig, dataset: Dataset) -> dict[str, Split]:
    """Return the split of each network to train, by the network's name."""
    share = Fraction(config.validation).limit_denominator(_MAX_DENOMINATOR)
    parts = config.folds or share.denominator
    splits = split_segments(dataset, config.protocol, parts, config.seed)
    if config.folds:
        plan = {f"fold-{number}": split for number, split in enumerate(splits, start=1)}
        everything = np.arange(len(dataset.segment_songs))
        plan[_FINAL] = Split(everything, test=everything[:0], validation=everything[:0])
    else:
        plan = {_FINAL: hold_out_folds(splits, share.numerator)}
    for name, split in plan.items():
        require_all_genres(dataset, split, name)
    if config.leave_out:
        plan = {
            name: leave_out_songs(dataset, split, config.leave_out) for name, split in plan.items()
        }
    if config.early_stopping:
        plan = {
            name: hold_out_validation(dataset, split, config.protocol, config.seed)
            for name, split in plan.items()
        }
    return {name: limit_songs(dataset, split, config.max_segments) for name, split in plan.items()}


def _start_folder(unfinished: Path, run: Run) -> None:
    """Create the folder of a run, or check that the existing one belongs to the same run."""
    marker = unfinished / "run.json"
    if marker.exists() and _has_progress(unfinished):
        if not _is_same_run(marker.read_bytes(), run):
            raise DataError(
                f"{unfinished} is an interrupted run of another configuration, data set or"
                " version; finish that run, name another folder, or remove it."
            )
        return
    if unfinished.exists():
        shutil.rmtree(unfinished)
    unfinished.mkdir(parents=True)
    write_recipe(run.config, unfinished)
    write_atomic(marker, run.to_json().encode())


def _has_progress(unfinished: Path) -> bool:
    """Check whether an unfinished run has a network, or a checkpoint of one."""
    return any(unfinished.rglob("*.keras"))


def _is_same_run(marker: bytes, run: Run) -> bool:
    """Check whether a ``run.json`` has a run's configuration and data set."""
    try:
        before = json.loads(marker)
        config = TrainingConfig.from_dict(before["config"])
        digests = [before.get(name, "") for name in ("dataset_sha256", "not_music_sha256")]
        return config == run.config and digests == [run.dataset_sha256, run.not_music_sha256]
    except (ValueError, KeyError, TypeError, AttributeError):  # damaged, or of another version
        return False


def _json(values: object) -> bytes:
    return (json.dumps(values, indent=2) + "\n").encode()
