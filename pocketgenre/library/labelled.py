"""Songs with their labels, ready to be written down."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pocketgenre.library.label import NO_THRESHOLDS, SongLabel, Thresholds, label_song
from pocketgenre.library.song import CatalogSong


@dataclass(frozen=True, eq=False)
class LabelledSong:
    """A song of the catalogue and what it is called.

    Attributes
    ----------
    name : its path as it is shown: relative to the scanned folder, or absolute outside of it
    song : what the catalogue holds
    label : None where it could not be labelled, see :attr:`error`
    """

    name: Path
    song: CatalogSong
    label: SongLabel | None

    @property
    def error(self) -> str | None:
        """Why there is no label, or why the file can't be played any more."""
        return "it is no longer there" if self.song.state == "vanished" else self.song.error


def label_songs(
    songs: Iterable[CatalogSong],
    folder: Path | None,
    rule: Literal["majority", "probability"] = "majority",
    thresholds: Thresholds = NO_THRESHOLDS,
) -> Iterator[LabelledSong]:
    """Label each song by a vote; names are relative to ``folder``, if one is given, absolute."""
    for song in songs:
        label = None
        if song.probabilities is not None and len(song.probabilities):
            label = label_song(song.probabilities, song.labels, rule, thresholds)
        name = song.path
        if folder and name.is_relative_to(folder):
            name = name.relative_to(folder)
        yield LabelledSong(name, song, label)


def genres_of(songs: Iterable[LabelledSong]) -> tuple[str, ...]:
    """Every genre that the songs' models know, in the models' order."""
    known = dict.fromkeys(song.song.labels for song in songs)  # a handful at most
    return tuple(dict.fromkeys(label for labels in known for label in labels))
