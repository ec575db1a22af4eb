"""Which segments calibrate the ranges of the int8 activations."""

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.songs import DataError

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


def calibration_segments(dataset: Dataset, among: IntArray, count: int, seed: int) -> IntArray:
    """Positions of ``count`` segments, evenly by genre, without repetition.

    Parameters
    ----------
    dataset : where they are from
    among : int64 [shape=(n,)], positions to draw from
    count : how many to draw; all, if there are fewer
    seed : the same draws the same

    Raises
    ------
    DataError
        there are none to draw from.
    """
    if not len(among):
        raise DataError("There are no segments to calibrate int8 with; the data set is empty.")
    targets = dataset.segment_targets[among]
    rng = np.random.default_rng(seed)
    queues = [rng.permutation(np.flatnonzero(targets == genre)) for genre in np.unique(targets)]
    longest = max(map(len, queues))
    turns = [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]
    return among[np.sort(np.array(turns[:count], dtype=np.int64))]


def typical(core: keras.Model, segments: FloatArray, genres: IntArray) -> IntArray:
    """The half of each genre's segments that are least extreme in any tensor of a network.

    One segment far louder than the others in one tensor stretches that tensor's scale, and all
    others pay with their resolution; a deep network has many tensors, and each its own loudest.

    Parameters
    ----------
    core : the network
    segments : float32 [shape=(n, frames, coefficients)], what it takes
    genres : int64 [shape=(n,)]

    Returns
    -------
    int64 [shape=(n / 2 rounded up by genre,)]
        positions among the segments, rising
    """
    seen = _extremes(core, segments)
    ranks = seen.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    order = ranks.max(axis=1).argsort(kind="stable")
    of_genres = [order[genres[order] == genre] for genre in np.unique(genres)]
    return np.sort(np.concatenate([mine[: (len(mine) + 1) // 2] for mine in of_genres]))


def _extremes(core: keras.Model, segments: FloatArray) -> FloatArray:
    """Maximum and negated minimum of every tensor, float32 [shape=(segments, 2 * tensors)]."""

    def see(segment: tf.Tensor) -> tf.Tensor:
        core(segment, training=False)
        operations = tf.compat.v1.get_default_graph().get_operations()  # of nested models too
        tensors = [t for operation in operations for t in operation.outputs]
        tensors = [t for t in tensors if t.dtype == tf.float32 and t.shape.rank]
        highs = [tf.reduce_max(t) for t in tensors]
        return tf.stack(highs + [-tf.reduce_min(t) for t in tensors])

    ask = tf.function(see)
    seen = np.stack([ask(segment[np.newaxis]).numpy() for segment in segments])
    return seen[:, seen.std(axis=0) > 0]  # weights are the same for all
