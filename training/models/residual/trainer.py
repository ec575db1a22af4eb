"""Train the residual network: several, one after the other, that are kept as one."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.songs import DataError
from pocketgenre.training.data.splits import Split
from pocketgenre.training.models.checkpoints import Checkpoints, History, resume_last
from pocketgenre.training.models.residual.network import (
    frames_seen,
    training_network,
    whole_network,
)
from pocketgenre.training.models.residual.segment_sampler import SegmentSampler, watched
from pocketgenre.training.runs import TrainingConfig

FloatArray = NDArray[np.float32]

BATCHES_AN_EPOCH = 50

_WEIGHT_DECAY = 0.02
_LARGEST_GRADIENT = 5.0
_WARM_UP = 100  # batches
_AVERAGING = 0.998  # of the weights, from batch to batch


def fit_residual(
    config: TrainingConfig,
    dataset: Dataset,
    split: Split,
    moments: tuple[FloatArray, FloatArray],
    checkpoints: Path,
    on_epoch: Callable[[History], None],
) -> tuple[keras.Model, History]:
    """Train ``config.members`` networks and join them.

    AdamW with a cosine schedule; the weights that count are a running mean of what it finds.

    Parameters
    ----------
    config : what to train
    dataset : with spectra
    split : what to learn from, and whose loss is watched
    moments : mean and variance of each coefficient
    checkpoints : folder with what an interrupted training left, and for what this one saves
    on_epoch : called after each epoch with the history so far, of all members

    Returns
    -------
    model, history
        the network, and its losses and accuracies by epoch, one member after the other.

    Raises
    ------
    DataError
        the data set has no spectra, or early stopping is asked for.
    """
    if config.early_stopping:
        raise DataError("residual is trained by a schedule; leave --early-stopping out.")
    lessons = SegmentSampler.of(dataset, split, moments[0])
    watch = watched(dataset, split.validation) if len(split.validation) else None
    members: list[keras.Sequential] = []
    history: History = {}
    for number in range(config.members):
        folder = checkpoints / f"member-{number + 1}"
        folder.mkdir(parents=True, exist_ok=True)
        keras.utils.set_random_seed(config.seed + 1000 * number)
        frames = frames_seen(dataset.feature_config.n_frames)
        fresh = training_network(frames, len(dataset.labels), *moments)
        fresh.compile(
            optimizer=_optimizer(config), loss="categorical_crossentropy", metrics=["accuracy"]
        )
        model, done = resume_last(folder, fresh, BATCHES_AN_EPOCH)
        keeper = Checkpoints(folder, done, 0, partial(_report, on_epoch, history))
        model.fit(
            lessons.batches(
                config.batch_size,
                BATCHES_AN_EPOCH,
                (config.seed, number),
                len(done.get("loss", [])),
            ),
            validation_data=watch,
            steps_per_epoch=BATCHES_AN_EPOCH,
            initial_epoch=len(done.get("loss", [])),
            epochs=config.epochs,
            callbacks=[keeper],
            shuffle=False,  # the batches come in an order of their own
            verbose=0,
        )
        history = _joined(history, keeper.history)
        members.append(model)
    return whole_network(members, dataset.feature_config.n_frames), history


def _optimizer(config: TrainingConfig) -> keras.optimizers.Optimizer:
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        max(1, config.epochs * BATCHES_AN_EPOCH - _WARM_UP),
        alpha=0.01,
        warmup_target=config.learning_rate,
        warmup_steps=_WARM_UP,
    )
    return keras.optimizers.AdamW(
        schedule,
        weight_decay=_WEIGHT_DECAY,
        clipnorm=_LARGEST_GRADIENT,
        use_ema=True,
        ema_momentum=_AVERAGING,
    )


def _report(on_epoch: Callable[[History], None], before: History, so_far: History) -> None:
    on_epoch(_joined(before, so_far))


def _joined(before: History, behind: History) -> History:
    return {name: [*before.get(name, []), *values] for name, values in behind.items()}
