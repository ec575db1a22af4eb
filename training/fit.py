"""Fit a network to some of a data set's segments."""

from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_class_weight

from training.dataset import Dataset
from training.networks import build_network
from training.runs import TrainingConfig

IntArray = NDArray[np.int64]


def fit_network(
    config: TrainingConfig,
    dataset: Dataset,
    train: IntArray,
    callbacks: list[keras.callbacks.Callback],
) -> tuple[keras.Model, dict[str, list[float]]]:
    """Train a network from scratch; the same seed gives the same weights on the same machine.

    Parameters
    ----------
    config : what to train
    dataset : the features
    train : positions of the segments to learn from, int64 [shape=(n,)]
    callbacks : passed on to Keras

    Returns
    -------
    model, history
        the network after the last epoch, and loss and accuracy by epoch.
    """
    keras.backend.clear_session()
    keras.utils.set_random_seed(config.seed)
    tf.config.experimental.enable_op_determinism()
    mean, variance = coefficient_moments(dataset, train)
    model = build_network(
        config.model, dataset.front_end.shape, len(dataset.labels), mean, variance
    )
    model.compile(
        optimizer=keras.optimizers.Adam(config.learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    targets = dataset.segment_targets[train]
    present = np.unique(targets)
    weights = compute_class_weight("balanced", classes=present, y=targets)
    history = model.fit(
        training_batches(dataset, train, config.batch_size, config.seed),
        steps_per_epoch=-(-len(train) // config.batch_size),
        epochs=config.epochs,
        class_weight=(
            dict(zip(present.tolist(), weights.tolist(), strict=True))
            if config.balance_genres
            else None
        ),
        callbacks=callbacks,
        shuffle=False,  # the batches come in an order of their own
        verbose=0,
    )
    return model, history.history


def training_batches(
    dataset: Dataset, segments: IntArray, batch_size: int, seed: int
) -> tf.data.Dataset:
    """Endless batches of (features, targets), each epoch in an order of its own, read from disk."""

    def orders() -> Iterator[IntArray]:
        epoch = 0
        while True:
            order = np.random.default_rng((seed, epoch)).permutation(segments)
            for start in range(0, len(order), batch_size):
                yield order[start : start + batch_size]
            epoch += 1

    spec = tf.TensorSpec((None,), tf.int64)
    return _with_features(tf.data.Dataset.from_generator(orders, output_signature=spec), dataset)


def predict(model: keras.Model, dataset: Dataset, segments: IntArray) -> NDArray[np.float32]:
    """Genre probabilities of segments, float32 [shape=(n, genres)]."""
    batches = tf.data.Dataset.from_tensor_slices(segments).batch(256)
    probabilities: NDArray[np.float32] = model.predict(_with_features(batches, dataset), verbose=0)
    return probabilities


def coefficient_moments(
    dataset: Dataset, segments: IntArray
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and variance of each coefficient over segments and frames, a block at a time.

    Returns
    -------
    mean, variance : float32 [shape=(coefficients,)]
    """
    total = np.zeros(dataset.front_end.n_mfcc)
    squares = np.zeros(dataset.front_end.n_mfcc)
    ordered = np.sort(segments)
    for start in range(0, len(ordered), 1024):
        block = dataset.features[ordered[start : start + 1024]].astype(np.float64)
        total += block.sum(axis=(0, 1))
        squares += np.square(block).sum(axis=(0, 1))
    count = len(ordered) * dataset.front_end.n_frames
    mean = total / count
    return mean.astype(np.float32), (squares / count - mean**2).astype(np.float32)


def _with_features(batches: tf.data.Dataset, dataset: Dataset) -> tf.data.Dataset:
    """Turn batches of positions into batches of (features, targets)."""
    features, targets = dataset.features, dataset.segment_targets

    def gather(positions: IntArray) -> tuple[NDArray[np.float32], IntArray]:
        return features[positions], targets[positions]

    def load(positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        x, y = tf.numpy_function(gather, [positions], (tf.float32, tf.int64))
        x.set_shape((None, *dataset.front_end.shape))
        y.set_shape((None,))
        return x, y

    return batches.map(load).prefetch(4)
