"""Which segments calibrate the ranges of the int8 activations."""

import numpy as np
from numpy.typing import NDArray

from training.dataset import Dataset
from training.songs import DataError

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
