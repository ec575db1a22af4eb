"""Open a data set with which the label ``not-music`` is trained.

The data set has two genres. :data:`~pocketgenre.constants.NOT_MUSIC` is speech, noise and effects.
``music`` is music of unknown genre: without it, a network would classify all music that differs
from the songs as ``not-music``.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgenre.constants import NOT_MUSIC
from pocketgenre.training.data.dataset import Dataset, load_dataset
from pocketgenre.training.data.labelled_songs import MUSIC
from pocketgenre.training.errors import DataError


def load_not_music(folder: Path, dataset: Dataset) -> Dataset:
    """Open a data set of recordings that are not music, and of music of unknown genre.

    Parameters
    ----------
    folder : data set with the genres ``music`` and ``not-music``
    dataset : data set of songs with genres, whose features must have the same parameters

    Raises
    ------
    DataError
        if the folder is not a data set, has other genres or other features, or the songs already
        have the genre ``not-music``.
    """
    recordings = load_dataset(folder)
    if recordings.labels != (MUSIC, NOT_MUSIC):
        raise DataError(
            f"{folder} must have the genres {MUSIC} and {NOT_MUSIC}, not"
            f" {', '.join(recordings.labels)}."
        )
    if recordings.feature_config != dataset.feature_config:
        raise DataError(
            f"The features of {folder} and {dataset.folder} were computed with different"
            " parameters; prepare one of them again."
        )
    if NOT_MUSIC in dataset.labels:
        raise DataError(
            f"{dataset.folder} contains the genre {NOT_MUSIC} already; leave --not-music out."
        )
    return recordings


def with_not_music_label(dataset: Dataset) -> Dataset:
    """Return the data set of songs with the additional label ``not-music``, the last one."""
    return replace(dataset, more_labels=(NOT_MUSIC,))


def not_music_segments(recordings: Dataset) -> NDArray[np.bool_]:
    """Return True for each segment that is not music, bool [shape=(segments,)]."""
    is_not_music: NDArray[np.bool_] = recordings.segment_targets == recordings.labels.index(
        NOT_MUSIC
    )
    return is_not_music


def recording_weights(recordings: Dataset) -> NDArray[np.float64]:
    """Compute a weight for each segment, float64 [shape=(segments,)].

    The n segments of a song have the total weight of the square root of n, since they are similar.
    Segments that are not music are counted by group instead of by song. A group is, for example,
    all recordings of one source, or of one noise.
    """
    groups = recordings.song_groups[recordings.segment_songs]
    is_not_music = not_music_segments(recordings)
    owners = np.where(is_not_music, groups, groups.max() + 1 + recordings.segment_songs)
    weights: NDArray[np.float64] = 1 / np.sqrt(np.bincount(owners)[owners])
    return weights
