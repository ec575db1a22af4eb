"""Represent the genre tag of a file by its bytes, and compare its text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pocketgenre.errors import PocketGenreError


class TagError(PocketGenreError):
    """A genre can't be written. The message continues a sentence after the song's name."""


class FileInUseError(TagError):
    """Another program writes, or may still write, into the file; it may be tagged later."""


@dataclass(frozen=True)
class GenreTag:
    """Genre tag of a file, or another field of its tags that holds genres.

    Attributes
    ----------
    kind : kind of tag, for example ``id3v2.3``; values of different kinds are not comparable
    values : bytes of the frames, atoms or comments; empty if there is no genre
    """

    kind: str
    values: tuple[bytes, ...] = ()


class GenreFormat(Protocol):
    """Reader and writer of one field in the tags of files of one format."""

    def read(self, path: Path) -> GenreTag:
        """Read the tag of a file."""

    def with_genres(self, genres: Sequence[str], tag: GenreTag) -> GenreTag:
        """Return the tag that holds ``genres``, to replace ``tag``."""

    def text(self, tag: GenreTag) -> tuple[str, ...]:
        """Return the genres of a tag as text, without blank ones."""

    def elsewhere(self, path: Path) -> tuple[str, ...]:
        """Return the genres in other places of the file, which players show and nobody writes."""

    def write(self, path: Path, tag: GenreTag) -> None:
        """Replace the tag of a file, in place."""


GENRE_FIELD = "genre"
"""Name of the field that holds the genre."""

GROUPING_FIELD = "grouping"
"""Name of the field by which players group songs; any other name is a field of the user's own."""

_OTHER_FIELDS = (
    "title subtitle titlesort version artist artists artistsort performer performers album"
    " albumsort albumartist albumartists albumartistsort composer composersort lyricist conductor"
    " arranger remixer author encodedby encoder encodersettings organization label publisher"
    " copyright license location contact website isrc barcode catalognumber asin media comment"
    " description lyrics unsyncedlyrics language date year originaldate originalyear track"
    " tracknumber tracktotal totaltracks disc discnumber disctotal totaldiscs discsubtitle"
    " discset compilation bpm length duration rating playcount cuesheet coverart"
    " metadatablockpicture"
)
"""Fields in which players show or store something else than a genre, without marks."""

_OTHER_PREFIXES = ("replaygain", "r128", "musicbrainz", "acoustid", "itunes", "fmps")


def holds_no_genre(field: str) -> bool:
    """Check whether players use a field for something else, such as the title."""
    letters = "".join(filter(str.isalnum, field.lower()))
    return letters in _OTHER_FIELDS.split() or letters.startswith(_OTHER_PREFIXES)


_SPELLINGS: dict[str, str] = {"hiphop": "Hip-Hop", "rnb": "R&B"}


def genre_name(label: str) -> str:
    """Return a model's label as tags spell it: ``Rock``, ``Hip-Hop``."""
    return _SPELLINGS.get(label, label[:1].upper() + label[1:])


def join_genres(genres: Sequence[str]) -> str:
    """Join genres for display."""
    return ", ".join(genres) or "no genre"


def is_same_text(one: Sequence[str], other: Sequence[str]) -> bool:
    """Check whether two tags hold the same genres, however their formats separate them."""
    return _split_all(one) == _split_all(other)


def _split_all(genres: Sequence[str]) -> list[str]:
    parts = (part.strip() for genre in genres for part in re.split(r"[;/]", genre))
    return [part for part in parts if part]
