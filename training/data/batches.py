"""Batches from disk: features are mapped, shuffled by position, and read a batch at a time.

Memory does not grow with the data set: what is held is the positions, 8 bytes a segment, and
a few batches; the rest is the system's page cache.
"""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pocketgenre.training.data.dataset import Dataset

IntArray = NDArray[np.int64]

_BATCHES_AHEAD = 4
_JUDGED_TOGETHER = 32  # segments; a wide network on 256 would take 8 GB


def training_batches(
    dataset: Dataset, segments: IntArray, batch_size: int, seed: int, first_epoch: int = 0
) -> tf.data.Dataset:
    """Endless batches of (features, targets), each epoch in an order of its own.

    The order of an epoch depends on the seed and its number alone, so that a training that
    is resumed sees what it would have seen.

    Parameters
    ----------
    dataset : the features
    segments : int64 [shape=(n,)], positions of those to learn from
    batch_size : segments in a batch; the last of an epoch may be smaller
    seed : of the orders
    first_epoch : number of the epoch to begin with
    """

    def positions() -> Iterator[IntArray]:
        epoch = first_epoch
        while True:
            order = np.random.default_rng((seed, epoch)).permutation(segments)
            for start in range(0, len(order), batch_size):
                yield order[start : start + batch_size]
            epoch += 1

    spec = tf.TensorSpec((None,), tf.int64)
    return _with_features(tf.data.Dataset.from_generator(positions, output_signature=spec), dataset)


def judging_batches(dataset: Dataset, segments: IntArray) -> tf.data.Dataset:
    """Batches of (features, targets) in the order given, once."""
    return _with_features(
        tf.data.Dataset.from_tensor_slices(segments).batch(_JUDGED_TOGETHER), dataset
    )


def _with_features(batches: tf.data.Dataset, dataset: Dataset) -> tf.data.Dataset:
    features, targets = dataset.features, dataset.segment_targets

    def gather(positions: IntArray) -> tuple[NDArray[np.float32], IntArray]:
        return features[positions], targets[positions]

    def load(positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        x, y = tf.numpy_function(gather, [positions], (tf.float32, tf.int64))
        x.set_shape((None, *dataset.feature_config.shape))
        y.set_shape((None,))
        return x, y

    options = tf.data.Options()
    # A generator has no files to divide: each worker draws all and takes its share of a batch.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return batches.map(load).prefetch(_BATCHES_AHEAD).with_options(options)
