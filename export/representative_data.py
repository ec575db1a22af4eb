"""Select the representative segments that set the ranges of quantized activations."""

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.errors import DataError

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


def draw_segments(dataset: Dataset, candidates: IntArray, count: int, seed: int) -> IntArray:
    """Draw segments evenly by genre, without repetition.

    Parameters
    ----------
    dataset : data set that contains the segments
    candidates : int64 [shape=(n,)]
        positions to draw from
    count : number of segments to draw; all, if there are fewer
    seed : seed of the random generator

    Returns
    -------
    int64 [shape=(min(n, count),)]
        positions, ascending

    Raises
    ------
    DataError
        if there are no candidates.
    """
    if not len(candidates):
        raise DataError("There are no segments to calibrate int8 with; the data set is empty.")
    targets = dataset.segment_targets[candidates]
    rng = np.random.default_rng(seed)
    by_genre = [rng.permutation(np.flatnonzero(targets == genre)) for genre in np.unique(targets)]
    longest = max(map(len, by_genre))
    drawn = [segments[i] for i in range(longest) for segments in by_genre if i < len(segments)]
    return candidates[np.sort(np.array(drawn[:count], dtype=np.int64))]


def least_extreme_half(core: keras.Model, segments: FloatArray, genres: IntArray) -> IntArray:
    """Select the half of each genre's segments that are least extreme in any tensor of a network.

    One segment with far larger values than the others in one tensor widens the range of that
    tensor, and all others lose resolution. In a deep network, each of many tensors has another
    extreme segment.

    Parameters
    ----------
    core : network on standardised features
    segments : float32 [shape=(n, frames, coefficients)]
        inputs of the network
    genres : int64 [shape=(n,)]

    Returns
    -------
    int64 [shape=(n / 2 rounded up by genre,)]
        positions among the segments, ascending
    """
    extremes = _tensor_extremes(core, segments)
    ranks = extremes.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    order = ranks.max(axis=1).argsort(kind="stable")
    by_genre = [order[genres[order] == genre] for genre in np.unique(genres)]
    halves = [positions[: (len(positions) + 1) // 2] for positions in by_genre]
    return np.sort(np.concatenate(halves))


def _tensor_extremes(core: keras.Model, segments: FloatArray) -> FloatArray:
    """Compute maximum and negated minimum of all tensors, float32 [shape=(segments, values)]."""

    def extremes(segment: tf.Tensor) -> tf.Tensor:
        core(segment, training=False)
        # The graph also contains the operations of nested models.
        operations = tf.compat.v1.get_default_graph().get_operations()
        tensors = [t for operation in operations for t in operation.outputs]
        tensors = [t for t in tensors if t.dtype == tf.float32 and t.shape.rank]
        maxima = [tf.reduce_max(t) for t in tensors]
        return tf.stack(maxima + [-tf.reduce_min(t) for t in tensors])

    function = tf.function(extremes)
    rows = np.stack([function(segment[np.newaxis]).numpy() for segment in segments])
    return rows[:, rows.std(axis=0) > 0]  # weights are constant
