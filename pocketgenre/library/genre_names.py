"""Rename genres as the user wants, for tags, playlists, lists and reports."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pocketgenre.constants import NOT_MUSIC, UNCERTAIN
from pocketgenre.errors import PocketGenreError
from pocketgenre.library.library_song import LibrarySong
from pocketgenre.library.tags.genre_tag import genre_name
from pocketgenre.prediction import SongPrediction
from pocketgenre.text import printable
from pocketgenre.toml_file import read_toml

_MIN_PROBABILITY = 0.2  # of a further genre in tags


@dataclass(frozen=True)
class GenreNames:
    """Names of genres.

    Attributes
    ----------
    names : name by label; an empty name for genres that get no tag and no playlist. Labels that
        are missing keep their usual names
    max_genres : number of genres in a tag; further ones have a mean probability of at least 0.2
    """

    names: Mapping[str, str] = field(default_factory=dict)
    max_genres: int = 1

    def name(self, label: str) -> str:
        """Return the name of a label in lists, playlists and reports."""
        return self.names.get(label) or label

    def in_tags(self, prediction: SongPrediction) -> tuple[str, ...]:
        """Return the genres to write into a song's tags; none if its own genre has no name."""
        further = [
            label
            for label, probability in prediction.top
            if probability >= _MIN_PROBABILITY and label not in (prediction.genre, NOT_MUSIC)
        ]
        own, *others = (
            self.names.get(label, genre_name(label)) for label in (prediction.genre, *further)
        )
        names = dict.fromkeys(name for name in (own, *others) if name)
        return tuple(names)[: self.max_genres] if own else ()

    def rename(self, songs: Iterable[LibrarySong]) -> list[LibrarySong]:
        """Return songs with their names of genres."""
        if not self.names:
            return list(songs)
        return [
            replace(song, own_genre=self.names[song.prediction.genre])
            if song.prediction and song.prediction.genre in self.names
            else song
            for song in songs
        ]


DEFAULT_NAMES = GenreNames()


def read_genre_names(file: Path | None, labels: Iterable[str]) -> dict[str, str]:
    """Read a file of names: TOML with a line such as ``hiphop = "Rap"`` or ``disco = false``.

    Parameters
    ----------
    file : file; None for no names of your own
    labels : genres of the models

    Raises
    ------
    PocketGenreError
        if the file can't be read, or names an unknown genre.
    """
    names: dict[str, str] = {}
    if file is None:
        return names
    known = [*labels, UNCERTAIN]
    for key, value in read_toml(file, "genre map").items():
        if value is not False and not (isinstance(value, str) and value.strip()):
            raise PocketGenreError(
                f"{file}: {printable(key)} needs a name in quotes, or false for no genre, such as"
                ' hiphop = "Rap".'
            )
        names[find_label(key, known)] = value.strip() if value else ""
    return names


def find_label(name: str, labels: Iterable[str], names: Mapping[str, str] | None = None) -> str:
    """Return the label that has a name, in any spelling: ``Hip-Hop`` is ``hiphop``.

    Raises
    ------
    PocketGenreError
        if there is none; names the most similar one, if one is similar.
    """
    return find_labels(name, labels, names)[0]


def find_labels(
    name: str, labels: Iterable[str], names: Mapping[str, str] | None = None
) -> list[str]:
    """Return all labels that have a name, see :func:`find_label`."""
    by_name: dict[str, list[str]] = {}
    labels = list(labels)
    for label in labels:
        texts = (label, genre_name(label), (names or {}).get(label, ""))
        for spelling in {_letters(text) for text in texts} - {""}:
            by_name.setdefault(spelling, []).append(label)
    if found := by_name.get(_letters(name)):
        return found
    similar = difflib.get_close_matches(_letters(name), by_name, 1)
    hint = f"did you mean {by_name[similar[0]][0]}? " if similar else ""
    raise PocketGenreError(
        f"There is no genre {printable(name)}; {hint}Genres: {', '.join(sorted(labels))}."
    )


def _letters(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())
