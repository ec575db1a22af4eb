"""Read title, artist, album and year from the tags of a song."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mutagen

_MAX_LENGTH = 500  # of a text; longer ones are damage

_KEYS = {
    "title": ("title", "Title", "WM/Title"),
    "artist": ("artist", "Artist", "Author"),
    "album": ("album", "Album", "WM/AlbumTitle"),
    "album_artist": ("albumartist", "Album Artist", "AlbumArtist", "WM/AlbumArtist"),
    "date": ("date", "year", "Year", "WM/Year"),
}
"""Keys of mutagen's simple interface, of APEv2 and of ASF, by field."""


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
    try:
        tags = mutagen.File(str(path), easy=True)
    except Exception:  # libraries may raise anything for a damaged file
        return NO_METADATA
    if not tags:
        return NO_METADATA
    fields = {name: _first(tags, keys) for name, keys in _KEYS.items()}
    date = fields.pop("date") or ""
    year = re.search(r"\b(\d{4})\b", date)
    return Metadata(**fields, year=int(year[1]) if year else None)


def _first(tags: Any, keys: tuple[str, ...]) -> str | None:
    for key in keys:
        try:
            values = tags.get(key)
        except (KeyError, ValueError):  # a key that the format can't have
            continue
        for value in values if isinstance(values, list) else [values]:
            if text := str("" if value is None else value).strip("\0 \n\r\t"):
                return text[:_MAX_LENGTH]
    return None
