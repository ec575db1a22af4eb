"""Songs of which nothing is known but MFCC at some of their frames: more to learn from.

Music can't be passed on, features of it can. Beside a data set stand in ``mfcc_songs.npz`` the
frames of such songs, their genres, and with which groups of the data set's songs each of them is
kin (the same song, an artist in common, or a copy), so that a split can leave those out.
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
from pocketgenre.training.data.groups import Names, by_artist, join
from pocketgenre.training.data.songs import DataError, LabelledSong

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class MfccSongs:
    """Songs known by their MFCC alone.

    Attributes
    ----------
    frames : float32 [shape=(songs, frames, coefficients)], about every third of the front end's,
        in order of time
    targets : int64 [shape=(songs,)], index of each one's genre in the data set's labels
    kin : int64 [shape=(pairs, 2)], a song's position and a group of the data set's songs
    """

    frames: NDArray[np.float32]
    targets: IntArray
    kin: IntArray

    def strangers(self, groups: IntArray) -> IntArray:
        """Positions of the songs that are kin with none of the groups."""
        related = self.kin[np.isin(self.kin[:, 1], groups), 0]
        return np.setdiff1d(np.arange(len(self.targets)), related)

    def save(self, folder: Path) -> None:
        """Write them beside a data set."""
        temporary = folder / f"part-{MFCC_SONGS_FILE}"
        np.savez(temporary, frames=self.frames, targets=self.targets, kin=self.kin)
        temporary.replace(folder / MFCC_SONGS_FILE)

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """Read those beside a data set; None if there are none.

        Raises
        ------
        DataError
            the file is damaged.
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
    """Read such songs and see how they are related to a data set's.

    Parameters
    ----------
    path : ``.npz`` file of ``mfcc`` float32 [shape=(songs, frames, coefficients)] and, for each
        song, ``song``, ``genre`` and ``artist``
    dataset : whose songs they may be kin with; a song of the same name is the same
    duplicates : pairs of names of repeated recordings, of either

    Raises
    ------
    DataError
        it can't be read as such, or knows other genres.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            frames = stored["mfcc"].astype(np.float32)
            names, genres, artists = (stored[key].tolist() for key in ("song", "genre", "artist"))
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise DataError(f"{path} cannot be read as MFCC of songs: {error}.") from error
    wanted = dataset.feature_config.n_coefficients
    if not frames.shape[:1] == (len(names),) == (len(genres),) == (len(artists),):
        raise DataError(f"{path} must hold as many mfcc as song, genre and artist.")
    if frames.ndim != 3 or frames.shape[2] != wanted or not np.isfinite(frames).all():
        raise DataError(f"{path} must hold numbers of the shape (songs, frames, {wanted}).")
    others = sorted(set(genres) - set(dataset.labels))
    if others:
        raise DataError(f"{path} knows genres that the data set doesn't: {', '.join(others)}.")
    songs = [
        LabelledSong(name, Path(), genre, artist.strip())
        for name, genre, artist in zip(names, genres, artists, strict=True)
    ]
    targets = np.array([dataset.labels.index(genre) for genre in genres])
    return MfccSongs(frames, targets, _kin(songs, dataset, duplicates))


def _kin(
    songs: Sequence[LabelledSong], dataset: Dataset, duplicates: Iterable[tuple[str, str]]
) -> IntArray:
    """Who is kin with which group; names are compared without folders, which may differ."""
    mine, theirs, first_of_theirs = Names(dataset.songs), Names(songs), len(dataset.songs)

    def called(name: str) -> list[int]:
        others = [first_of_theirs + i for i in theirs.find(name) or theirs.alike(name)]
        return (mine.find(name) or mine.alike(name)) + others

    first: dict[int, int] = {}
    edges = [(first.setdefault(song.group, i), i) for i, song in enumerate(dataset.songs)]
    edges += by_artist([*dataset.songs, *songs])
    for i, song in enumerate(songs, start=first_of_theirs):
        edges += [(i, one) for one in mine.alike(song.name)]
    for one, other in duplicates:
        edges += product(called(one), called(other))
    families = join(len(dataset.songs) + len(songs), edges)
    of_mine, of_theirs = families[:first_of_theirs], families[first_of_theirs:]
    rows = [
        (position, group)
        for position, family in enumerate(of_theirs)
        for group in np.unique(dataset.song_groups[of_mine == family])
    ]
    return np.array(rows, dtype=np.int64).reshape(-1, 2)
