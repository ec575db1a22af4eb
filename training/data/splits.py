"""Split the segments of a data set into train, test and validation sets.

``songs`` (the default): songs of one group (artist, duplicates) stay together, and genres are
stratified. ``segments``: the published protocol, a random split of segments, which puts segments
of nearly every song on both sides. Its figures measure memorisation, not generalisation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from pocketgenre.text import printable
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.errors import DataError

Protocol = Literal["songs", "segments"]

PROTOCOLS: dict[str, str] = {
    "songs": "split by song, artists and duplicates kept together",
    "segments": "split by segment as published: LEAKS parts of a song into both sides",
}

IntArray = NDArray[np.int64]

_VALIDATION_FOLDS = 8
"""One of this many folds of the train set is held out for early stopping."""


@dataclass(frozen=True)
class Split:
    """Positions of segments, int64 [shape=(n,)] each.

    Attributes
    ----------
    train : segments to train on
    test : segments to evaluate on; may be empty
    validation : segments whose loss is computed after each epoch; may be empty
    """

    train: IntArray
    test: IntArray
    validation: IntArray


def split_segments(dataset: Dataset, protocol: str, folds: int, seed: int) -> list[Split]:
    """Split a data set into folds; each fold is the test set of one split.

    Parameters
    ----------
    dataset : data set to split
    protocol : key of :data:`PROTOCOLS`
    folds : number of folds
    seed : seed of the random assignment

    Raises
    ------
    DataError
        if a genre has too few songs, groups or segments for the number of folds.
    """
    if protocol == "segments":
        positions = np.arange(len(dataset.segment_targets))
        _require_enough_groups(dataset, dataset.segment_targets, positions, folds)
        kfold = StratifiedKFold(folds, shuffle=True, random_state=seed)
        pairs = kfold.split(dataset.segment_targets, dataset.segment_targets)
        return [Split(train, test, validation=test) for train, test in pairs]
    _require_enough_groups(dataset, dataset.song_targets, dataset.song_groups, folds)
    grouped = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    pairs = grouped.split(dataset.song_targets, dataset.song_targets, dataset.song_groups)
    songs = [(_segments_of(dataset, train), _segments_of(dataset, test)) for train, test in pairs]
    return [Split(train, test, validation=test) for train, test in songs]


def hold_out_folds(splits: Sequence[Split], count: int) -> Split:
    """Test on the first ``count`` folds and train on the others."""
    test = np.sort(np.concatenate([split.test for split in splits[:count]]))
    train = np.setdiff1d(splits[0].train, test)
    return Split(train, test, validation=test)


def require_all_genres(dataset: Dataset, split: Split, name: str) -> None:
    """Refuse a split whose train set lacks a genre.

    Parameters
    ----------
    dataset : data set that is split
    split : split to check
    name : name of the split in the error message

    Raises
    ------
    DataError
        if the train set lacks a genre. Artists with songs of several genres can cause this.
    """
    missing = _missing_genres(dataset, split.train)
    if len(missing):
        raise DataError(
            f"{name} has no training songs of {dataset.labels[missing[0]]}: all of them, or all"
            " songs of their artists, are in its test set; take another --seed, or fewer folds."
        )


def leave_out_songs(dataset: Dataset, split: Split, names: Sequence[str]) -> Split:
    """Remove songs from the train set; test and validation set stay the same.

    Parameters
    ----------
    dataset : data set that is split
    split : split of all songs, so that it does not depend on the songs left out
    names : names of the songs to leave out

    Raises
    ------
    DataError
        if a song is unknown, or no song of a genre is left to train on.
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
            " train on."
        )
    return Split(kept, split.test, split.validation)


def hold_out_validation(dataset: Dataset, split: Split, protocol: str, seed: int) -> Split:
    """Move an eighth of the train set to the validation set, for early stopping.

    The test set must not decide when to stop: the network would be selected by the songs that it
    is evaluated on. The first eighth is taken that leaves every genre in the train set.

    Raises
    ------
    DataError
        if there are too few songs, of a genre or in total.
    """
    targets = dataset.segment_targets[split.train]
    owners = dataset.segment_songs[split.train]
    groups = dataset.song_groups[owners] if protocol == "songs" else np.arange(len(owners))
    folds = min(_VALIDATION_FOLDS, len(np.unique(groups)), int(np.bincount(targets).max()))
    if folds < 2:
        raise DataError("There are too few songs to hold some out for --early-stopping.")
    kfold = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for train, validation in kfold.split(split.train, targets, groups):
        if not len(_missing_genres(dataset, split.train[train])):
            return Split(split.train[train], split.test, split.train[validation])
    raise DataError("A genre has too few songs to hold some out for --early-stopping.")


def limit_songs(dataset: Dataset, split: Split, max_segments: int) -> Split:
    """Keep at most a number of segments of each song of the train set, spread over the song.

    Parameters
    ----------
    dataset : data set that is split
    split : split to limit
    max_segments : number of segments of a song; 0 for all
    """
    order = np.argsort(dataset.segment_songs[split.train], kind="stable")
    _, starts, counts = np.unique(
        dataset.segment_songs[split.train][order], return_index=True, return_counts=True
    )
    if not max_segments or counts.max() <= max_segments:
        return split
    kept = [
        start + np.unique(np.linspace(0, count - 1, min(count, max_segments)).round().astype(int))
        for start, count in zip(starts, counts, strict=True)
    ]
    return replace(split, train=np.sort(split.train[order[np.concatenate(kept)]]))


def _missing_genres(dataset: Dataset, segments: IntArray) -> IntArray:
    """Return the indices of the genres that none of the segments has."""
    return np.setdiff1d(np.arange(len(dataset.labels)), dataset.segment_targets[segments])


def _segments_of(dataset: Dataset, songs: Sequence[int] | IntArray) -> IntArray:
    return np.flatnonzero(np.isin(dataset.segment_songs, songs))


def _require_enough_groups(
    dataset: Dataset, targets: IntArray, groups: IntArray, folds: int
) -> None:
    """Require two groups of each genre (one to train on), and a group in total for each fold."""
    few = [
        label
        for target, label in enumerate(dataset.labels)
        if len(np.unique(groups[targets == target])) < 2
    ]
    if few:
        verb = "has" if len(few) == 1 else "have"
        raise DataError(
            f"{', '.join(few)} {verb} only 1 group of songs (such as one artist), and the train and"
            " the test set need one each; add songs of other artists."
        )
    largest = int(np.bincount(targets).max())
    if len(np.unique(groups)) < folds or largest < folds:
        raise DataError(
            f"There are too few songs, or groups of songs, for {folds} folds; take fewer folds,"
            " or a --validation of 0.5."
        )
