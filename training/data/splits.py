"""Which segments are learned from and which are judged on.

``songs`` (the default): songs of one group (artist, duplicates) stay together, genres are
spread evenly. ``segments``: the published protocol, a random split of segments, which puts
parts of nearly every song on both sides. Its figures measure memory, not judgement.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from pocketgenre.cli.console import printable
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.songs import DataError

Protocol = Literal["songs", "segments"]

PROTOCOLS: dict[str, str] = {
    "songs": "split by song, artists and duplicates kept together",
    "segments": "split by segment as published: LEAKS parts of a song into both sides",
}

IntArray = NDArray[np.int64]

_HELD_BACK = 8


@dataclass(frozen=True)
class Split:
    """Positions of segments, int64 [shape=(n,)] each.

    Attributes
    ----------
    train : learned from
    test : evaluated on; may be empty
    validation : loss computed after each epoch; may be empty
    """

    train: IntArray
    test: IntArray
    validation: IntArray


def split_segments(dataset: Dataset, protocol: str, parts: int, seed: int) -> list[Split]:
    """Cut a data set into ``parts``; each is judged once by what the others teach.

    Raises
    ------
    DataError
        a genre has too few songs, groups or segments for so many parts.
    """
    if protocol == "segments":
        _require(dataset, dataset.segment_targets, np.arange(len(dataset.segment_targets)), parts)
        kfold = StratifiedKFold(parts, shuffle=True, random_state=seed)
        pairs = kfold.split(dataset.segment_targets, dataset.segment_targets)
        return [Split(train, test, validation=test) for train, test in pairs]
    _require(dataset, dataset.song_targets, dataset.song_groups, parts)
    grouped = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    pairs = grouped.split(dataset.song_targets, dataset.song_targets, dataset.song_groups)
    songs = [(_segments_of(dataset, train), _segments_of(dataset, test)) for train, test in pairs]
    return [Split(train, test, validation=test) for train, test in songs]


def without_parts(splits: Sequence[Split], count: int) -> Split:
    """Judge on the first ``count`` parts, and learn from the others."""
    test = np.sort(np.concatenate([split.test for split in splits[:count]]))
    train = np.setdiff1d(splits[0].train, test)
    return Split(train, test, validation=test)


def require_all_genres(dataset: Dataset, split: Split, name: str) -> None:
    """Refuse a split that teaches nothing of a genre.

    Raises
    ------
    DataError
        there is one: where artists cross genres they may all be judged.
    """
    lost = _genres_lost(dataset, split.train)
    if len(lost):
        raise DataError(
            f"{name} would learn nothing of {dataset.labels[lost[0]]}: all of its songs, or of"
            " its artists', are judged; take another --seed, or fewer parts."
        )


def leave_out_songs(dataset: Dataset, split: Split, names: Sequence[str]) -> Split:
    """Learn nothing from some songs, and judge them as before.

    Parameters
    ----------
    dataset : where the segments are from
    split : of all songs, so that it is the same as without leaving any out
    names : of the songs to leave out

    Raises
    ------
    DataError
        there is no such song, or all of a genre's are left out.
    """
    position = {song.name: i for i, song in enumerate(dataset.songs)}
    unknown = [name for name in names if name not in position]
    if unknown:
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        raise DataError(
            f"--leave-out names songs that are not in {dataset.folder}:"
            f" {', '.join(map(printable, unknown[:3]))}{more}."
        )
    left_out = [position[name] for name in names]
    kept = split.train[~np.isin(dataset.segment_songs[split.train], left_out)]
    lost = np.setdiff1d(dataset.segment_targets[split.train], dataset.segment_targets[kept])
    if len(lost):
        raise DataError(
            f"Without the songs that --leave-out names, no {dataset.labels[lost[0]]} is left to"
            " learn from."
        )
    return Split(kept, split.test, split.validation)


def hold_out_validation(dataset: Dataset, split: Split, protocol: str, seed: int) -> Split:
    """Take an eighth of what is learned from, to decide by it when to stop.

    It can't be the judged part: a network that is stopped where it does best there has
    been chosen by the very songs that it is judged on. Of the eighths the first is taken that
    leaves some of each genre.

    Raises
    ------
    DataError
        there are too few songs, of a genre or in all.
    """
    targets = dataset.segment_targets[split.train]
    owners = dataset.segment_songs[split.train]
    groups = dataset.song_groups[owners] if protocol == "songs" else np.arange(len(owners))
    parts = min(_HELD_BACK, len(np.unique(groups)), int(np.bincount(targets).max()))
    if parts < 2:
        raise DataError("There are too few songs to hold some back for --early-stopping.")
    kfold = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    for train, validation in kfold.split(split.train, targets, groups):
        if not len(_genres_lost(dataset, split.train[train])):
            return Split(split.train[train], split.test, split.train[validation])
    raise DataError("There is a genre of too few songs to hold some back for --early-stopping.")


def _genres_lost(dataset: Dataset, train: IntArray) -> IntArray:
    """Genres that none of the segments is of."""
    return np.setdiff1d(np.arange(len(dataset.labels)), dataset.segment_targets[train])


def _segments_of(dataset: Dataset, songs: Sequence[int] | IntArray) -> IntArray:
    return np.flatnonzero(np.isin(dataset.segment_songs, songs))


def _require(dataset: Dataset, targets: IntArray, groups: IntArray, parts: int) -> None:
    """Each genre needs at least two groups (one to learn from), and the whole as many as parts."""
    for target, label in enumerate(dataset.labels):
        found = len(np.unique(groups[targets == target]))
        if found < 2:
            raise DataError(
                f"{label} has only {found} group of songs (one artist, say): it cannot be learned"
                " from one and judged on another; add songs of other artists."
            )
    largest = int(np.bincount(targets).max())
    if len(np.unique(groups)) < parts or largest < parts:
        raise DataError(
            f"There are too few songs, or groups of songs, for {parts} parts; take fewer folds,"
            " or a --validation of 0.5."
        )
