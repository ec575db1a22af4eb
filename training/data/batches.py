"""Read batches from a memory-mapped feature file.

Memory does not grow with the data set: only the segments' positions (8 bytes each) and a few
batches are in memory; the operating system caches the file.
"""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pocketgenre.training.data.dataset import Dataset

IntArray = NDArray[np.int64]

_PREFETCHED_BATCHES = 4
_EVALUATION_BATCH = 32  # segments; a wide network would need 8 GB for 256


def training_batches(
    dataset: Dataset, segments: IntArray, batch_size: int, seed: int, first_epoch: int = 0
) -> tf.data.Dataset:
    """Generate endless batches of (features, targets), shuffled in each epoch.

    The order of an epoch depends only on the seed and the epoch's number, so that resumed
    training continues with the same batches.

    Parameters
    ----------
    dataset : data set
    segments : int64 [shape=(n,)], positions of the segments to train on
    batch_size : number of segments in a batch; the last batch of an epoch may be smaller
    seed : seed of the orders
    first_epoch : number of the first epoch
    """

    def positions() -> Iterator[IntArray]:
        epoch = first_epoch
        while True:
            order = np.random.default_rng((seed, epoch)).permutation(segments)
            for start in range(0, len(order), batch_size):
                yield order[start : start + batch_size]
            epoch += 1

    spec = tf.TensorSpec((None,), tf.int64)
    return _load(tf.data.Dataset.from_generator(positions, output_signature=spec), dataset)


def evaluation_batches(dataset: Dataset, segments: IntArray) -> tf.data.Dataset:
    """Generate batches of (features, targets) once, in the order of ``segments``."""
    return _load(tf.data.Dataset.from_tensor_slices(segments).batch(_EVALUATION_BATCH), dataset)


def _load(batches: tf.data.Dataset, dataset: Dataset) -> tf.data.Dataset:
    """Replace batches of positions by batches of (features, targets)."""
    features, targets = dataset.features, dataset.segment_targets

    def gather(positions: IntArray) -> tuple[NDArray[np.float32], IntArray]:
        return features[positions], targets[positions]

    def load(positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        x, y = tf.numpy_function(gather, [positions], (tf.float32, tf.int64))
        x.set_shape((None, *dataset.feature_config.shape))
        y.set_shape((None,))
        return x, y

    options = tf.data.Options()
    # A generator has no files to divide: each worker generates all batches and takes its share.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return batches.map(load).prefetch(_PREFETCHED_BATCHES).with_options(options)
