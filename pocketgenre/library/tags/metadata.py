"""Read title, artist, album and year from the tags of a song."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mutagen
from mutagen.apev2 import APEv2

from pocketgenre.library.tags.riff import read_riff_info

_MAX_LENGTH = 500  # of a text; longer ones are damage

_KEYS = {
    "title": ("title", "Title", "WM/Title", "TIT2", "INAM"),
    "artist": ("artist", "Artist", "Author", "TPE1", "IART"),
    "album": ("album", "Album", "WM/AlbumTitle", "TALB", "IPRD"),
    "album_artist": ("albumartist", "Album Artist", "AlbumArtist", "WM/AlbumArtist", "TPE2"),
    "date": ("date", "year", "Year", "WM/Year", "TDRC", "ICRD"),
}
"""Keys of mutagen's simple interface, of APEv2, of ASF, of ID3 in WAV and AIFF, and of RIFF INFO,
by field."""


@dataclass(frozen=True)
class Metadata:
    """Text fields of a song's tags; None for those that are missing."""

    title: str | None = None
    artist: str | None = None
    album: str | None = None
    album_artist: str | None = None
    year: int | None = None


NO_METADATA = Metadata()


def read_metadata(path: Path | str) -> Metadata:
    """Read the tags of a song; damaged or missing tags, and pipes and devices, have no fields."""
    if not Path(path).is_file():  # opening a pipe would wait for its writer
        return NO_METADATA
    sources = [tags for read in _READERS if (tags := _read_or_none(read, path))]
    fields = {
        name: next(filter(None, (_first(tags, keys) for tags in sources)), None)
        for name, keys in _KEYS.items()
    }
    date = fields.pop("date") or ""
    year = re.search(r"\b(\d{4})\b", date)
    return Metadata(**fields, year=int(year[1]) if year else None)


def _read_or_none(read: Callable[[Path], Any], path: Path | str) -> Any:
    try:
        return read(Path(path))
    except Exception:  # libraries may raise anything for a damaged file
        return None


_READERS: tuple[Callable[[Path], Any], ...] = (
    lambda path: mutagen.File(str(path), easy=True),
    lambda path: APEv2(str(path)),
    lambda path: dict(read_riff_info(path)),
)
"""Functions that read tags, those that players prefer first."""


def _first(tags: Any, keys: tuple[str, ...]) -> str | None:
    for key in keys:
        try:
            values = tags.get(key)
        except (KeyError, ValueError):  # a key that the format can't have
            continue
        values = getattr(values, "text", values)  # of an ID3 frame
        for value in values if isinstance(values, list) else [values]:
            if text := str("" if value is None else value).strip("\0 \n\r\t"):
                return text[:_MAX_LENGTH]
    return None
