"""A song's genre as it stands in its file, to the byte."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pocketgenre.errors import PocketGenreError


class TagError(PocketGenreError):
    """Why a song's genre can't be written; the sentence goes on after the song's name."""


@dataclass(frozen=True)
class GenreTag:
    """What a file holds of its genre.

    Attributes
    ----------
    kind : of tag, ``id3v2.3`` say; what one kind holds means nothing in another
    values : the frames, atoms or comments themselves; none where there is no genre
    """

    kind: str
    values: tuple[bytes, ...] = ()


class GenreFormat(Protocol):
    """How files of one format hold a genre. Paths may bear any name."""

    def read(self, path: Path) -> GenreTag:
        """What the file holds now."""

    def named(self, genre: str, tag: GenreTag) -> GenreTag:
        """What it would hold in the place of ``tag`` to be of this genre."""

    def text(self, tag: GenreTag) -> tuple[str, ...]:
        """The genres of a tag in words; none where they are blank."""

    def write(self, path: Path, tag: GenreTag) -> None:
        """Put ``tag`` in the place of what the file holds, in place."""


_SPELLED: dict[str, str] = {"hiphop": "Hip-Hop", "rnb": "R&B"}


def genre_name(label: str) -> str:
    """A model's label as tags spell it: ``Rock``, ``Hip-Hop``."""
    return _SPELLED.get(label, label[:1].upper() + label[1:])


def in_words(genres: Sequence[str]) -> str:
    """Genres as a person reads them."""
    return ", ".join(genres) or "no genre"
