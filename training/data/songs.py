"""Labelled songs: a folder a genre, or an index file."""

import csv
from dataclasses import dataclass
from pathlib import Path

from pocketgenre.constants import SONG_SUFFIXES
from pocketgenre.errors import PocketGenreError
from pocketgenre.library.discovery import FolderListing

KNOWN_CORRUPT = frozenset({"jazz.00054"})
"""GTZAN files known to be unreadable, by name without ending."""

DUPLICATES_FILE = "exact_duplicates.txt"
"""Looked for in the folder of the audio: pairs of repeated recordings, two names a line."""


class DataError(PocketGenreError):
    """A data set or what it is made from cannot be used."""


@dataclass(frozen=True)
class LabelledSong:
    """A song whose genre is known.

    Attributes
    ----------
    name : unique within the data set, such as ``blues.00000``
    path : the audio file, relative to the audio folder
    genre : its label
    artist : empty where unknown; several are separated by semicolons
    group : songs with the same number never part in a split
    """

    name: str
    path: Path
    genre: str
    artist: str = ""
    group: int = -1


def songs_from_folders(audio: Path) -> list[LabelledSong]:
    """Songs of a folder that holds a folder for each genre.

    Raises
    ------
    DataError
        there is no such folder, or a genre's folder holds no song.
    """
    if not audio.is_dir():
        raise DataError(f"{audio} is not a folder; it should hold a folder for each genre.")
    songs = []
    for folder in sorted(p for p in audio.iterdir() if p.is_dir() and p.name[0] != "."):
        files = sorted(
            p for p in folder.rglob("*") if p.suffix.lower() in SONG_SUFFIXES and p.name[0] != "."
        )
        if not files:
            raise DataError(f"The genre folder {folder} holds no song.")
        songs += [
            LabelledSong(
                name=p.relative_to(audio).as_posix(), path=p.relative_to(audio), genre=folder.name
            )
            for p in files
        ]
    return _usable(songs, audio)


def songs_from_listing(listing: FolderListing) -> list[LabelledSong]:
    """Songs of an address below which there is a folder for each genre.

    Raises
    ------
    DataError
        there are no such folders.
    """
    paths = [Path(file.path).relative_to(listing.folder) for file in listing.files]
    songs = [LabelledSong(p.as_posix(), p, p.parts[0]) for p in paths if len(p.parts) > 1]
    return _usable(songs, listing.folder)


def songs_from_index(index: Path) -> list[LabelledSong]:
    """Songs of a CSV file with the columns path, song, genre and (optional) artist.

    Paths are relative to the folder of the audio and must stay in it.

    Raises
    ------
    DataError
        the file can't be read as such an index.
    """
    try:
        with open(index, encoding="utf-8-sig", newline="") as file:  # as Excel writes it
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"The index {index} cannot be read: {error}.") from error
    missing = {"path", "song", "genre"} - set(rows[0] if rows else ())
    if missing:
        raise DataError(f"The index {index} lacks the column {', '.join(sorted(missing))}.")
    songs = []
    for number, row in enumerate(rows, start=2):
        path = Path(row["path"] or "")
        outside = not path.parts or path.is_absolute() or ".." in path.parts
        if not row["song"] or not row["genre"] or outside:
            raise DataError(f"{index}, line {number}: needs a song, a genre and a path below it.")
        artist = (row.get("artist") or "").strip()
        songs.append(LabelledSong(row["song"], path, row["genre"], artist))
    return _usable(songs, index)


def read_duplicates(path: Path) -> list[tuple[str, str]]:
    """Pairs of song names: two a line, a tab between them if there is one, else a space.

    Raises
    ------
    DataError
        it can't be read, or a line is not a pair.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error
    pairs = []
    for line in lines:
        text = line.partition("#")[0].strip()
        names = [name.strip() for name in text.split("\t")] if "\t" in text else text.split()
        if names and len(names) != 2:
            raise DataError(f"{path}: expected two names in the line {line!r}, a tab between them.")
        if names:
            pairs.append((names[0], names[1]))
    return pairs


def read_song_names(file: Path) -> list[str]:
    """Names of songs: the column ``song`` of a CSV file, or else a name a line.

    Raises
    ------
    DataError
        the file can't be read, or names no song.
    """
    try:
        with open(file, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
            lines = list(text)
        if "song" in next(csv.reader(lines), []):
            names = [row["song"] or "" for row in csv.DictReader(lines)]
        else:
            names = [line.strip() for line in lines]
    except (OSError, csv.Error) as error:
        raise DataError(f"The list of songs {file} cannot be read: {error}.") from error
    names = [name for name in names if name]
    if not names:
        raise DataError(f"The list {file} names no song.")
    return names


def _usable(songs: list[LabelledSong], source: Path) -> list[LabelledSong]:
    songs = [song for song in songs if plain_name(song.name) not in KNOWN_CORRUPT]
    if len({song.name for song in songs}) < len(songs):
        raise DataError(f"{source} names a song twice.")
    if len({song.path for song in songs}) < len(songs):
        raise DataError(f"{source} names a file twice.")
    genres = {song.genre for song in songs}
    if len(genres) < 2:
        raise DataError(f"{source} holds {len(genres)} genres; at least two are needed to learn.")
    return songs


def plain_name(name: str) -> str:
    """A song's name without folder and ending, as lists of recordings have it."""
    return Path(without_suffix(name)).name


def without_suffix(name: str) -> str:
    """A song's name without its ending."""
    path = Path(name)
    return str(path.with_suffix("")) if path.suffix.lower() in SONG_SUFFIXES | {".au"} else name
