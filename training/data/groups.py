"""Which songs never part in a split: those of an artist, and copies of a recording.

A network that has heard one of them would be praised for recognising a voice or a recording.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pocketgenre.training.data.songs import LabelledSong, plain_name, without_suffix

IntArray = NDArray[np.int64]

Edge = tuple[int, int]
"""Positions of two songs that belong together."""


def group_songs(
    songs: Sequence[LabelledSong], duplicates: Iterable[tuple[str, str]] = ()
) -> list[LabelledSong]:
    """Number the groups: an artist in common (where known) or duplicates, and what follows.

    Parameters
    ----------
    songs : the songs to number, in any order
    duplicates : pairs of song names, as :meth:`Names.find` takes them
    """
    groups = join(len(songs), [*by_artist(songs), *by_name(Names(songs), duplicates)])
    return [replace(song, group=int(group)) for song, group in zip(songs, groups, strict=True)]


def join(count: int, edges: Sequence[Edge]) -> IntArray:
    """Number of each song's group, where some songs are joined, int64 [shape=(count,)]."""
    rows, columns = zip(*edges, strict=True) if edges else ((), ())
    graph = coo_array((np.ones(len(edges)), (rows, columns)), shape=(count, count))
    groups: IntArray = connected_components(graph, directed=False)[1].astype(np.int64)
    return groups


def by_artist(songs: Sequence[LabelledSong]) -> Iterator[Edge]:
    """Each song and the first of each of its artists, however they are written."""
    first: dict[str, int] = {}
    for i, song in enumerate(songs):
        for artist in song.artist.split(";"):
            name = unicodedata.normalize("NFKC", " ".join(artist.split())).casefold()
            if name:
                yield i, first.setdefault(name, i)


def by_name(names: "Names", pairs: Iterable[tuple[str, str]]) -> Iterator[Edge]:
    """The songs that the pairs name; a name of none is passed over."""
    for one, other in pairs:
        for a in names.find(one):
            yield from ((a, b) for b in names.find(other))


class Names:
    """Songs by their names."""

    def __init__(self, songs: Sequence[LabelledSong]) -> None:
        self._whole = _positions([song.name for song in songs])
        self._without_suffix = _positions([without_suffix(song.name) for song in songs])
        self._plain = _positions([plain_name(song.name) for song in songs])

    def find(self, name: str) -> list[int]:
        """Positions of the songs that a name may mean.

        It may lack the ending (then it means a song in each format) and the folder, where no
        song of another folder has the same name.
        """
        short = without_suffix(name)
        found = self._whole.get(name) or self._without_suffix.get(short)
        if found:
            return found
        alike = self._plain.get(short, [])
        return alike if len(alike) == 1 else []

    def alike(self, name: str) -> list[int]:
        """Positions of all songs of that name, whatever their folder and ending."""
        return self._plain.get(plain_name(name), [])


def _positions(names: Sequence[str]) -> dict[str, list[int]]:
    positions = defaultdict(list)
    for i, name in enumerate(names):
        positions[name].append(i)
    return dict(positions)
