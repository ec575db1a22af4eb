"""Train the members of a residual ensemble one after another, and join them."""

from collections.abc import Callable
from functools import partial

import keras

from pocketgenre.training.errors import DataError
from pocketgenre.training.models.checkpoints import Checkpoints, resume_last
from pocketgenre.training.models.keras_trainer import coefficient_moments
from pocketgenre.training.models.residual.network import (
    build_ensemble,
    build_member,
    frames_per_view,
)
from pocketgenre.training.models.residual.segment_sampler import SegmentSampler, validation_views
from pocketgenre.training.models.trainers import TrainingContext
from pocketgenre.training.runs import History, TrainingConfig

BATCHES_PER_EPOCH = 50

_WEIGHT_DECAY = 0.02
_MAX_GRADIENT_NORM = 5.0
_WARM_UP_BATCHES = 100
_EMA_MOMENTUM = 0.998  # of the moving average of the weights, by batch


def fit_residual(context: TrainingContext) -> tuple[keras.Model, History]:
    """Train ``config.members`` networks and join them.

    The optimizer is AdamW with a cosine schedule; the final weights are a moving average.

    Parameters
    ----------
    context : network to train, on a data set with spectra

    Returns
    -------
    model, history
        network, and its losses and accuracies by epoch, one member after another.

    Raises
    ------
    DataError
        if the data set has no spectra, or early stopping is on.
    """
    config, dataset, split = context.config, context.dataset, context.split
    if config.early_stopping:
        raise DataError(
            "residual is trained by a learning rate schedule; leave --early-stopping out."
        )
    mean, variance = coefficient_moments(dataset, split.train)
    sampler = SegmentSampler.from_split(
        dataset, split, mean, config.augmentation, context.not_music
    )
    validation = validation_views(dataset, split.validation) if len(split.validation) else None
    frames = frames_per_view(dataset.feature_config.n_frames)
    members: list[keras.Sequential] = []
    history: History = {}
    for number in range(config.members):
        folder = context.scratch / f"member-{number + 1}"
        folder.mkdir(parents=True, exist_ok=True)
        keras.utils.set_random_seed(config.seed + 1000 * number)
        fresh = build_member(frames, len(dataset.labels), mean, variance)
        fresh.compile(
            optimizer=_optimizer(config), loss="categorical_crossentropy", metrics=["accuracy"]
        )
        model, done = resume_last(folder, fresh, BATCHES_PER_EPOCH)
        checkpoints = Checkpoints(folder, done, 0, partial(_report, context.on_epoch, history))
        epochs_done = len(done.get("loss", []))
        model.fit(
            sampler.batches(
                config.batch_size, BATCHES_PER_EPOCH, (config.seed, number), epochs_done
            ),
            validation_data=validation,
            steps_per_epoch=BATCHES_PER_EPOCH,
            initial_epoch=epochs_done,
            epochs=config.epochs,
            callbacks=[checkpoints],
            shuffle=False,  # the batches are random already
            verbose=0,
        )
        history = _joined(history, checkpoints.history)
        members.append(model)
    return build_ensemble(members, dataset.feature_config.n_frames), history


def _optimizer(config: TrainingConfig) -> keras.optimizers.Optimizer:
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        max(1, config.epochs * BATCHES_PER_EPOCH - _WARM_UP_BATCHES),
        alpha=0.01,
        warmup_target=config.learning_rate,
        warmup_steps=_WARM_UP_BATCHES,
    )
    return keras.optimizers.AdamW(
        schedule,
        weight_decay=_WEIGHT_DECAY,
        clipnorm=_MAX_GRADIENT_NORM,
        use_ema=True,
        ema_momentum=_EMA_MOMENTUM,
    )


def _report(on_epoch: Callable[[History], None], before: History, so_far: History) -> None:
    on_epoch(_joined(before, so_far))


def _joined(before: History, after: History) -> History:
    return {name: [*before.get(name, []), *values] for name, values in after.items()}
