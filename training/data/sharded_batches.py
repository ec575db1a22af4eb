"""Batches from shards: each host reads its own, several at a time, past Python."""

from itertools import pairwise

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.sharded_array import ShardedFeatures
from pocketgenre.training.data.songs import DataError

IntArray = NDArray[np.int64]

_FILES_AT_ONCE = 16
_SHUFFLED = 8192
"""Segments that wait to be drawn by chance: 55 MB of MFCC."""


def shard_batches(
    dataset: Dataset,
    segments: IntArray,
    batch_size: int,
    seed: int,
    first_epoch: int,
    host: int,
    hosts: int,
) -> tf.data.Dataset:
    """Endless batches of (features, targets), of every ``hosts``-th shard.

    Each epoch has an order of its own: of the files, of how they mingle, and within a window of
    some thousand segments. It depends on the seed and the epoch's number alone, so that a training
    that is resumed sees what it would have seen. A host whose shards hold less than its share of
    an epoch begins them again, one with more leaves some out of it: all take as many steps.

    Parameters
    ----------
    dataset : in shards
    segments : int64 [shape=(n,)], positions of those to learn from
    batch_size : segments in a batch of all hosts
    seed : of the orders
    first_epoch : number of the epoch to begin with
    host : number of this one
    hosts : how many there are

    Raises
    ------
    DataError
        a host would have nothing to learn from.
    """
    features = dataset.features
    if not isinstance(features, ShardedFeatures):
        raise TypeError("the data set is not in shards")
    wanted = np.zeros(len(features), bool)
    wanted[segments] = True
    inside = [wanted[a:b] for a, b in pairwise(features.starts)]
    full = [number for number, some in enumerate(inside) if some.any()]
    mine = full[host::hosts]
    if not full[hosts - 1 :]:
        raise DataError(
            f"There are {len(full)} shards to learn from, too few for {hosts} hosts; prepare the"
            " data set with a smaller --shards."
        )
    batches_an_epoch = epoch_steps(len(segments), batch_size, hosts) // hosts
    files = _files(features, mine)
    size = int(np.prod(features.shape[1:])) * features.dtype.itemsize
    targets = tf.constant(dataset.segment_targets)

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(
            tf.range(len(mine)), seed=tf.stack([tf.cast(seed, tf.int64), number])
        )
        records = tf.data.Dataset.from_tensor_slices(order).interleave(
            lambda number: _records([tf.gather(column, number) for column in files], size),
            cycle_length=min(_FILES_AT_ONCE, len(mine)),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        keep = tf.constant(wanted)
        chosen = records.filter(lambda _, position: tf.gather(keep, position))
        shuffled = chosen.shuffle(_SHUFFLED, seed=number + seed, reshuffle_each_iteration=False)
        return shuffled.repeat().batch(batch_size).take(batches_an_epoch)

    def decode(raw: tf.Tensor, positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        values = tf.reshape(tf.io.decode_raw(raw, tf.float32), (-1, *dataset.feature_config.shape))
        return values, tf.gather(targets, positions)

    batches = tf.data.Dataset.range(first_epoch, np.iinfo(np.int64).max).flat_map(epoch)
    options = tf.data.Options()
    # The shards are divided already; of each batch, a host takes its share.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    decoded = batches.map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return decoded.prefetch(tf.data.AUTOTUNE).with_options(options)


def epoch_steps(segments: int, batch_size: int, hosts: int = 1) -> int:
    """Steps in which ``hosts`` hosts see so many segments about once, as many batches each."""
    return hosts * -(-segments // (batch_size * hosts))


def _files(features: ShardedFeatures, numbers: list[int]) -> tuple[tf.Tensor, ...]:
    """Of some shards: path, bytes before the first segment, position of that, and of the end."""
    paths = [str(features.files[number]) for number in numbers]
    headers = [features.shard(number).offset for number in numbers]  # type: ignore[attr-defined]
    starts = features.starts[numbers]
    ends = features.starts[np.add(numbers, 1)]
    return tf.constant(paths), tf.constant(headers, tf.int64), *map(tf.constant, (starts, ends))


def _records(file: list[tf.Tensor], size: int) -> tf.data.Dataset:
    """The segments of one shard as bytes, each with its position."""
    path, header, start, end = file
    raw = tf.data.FixedLengthRecordDataset(path, size, header_bytes=header)
    return tf.data.Dataset.zip((raw, tf.data.Dataset.range(start, end)))
