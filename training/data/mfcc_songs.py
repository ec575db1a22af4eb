"""Read and write additional training songs without audio, given by MFCC of some of their frames.

Music often cannot be redistributed, but its features can. ``mfcc_songs.npz`` in the data set
contains the frames and genres of such songs. It also lists the groups of the data set's songs that
each one is related to (same song, common artist, or duplicate), so that splits can exclude it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from pocketgenre.training.data.dataset import MFCC_SONGS_FILE, Dataset
from pocketgenre.training.data.groups import SongNames, artist_edges, connected_groups
from pocketgenre.training.data.labelled_songs import LabelledSong
from pocketgenre.training.errors import DataError

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class MfccSongs:
    """Songs without audio, given by their MFCC.

    Attributes
    ----------
    frames : float32 [shape=(songs, frames, coefficients)], about every third frame of each song,
        in order of time
    targets : int64 [shape=(songs,)], index of each song's genre in the data set's labels
    related : int64 [shape=(pairs, 2)], position of a song and a related group of the data set
    """

    frames: NDArray[np.float32]
    targets: IntArray
    related: IntArray

    def unrelated_to(self, groups: IntArray) -> IntArray:
        """Return the positions of the songs that are related to none of the groups."""
        related = self.related[np.isin(self.related[:, 1], groups), 0]
        return np.setdiff1d(np.arange(len(self.targets)), related)

    def save(self, folder: Path) -> None:
        """Write the songs to the folder of a data set."""
        temporary = folder / f"part-{MFCC_SONGS_FILE}"
        np.savez(temporary, frames=self.frames, targets=self.targets, kin=self.related)
        temporary.replace(folder / MFCC_SONGS_FILE)

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """Read the songs from the folder of a data set; None if the data set has no such file.

        Raises
        ------
        DataError
            if the file is damaged.
        """
        path = folder / MFCC_SONGS_FILE
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as stored:
                return cls(stored["frames"], stored["targets"], stored["kin"])
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise DataError(f"{path} is damaged: {error}; prepare the data set again.") from error


def read_mfcc_songs(
    path: Path, dataset: Dataset, duplicates: Iterable[tuple[str, str]]
) -> MfccSongs:
    """Read additional songs, and find the groups of a data set that they are related to.

    Parameters
    ----------
    path : ``.npz`` file with ``mfcc``, float32 [shape=(songs, frames, coefficients)], and with
        ``song``, ``genre`` and ``artist`` of each song
    dataset : data set whose songs may be related; equal names mean the same song
    duplicates : pairs of names of repeated recordings, with or without audio

    Raises
    ------
    DataError
        if the file cannot be read, its arrays do not fit, or it has unknown genres.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            frames = stored["mfcc"].astype(np.float32)
            names, genres, artists = (stored[key].tolist() for key in ("song", "genre", "artist"))
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise DataError(f"{path} cannot be read as MFCC of songs: {error}.") from error
    expected = dataset.feature_config.n_coefficients
    if not frames.shape[:1] == (len(names),) == (len(genres),) == (len(artists),):
        raise DataError(f"{path} must have mfcc, song, genre and artist of equal length.")
    if frames.ndim != 3 or frames.shape[2] != expected or not np.isfinite(frames).all():
        raise DataError(f"{path} must have finite mfcc of the shape (songs, frames, {expected}).")
    unknown = sorted(set(genres) - set(dataset.labels))
    if unknown:
        raise DataError(f"{path} has genres that the data set lacks: {', '.join(unknown)}.")
    songs = [
        LabelledSong(name, Path(), genre, artist.strip())
        for name, genre, artist in zip(names, genres, artists, strict=True)
    ]
    targets = np.array([dataset.labels.index(genre) for genre in genres])
    return MfccSongs(frames, targets, _related_groups(songs, dataset, duplicates))


def _related_groups(
    songs: Sequence[LabelledSong], dataset: Dataset, duplicates: Iterable[tuple[str, str]]
) -> IntArray:
    """Return pairs of song and related group; names are compared without their folders."""
    dataset_names, names, offset = SongNames(dataset.songs), SongNames(songs), len(dataset.songs)

    def find(name: str) -> list[int]:
        in_dataset = dataset_names.find(name) or dataset_names.find_by_stem(name)
        return in_dataset + [offset + i for i in names.find(name) or names.find_by_stem(name)]

    first: dict[int, int] = {}
    edges = [(first.setdefault(song.group, i), i) for i, song in enumerate(dataset.songs)]
    edges += artist_edges([*dataset.songs, *songs])
    for i, song in enumerate(songs, start=offset):
        edges += [(i, same) for same in dataset_names.find_by_stem(song.name)]
    for one, other in duplicates:
        edges += product(find(one), find(other))
    components = connected_groups(offset + len(songs), edges)
    of_dataset, of_songs = components[:offset], components[offset:]
    rows = [
        (position, group)
        for position, component in enumerate(of_songs)
        for group in np.unique(dataset.song_groups[of_dataset == component])
    ]
    return np.array(rows, dtype=np.int64).reshape(-1, 2)
