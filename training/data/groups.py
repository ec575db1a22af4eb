"""Group songs by artist and duplicates so that splits keep them together.

Otherwise a network could predict genres by recognising an artist or a recording from its training
set.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pocketgenre.training.data.labelled_songs import (
    LabelledSong,
    comparable,
    stem,
    without_suffix,
)

IntArray = NDArray[np.int64]

Edge = tuple[int, int]
"""Positions of two songs that belong to the same group."""


def group_songs(
    songs: Sequence[LabelledSong], duplicates: Iterable[tuple[str, str]] = ()
) -> list[LabelledSong]:
    """Put songs that share an artist or are duplicates in one group, directly or indirectly.

    Parameters
    ----------
    songs : songs in any order
    duplicates : pairs of song names, as :meth:`SongNames.find` takes them

    Returns
    -------
    the same songs with their ``group`` set.
    """
    edges = [*artist_edges(songs), *duplicate_edges(SongNames(songs), duplicates)]
    groups = connected_groups(len(songs), edges)
    return [replace(song, group=int(group)) for song, group in zip(songs, groups, strict=True)]


def connected_groups(count: int, edges: Sequence[Edge]) -> IntArray:
    """Return the connected component of each of ``count`` songs, int64 [shape=(count,)]."""
    rows, columns = zip(*edges, strict=True) if edges else ((), ())
    graph = coo_array((np.ones(len(edges)), (rows, columns)), shape=(count, count))
    groups: IntArray = connected_components(graph, directed=False)[1].astype(np.int64)
    return groups


def artist_edges(songs: Sequence[LabelledSong]) -> Iterator[Edge]:
    """Connect each song with the first song of each of its artists.

    Artists are compared without regard to case, spaces and the form of accents.
    """
    first: dict[str, int] = {}
    for i, song in enumerate(songs):
        for artist in song.artist.split(";"):
            name = comparable(artist)
            if name:
                yield i, first.setdefault(name, i)


def duplicate_edges(names: "SongNames", pairs: Iterable[tuple[str, str]]) -> Iterator[Edge]:
    """Connect the songs that the pairs name; unknown names are ignored."""
    for one, other in pairs:
        for a in names.find(one):
            yield from ((a, b) for b in names.find(other))


class SongNames:
    """Positions of songs by their names.

    Parameters
    ----------
    songs : songs in the order that positions refer to
    """

    def __init__(self, songs: Sequence[LabelledSong]) -> None:
        self._by_name = _positions([song.name for song in songs])
        self._by_name_without_suffix = _positions([without_suffix(song.name) for song in songs])
        self._by_stem = _positions([stem(song.name) for song in songs])

    def find(self, name: str) -> list[int]:
        """Return the positions of the songs that a name refers to.

        The name may lack the extension; it then refers to the song in every format. It may lack
        the folder if no other folder has a song of the same name.
        """
        short = without_suffix(name)
        found = self._by_name.get(name) or self._by_name_without_suffix.get(short)
        if found:
            return found
        candidates = self._by_stem.get(short, [])
        return candidates if len(candidates) == 1 else []

    def find_by_stem(self, name: str) -> list[int]:
        """Return the positions of all songs of a name, in any folder and any format."""
        return self._by_stem.get(stem(name), [])


def _positions(names: Sequence[str]) -> dict[str, list[int]]:
    positions = defaultdict(list)
    for i, name in enumerate(names):
        positions[name].append(i)
    return dict(positions)
