"""Read labelled songs from a folder for each genre, or from an index file."""

import csv
from dataclasses import dataclass
from pathlib import Path

from pocketgenre.constants import SONG_SUFFIXES
from pocketgenre.library.discovery import FolderListing
from pocketgenre.text import count_of
from pocketgenre.training.errors import DataError

KNOWN_CORRUPT = frozenset({"jazz.00054"})
"""GTZAN files known to be unreadable, by name without extension."""

DUPLICATES_FILE = "exact_duplicates.txt"
"""Optional file in the audio folder: pairs of repeated recordings, two names a line."""


@dataclass(frozen=True)
class LabelledSong:
    """A song with a known genre.

    Attributes
    ----------
    name : name that is unique within the data set, such as ``blues.00000``
    path : audio file, relative to the audio folder
    genre : true label
    artist : artists separated by semicolons; empty if unknown
    group : number of the group that splits keep together; -1 before grouping
    """

    name: str
    path: Path
    genre: str
    artist: str = ""
    group: int = -1


def songs_from_folders(audio: Path) -> list[LabelledSong]:
    """List the songs of a folder that contains a folder for each genre.

    Raises
    ------
    DataError
        if the folder does not exist, or a genre's folder contains no song.
    """
    if not audio.is_dir():
        raise DataError(f"{audio} is not a folder; it must contain a folder for each genre.")
    songs = []
    for folder in sorted(p for p in audio.iterdir() if p.is_dir() and p.name[0] != "."):
        files = sorted(
            p for p in folder.rglob("*") if p.suffix.lower() in SONG_SUFFIXES and p.name[0] != "."
        )
        if not files:
            raise DataError(f"The genre folder {folder} contains no song; add songs or remove it.")
        songs += [
            LabelledSong(
                name=p.relative_to(audio).as_posix(), path=p.relative_to(audio), genre=folder.name
            )
            for p in files
        ]
    return _validated(songs, audio)


def songs_from_listing(listing: FolderListing) -> list[LabelledSong]:
    """List the songs of an address that contains a folder for each genre.

    Raises
    ------
    DataError
        if the listing has fewer than two genre folders.
    """
    paths = [Path(file.path).relative_to(listing.folder) for file in listing.files]
    songs = [LabelledSong(p.as_posix(), p, p.parts[0]) for p in paths if len(p.parts) > 1]
    return _validated(songs, listing.folder)


def songs_from_index(index: Path) -> list[LabelledSong]:
    """Read songs from a CSV file with the columns path, song, genre and (optional) artist.

    Paths are relative to the audio folder and must stay inside it.

    Raises
    ------
    DataError
        if the file cannot be read as an index.
    """
    songs = []
    for number, row in enumerate(read_index_rows(index, {"path", "song", "genre"}), start=2):
        path = Path(row["path"] or "")
        if not row["song"] or not row["genre"] or not path.parts or is_outside(path):
            raise DataError(
                f"{index}, line {number}: a song name, a genre and a path inside the audio folder"
                " are required."
            )
        artist = (row.get("artist") or "").strip()
        songs.append(LabelledSong(row["song"], path, row["genre"], artist))
    return _validated(songs, index)


def read_index_rows(index: Path, required: set[str]) -> list[dict[str, str]]:
    """Read the rows of a CSV file that has at least the required columns.

    Raises
    ------
    DataError
        if the file cannot be read, or lacks a column.
    """
    try:
        with open(index, encoding="utf-8-sig", newline="") as file:  # Excel writes a BOM
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"The index {index} cannot be read: {error}.") from error
    missing = required - set(rows[0] if rows else ())
    if missing:
        raise DataError(f"The index {index} lacks the column {', '.join(sorted(missing))}.")
    return rows


def is_outside(path: Path) -> bool:
    """Check whether a path of an index leads out of the audio folder."""
    return path.is_absolute() or ".." in path.parts


def read_duplicates(path: Path) -> list[tuple[str, str]]:
    """Read pairs of song names, two a line, separated by a tab or else by spaces.

    Raises
    ------
    DataError
        if the file cannot be read, or a line is not a pair.
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
            raise DataError(f"{path}: the line {line!r} must contain two names separated by a tab.")
        if names:
            pairs.append((names[0], names[1]))
    return pairs


def read_song_names(file: Path) -> list[str]:
    """Read song names from the column ``song`` of a CSV file, or else one name a line.

    Raises
    ------
    DataError
        if the file cannot be read, or contains no name.
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


def stem(name: str) -> str:
    """Return a song's name without folder and extension."""
    return Path(without_suffix(name)).name


def without_suffix(name: str) -> str:
    """Return a song's name without its audio extension; other names are unchanged."""
    path = Path(name)
    return str(path.with_suffix("")) if path.suffix.lower() in SONG_SUFFIXES | {".au"} else name


def _validated(songs: list[LabelledSong], source: Path) -> list[LabelledSong]:
    """Drop known corrupt files, and check that names, files and genres are usable."""
    songs = [song for song in songs if stem(song.name) not in KNOWN_CORRUPT]
    if len({song.name for song in songs}) < len(songs):
        raise DataError(f"{source} names a song twice.")
    if len({song.path for song in songs}) < len(songs):
        raise DataError(f"{source} names a file twice.")
    genres = {song.genre for song in songs}
    if len(genres) < 2:
        raise DataError(
            f"{source} contains {count_of(len(genres), 'genre')}; training needs at least two."
        )
    return songs
