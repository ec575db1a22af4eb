"""Read training batches from shards: each host reads its own shards, several at a time."""

from itertools import pairwise

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pocketgenre.text import count_of
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.sharded_array import ShardedFeatures
from pocketgenre.training.errors import DataError

IntArray = NDArray[np.int64]

_FILES_AT_ONCE = 16
_SHUFFLE_BUFFER = 8192
"""Segments in the shuffle buffer: 55 MB of MFCC."""


def sharded_training_batches(
    dataset: Dataset,
    segments: IntArray,
    batch_size: int,
    seed: int,
    first_epoch: int,
    host: int,
    hosts: int,
) -> tf.data.Dataset:
    """Generate endless batches of (features, targets) from every ``hosts``-th shard.

    Each epoch shuffles the files, their interleaving, and the segments within a buffer of a few
    thousand. The order depends only on the seed and the epoch's number, so that resumed
    training continues with the same batches. All hosts take the same number of steps: a host
    with fewer segments than its share of an epoch repeats some, a host with more omits some.

    Parameters
    ----------
    dataset : data set in shards
    segments : int64 [shape=(n,)], positions of the segments to train on
    batch_size : number of segments in a global batch, that is, of all hosts together
    seed : seed of the orders
    first_epoch : number of the first epoch
    host : number of this host
    hosts : number of hosts

    Raises
    ------
    DataError
        if there are fewer shards to train on than hosts.
    """
    features = dataset.features
    if not isinstance(features, ShardedFeatures):
        raise TypeError("the data set is not in shards")
    selected = np.zeros(len(features), bool)
    selected[segments] = True
    by_shard = [selected[start:stop] for start, stop in pairwise(features.starts)]
    used = [number for number, some in enumerate(by_shard) if some.any()]
    own = used[host::hosts]
    if len(used) < hosts:
        raise DataError(
            f"The data set has {count_of(len(used), 'shard')} to train on, too few for"
            f" {hosts} hosts; prepare it with a smaller --shards."
        )
    batches_per_epoch = epoch_steps(len(segments), batch_size, hosts) // hosts
    files = _describe_files(features, own)
    size = int(np.prod(features.shape[1:])) * features.dtype.itemsize
    targets = tf.constant(dataset.segment_targets)

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(
            tf.range(len(own)), seed=tf.stack([tf.cast(seed, tf.int64), number])
        )
        records = tf.data.Dataset.from_tensor_slices(order).interleave(
            lambda number: _read_records([tf.gather(column, number) for column in files], size),
            cycle_length=min(_FILES_AT_ONCE, len(own)),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        keep = tf.constant(selected)
        chosen = records.filter(lambda _, position: tf.gather(keep, position))
        shuffled = chosen.shuffle(
            _SHUFFLE_BUFFER, seed=number + seed, reshuffle_each_iteration=False
        )
        return shuffled.repeat().batch(batch_size).take(batches_per_epoch)

    def decode(raw: tf.Tensor, positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        values = tf.reshape(tf.io.decode_raw(raw, tf.float32), (-1, *dataset.feature_config.shape))
        return values, tf.gather(targets, positions)

    batches = tf.data.Dataset.range(first_epoch, np.iinfo(np.int64).max).flat_map(epoch)
    options = tf.data.Options()
    # The shards are already divided among the hosts; each host takes its share of a batch.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    decoded = batches.map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return decoded.prefetch(tf.data.AUTOTUNE).with_options(options)


def epoch_steps(segments: int, batch_size: int, hosts: int = 1) -> int:
    """Return the number of steps in an epoch: a multiple of ``hosts``, enough for all segments."""
    return hosts * -(-segments // (batch_size * hosts))


def _describe_files(features: ShardedFeatures, numbers: list[int]) -> tuple[tf.Tensor, ...]:
    """Return the path, header size, first position and end position of shards, one tensor each."""
    paths = [str(features.files[number]) for number in numbers]
    headers = [features.shard(number).offset for number in numbers]  # type: ignore[attr-defined]
    starts = features.starts[numbers]
    ends = features.starts[np.add(numbers, 1)]
    return tf.constant(paths), tf.constant(headers, tf.int64), *map(tf.constant, (starts, ends))


def _read_records(file: list[tf.Tensor], size: int) -> tf.data.Dataset:
    """Read the segments of one shard as bytes, each with its position."""
    path, header, start, end = file
    raw = tf.data.FixedLengthRecordDataset(path, size, header_bytes=header)
    return tf.data.Dataset.zip((raw, tf.data.Dataset.range(start, end)))
