"""Represent the genre tag of a file by its bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pocketgenre.errors import PocketGenreError


class TagError(PocketGenreError):
    """A genre can't be written. The message continues a sentence after the song's name."""


@dataclass(frozen=True)
class GenreTag:
    """Genre tag of a file.

    Attributes
    ----------
    kind : kind of tag, for example ``id3v2.3``; values of different kinds are not comparable
    values : bytes of the frames, atoms or comments; empty if there is no genre
    """

    kind: str
    values: tuple[bytes, ...] = ()


class GenreFormat(Protocol):
    """Reader and writer of the genre in files of one format."""

    def read(self, path: Path) -> GenreTag:
        """Read the genre tag of a file."""

    def with_genre(self, genre: str, tag: GenreTag) -> GenreTag:
        """Return the tag that holds ``genre``, to replace ``tag``."""

    def text(self, tag: GenreTag) -> tuple[str, ...]:
        """Return the genres of a tag as text, without blank ones."""

    def write(self, path: Path, tag: GenreTag) -> None:
        """Replace the genre tag of a file, in place."""


_SPELLINGS: dict[str, str] = {"hiphop": "Hip-Hop", "rnb": "R&B"}


def genre_name(label: str) -> str:
    """Return a model's label as tags spell it: ``Rock``, ``Hip-Hop``."""
    return _SPELLINGS.get(label, label[:1].upper() + label[1:])


def join_genres(genres: Sequence[str]) -> str:
    """Join genres for display."""
    return ", ".join(genres) or "no genre"
