"""Train a Keras network by epochs, with checkpoints, and compute its predictions."""

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_class_weight

from pocketgenre.training.data.batches import evaluation_batches, training_batches
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.sharded_batches import epoch_steps, sharded_training_batches
from pocketgenre.training.models.augmentation import augment_features, mix_up
from pocketgenre.training.models.checkpoints import (
    Checkpoints,
    is_patience_exhausted,
    load_best,
    resume_last,
)
from pocketgenre.training.models.networks import NETWORKS, HiddenLayers, assemble_network
from pocketgenre.training.models.strategy import prepare_fit
from pocketgenre.training.models.trainers import TrainingContext
from pocketgenre.training.runs import History

IntArray = NDArray[np.int64]

_BLOCK = 1024  # segments read at a time


def fit_published(context: TrainingContext) -> tuple[keras.Model, History]:
    """Train the network of :data:`NETWORKS` that has the trainer's name."""
    return fit_layers(context, NETWORKS[context.config.model])


def fit_layers(
    context: TrainingContext, hidden_layers: HiddenLayers
) -> tuple[keras.Model, History]:
    """Train a stack of layers, or resume its interrupted training.

    The same seed gives the same weights on the same machine, interrupted or not.

    Parameters
    ----------
    context : network to train
    hidden_layers : function that returns the layers between standardisation and output

    Returns
    -------
    model, history
        network after the last epoch, or after the best one with early stopping, and its losses
        and accuracies by epoch.
    """
    config, dataset, split = context.config, context.dataset, context.split
    placement = context.placement
    hosts = placement.hosts if dataset.shards else 1
    has_shares = bool(config.augmentation.mixup)
    steps = epoch_steps(len(split.train), config.batch_size, hosts)
    with placement.strategy.scope():
        model, history = resume_last(context.checkpoints, _compiled(context, hidden_layers), steps)
    done = len(history.get("loss", []))
    checkpoints = Checkpoints(context.scratch, history, config.early_stopping, context.on_epoch)
    first = np.sort(split.train[: config.batch_size])
    targets = dataset.segment_targets[first]
    shares = np.eye(len(dataset.labels), dtype=np.float32)[targets]
    prepare_fit(model, placement, dataset.features[first], shares if has_shares else targets)
    # The interruption may have been after the last epoch.
    if done and is_patience_exhausted(history, config.early_stopping):
        return load_best(context.scratch), history
    batches = _batches(context, done)
    if config.augmentation.is_on:
        batches = _augmented(batches, context, done * steps // hosts)
    validation = None
    if len(split.validation):
        validation = evaluation_batches(dataset, split.validation)
        if has_shares:
            genres = len(dataset.labels)
            validation = validation.map(lambda x, y: (x, tf.one_hot(y, genres)))
    model.fit(
        batches,
        validation_data=validation,
        steps_per_epoch=steps,
        initial_epoch=done,
        epochs=config.epochs,
        class_weight=genre_weights(dataset, split.train)
        if config.balance_genres and not has_shares
        else None,
        callbacks=[checkpoints],
        shuffle=False,  # the batches are shuffled already
        verbose=0,
    )
    if config.early_stopping:
        model = load_best(context.scratch)
    return model, checkpoints.history


def predict(model: keras.Model, dataset: Dataset, segments: IntArray) -> NDArray[np.float32]:
    """Compute the genre probabilities of segments, float32 [shape=(n, genres)]."""
    probabilities: NDArray[np.float32] = model.predict(
        evaluation_batches(dataset, segments), verbose=0
    )
    return probabilities


def genre_weights(dataset: Dataset, segments: IntArray) -> dict[int, float]:
    """Compute a weight for each genre's segments so that all genres have the same total."""
    targets = dataset.segment_targets[segments]
    present = np.unique(targets)
    weights = compute_class_weight("balanced", classes=present, y=targets)
    return dict(zip(present.tolist(), weights.tolist(), strict=True))


def coefficient_moments(
    dataset: Dataset, segments: IntArray
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compute mean and variance of each coefficient over segments and frames.

    Features are read a block at a time, so that memory doesn't grow with the data set.

    Returns
    -------
    mean, variance : float32 [shape=(coefficients,)]
    """
    frames, coefficients = dataset.feature_config.shape
    total = np.zeros(coefficients)
    squares = np.zeros(coefficients)
    ordered = np.sort(segments)
    for start in range(0, len(ordered), _BLOCK):
        block = dataset.features[ordered[start : start + _BLOCK]].astype(np.float64)
        total += block.sum(axis=(0, 1))
        squares += np.square(block).sum(axis=(0, 1))
    count = len(ordered) * frames
    mean = total / count
    return mean.astype(np.float32), (squares / count - mean**2).astype(np.float32)


def _batches(context: TrainingContext, first_epoch: int) -> tf.data.Dataset:
    """Return endless training batches; for a data set in shards, this host's share."""
    config, placement = context.config, context.placement
    order = (context.split.train, config.batch_size, config.seed, first_epoch)
    if context.dataset.shards:
        return sharded_training_batches(context.dataset, *order, placement.host, placement.hosts)
    return training_batches(context.dataset, *order)


def _augmented(
    batches: tf.data.Dataset, context: TrainingContext, first_batch: int
) -> tf.data.Dataset:
    """Change training batches at random; a batch depends only on the seed and its number.

    With mixup, the targets are the shares of the genres, multiplied by the genres' weights, since
    Keras has weights for single genres only.

    Parameters
    ----------
    batches : batches of (features, targets)
    context : network to train
    first_batch : number of the first batch
    """
    config, dataset, host = context.config, context.dataset, context.placement.host
    augmentation, genres = config.augmentation, len(dataset.labels)
    fill, _ = coefficient_moments(dataset, context.split.train)
    weights = np.ones(genres, np.float32)
    if config.balance_genres:
        for genre, weight in genre_weights(dataset, context.split.train).items():
            weights[genre] = weight

    def change(
        number: int, features: NDArray[np.float32], targets: IntArray
    ) -> tuple[NDArray[np.float32], NDArray[np.generic]]:
        rng = np.random.default_rng((config.seed, host, int(number)))
        changed = augment_features(features, fill, dataset.feature_config, augmentation, rng)
        if not augmentation.mixup:
            return changed, targets
        shares = np.eye(genres, dtype=np.float32)[targets] * weights[targets, np.newaxis]
        return mix_up(changed, shares, augmentation.mixup, rng)

    kind = tf.float32 if augmentation.mixup else tf.int64

    def load(number: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        x, y = tf.numpy_function(change, [number, *batch], (tf.float32, kind))
        x.set_shape((None, *dataset.feature_config.shape))
        y.set_shape((None, genres) if augmentation.mixup else (None,))
        return x, y

    return batches.enumerate(first_batch).map(load).prefetch(tf.data.AUTOTUNE)


def _compiled(context: TrainingContext, hidden_layers: HiddenLayers) -> keras.Model:
    """Return the network with its initial weights, ready to be trained."""
    dataset = context.dataset
    mean, variance = coefficient_moments(dataset, context.split.train)
    shape, genres = dataset.feature_config.shape, len(dataset.labels)
    model = assemble_network(hidden_layers, shape, genres, mean, variance)
    model.compile(
        optimizer=keras.optimizers.Adam(context.config.learning_rate),
        loss="categorical_crossentropy"
        if context.config.augmentation.mixup
        else "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model
