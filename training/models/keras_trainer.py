"""Fit a network to some of a data set's segments."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_class_weight

from pocketgenre.training.data.batches import evaluation_batches, training_batches
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.sharded_batches import epoch_steps, sharded_training_batches
from pocketgenre.training.data.splits import Split
from pocketgenre.training.models.checkpoints import (
    Checkpoints,
    History,
    has_lost_patience,
    load_best,
    resume_last,
)
from pocketgenre.training.models.musicnn.linear_head import build_classifier
from pocketgenre.training.models.networks import MUSICNN, RESIDUAL, build_network
from pocketgenre.training.models.residual.trainer import fit_residual
from pocketgenre.training.models.strategy import Placement, prepare_fit
from pocketgenre.training.runs import TrainingConfig

IntArray = NDArray[np.int64]


def fit_network(
    config: TrainingConfig,
    dataset: Dataset,
    split: Split,
    checkpoints: Path,
    scratch: Path,
    placement: Placement,
    on_epoch: Callable[[History], None],
    tensorboard: Path | None = None,
) -> tuple[keras.Model, History]:
    """Train a network, from where an interrupted training of it stopped if there was one.

    The same seed gives the same weights on the same machine, interrupted or not.

    Parameters
    ----------
    config : what to train
    dataset : the features
    split : segments to learn from, and those whose loss is watched
    checkpoints : folder with what an interrupted training left, if there was one
    scratch : folder for what this process saves to go on: the same one, but for all workers
        except the first
    placement : on which devices
    on_epoch : called after each epoch with the history so far
    tensorboard : folder for TensorBoard logs

    Returns
    -------
    model, history
        the network after the last epoch, or after the best with early stopping, and its
        losses and accuracies by epoch.
    """
    keras.backend.clear_session()
    keras.utils.set_random_seed(config.seed)
    tf.config.experimental.enable_op_determinism()
    if config.model == MUSICNN:
        return _fit_pretrained(config, dataset, split, on_epoch)
    if config.model == RESIDUAL:
        moments = coefficient_moments(dataset, split.train)
        return fit_residual(config, dataset, split, moments, scratch, on_epoch)
    hosts = placement.hosts if dataset.shards else 1
    steps = epoch_steps(len(split.train), config.batch_size, hosts)
    with placement.strategy.scope():
        model, history = resume_last(checkpoints, _new(config, dataset, split), steps)
    done = len(history.get("loss", []))
    keeper = Checkpoints(scratch, history, config.early_stopping, on_epoch)
    callbacks: list[keras.callbacks.Callback] = [keeper]
    if tensorboard and placement.is_chief:
        callbacks.append(keras.callbacks.TensorBoard(tensorboard, profile_batch=0))
    first = np.sort(split.train[: config.batch_size])
    prepare_fit(model, placement, dataset.features[first], dataset.segment_targets[first])
    if done and has_lost_patience(history, config.early_stopping):  # killed just before its end
        return load_best(scratch), history
    model.fit(
        _batches(config, dataset, split, placement, done),
        validation_data=evaluation_batches(dataset, split.validation)
        if len(split.validation)
        else None,
        steps_per_epoch=steps,
        initial_epoch=done,
        epochs=config.epochs,
        class_weight=genre_weights(dataset, split.train) if config.balance_genres else None,
        callbacks=callbacks,
        shuffle=False,  # the batches come in an order of their own
        verbose=0,
    )
    if config.early_stopping:
        model = load_best(scratch)
    return model, keeper.history


def _batches(
    config: TrainingConfig, dataset: Dataset, split: Split, placement: Placement, done: int
) -> tf.data.Dataset:
    """What is learned from, by epoch from the number ``done``; of shards, this host's share."""
    order = (split.train, config.batch_size, config.seed, done)
    if dataset.shards:
        return sharded_training_batches(dataset, *order, placement.host, placement.hosts)
    return training_batches(dataset, *order)


def _fit_pretrained(
    config: TrainingConfig, dataset: Dataset, split: Split, on_epoch: Callable[[History], None]
) -> tuple[keras.Model, History]:
    """The classifier on musicnn, which is not trained by epochs; its history has one entry."""
    package = Path(config.pretrained)
    model, features = build_classifier(dataset, split.train, package, config.seed)
    answers = {"": (split.train, np.asarray(model.layers[-1](features)))}
    if len(split.validation):
        answers["val_"] = (split.validation, predict(model, dataset, split.validation))
    history: History = {}
    for prefix, (segments, probabilities) in answers.items():
        targets = dataset.segment_targets[segments]
        genres = np.arange(len(dataset.labels))
        history[f"{prefix}loss"] = [float(log_loss(targets, probabilities, labels=genres))]
        right = probabilities.argmax(axis=1) == targets
        history[f"{prefix}accuracy"] = [float(right.mean())]
    on_epoch(history)
    return model, history


def predict(model: keras.Model, dataset: Dataset, segments: IntArray) -> NDArray[np.float32]:
    """Genre probabilities of segments, float32 [shape=(n, genres)]."""
    probabilities: NDArray[np.float32] = model.predict(
        evaluation_batches(dataset, segments), verbose=0
    )
    return probabilities


def genre_weights(dataset: Dataset, segments: IntArray) -> dict[int, float]:
    """Weight of each genre's segments such that all genres weigh alike."""
    targets = dataset.segment_targets[segments]
    present = np.unique(targets)
    weights = compute_class_weight("balanced", classes=present, y=targets)
    return dict(zip(present.tolist(), weights.tolist(), strict=True))


def coefficient_moments(
    dataset: Dataset, segments: IntArray
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and variance of each coefficient over segments and frames, a block at a time.

    Returns
    -------
    mean, variance : float32 [shape=(coefficients,)]
    """
    total = np.zeros(dataset.feature_config.n_coefficients)
    squares = np.zeros(dataset.feature_config.n_coefficients)
    ordered = np.sort(segments)
    for start in range(0, len(ordered), 1024):
        block = dataset.features[ordered[start : start + 1024]].astype(np.float64)
        total += block.sum(axis=(0, 1))
        squares += np.square(block).sum(axis=(0, 1))
    count = len(ordered) * dataset.feature_config.n_frames
    mean = total / count
    return mean.astype(np.float32), (squares / count - mean**2).astype(np.float32)


def _new(config: TrainingConfig, dataset: Dataset, split: Split) -> keras.Model:
    mean, variance = coefficient_moments(dataset, split.train)
    model = build_network(
        config.model, dataset.feature_config.shape, len(dataset.labels), mean, variance
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config.learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model
