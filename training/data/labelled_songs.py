"""Read labelled songs from a folder for each genre, or from an index file."""

import csv
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pocketgenre.constants import NOT_MUSIC, SONG_SUFFIXES, UNCERTAIN
from pocketgenre.library.discovery import FolderListing
from pocketgenre.models.model_card import MAX_LABEL_LENGTH
from pocketgenre.text import count_of, printable
from pocketgenre.training.errors import DataError

MUSIC = "music"
"""Genre of music whose genre is unknown, in a data set for the label ``not-music``."""

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


def songs_from_listing(listing: FolderListing) -> list[LabelledSong]:
    """List the songs of a folder or an address that contains a folder for each genre.

    Files outside of the genre folders are left out.

    Raises
    ------
    DataError
        if the name of a genre folder is unusable.
    """
    paths = [Path(file.path).relative_to(listing.folder) for file in listing.files]
    songs = [LabelledSong(p.as_posix(), p, p.parts[0]) for p in paths if len(p.parts) > 1]
    return _with_checked_genres(songs, listing.folder)


def songs_from_index(index: Path) -> list[LabelledSong]:
    """Read songs from a CSV file with the columns path, song, genre and (optional) artist.

    Paths are relative to the audio folder and must stay inside it.

    Raises
    ------
    DataError
        if the file cannot be read as an index.
    """
    rows = read_index_rows(index, {"path", "song", "genre"})
    songs = []
    for number, row in enumerate(rows, start=2):
        path = Path(row["path"] or "")
        if not row["song"] or not row["genre"] or not path.parts or is_outside(path):
            raise DataError(
                f"{index}, line {number}: a song name, a genre and a path inside the audio folder"
                " are required."
            )
        artist = (row.get("artist") or "").strip()
        songs.append(LabelledSong(row["song"], path, row["genre"], artist))
    _require_unique("song", [song.name for song in songs], index)
    _require_unique("file", [str(song.path) for song in songs], index)
    songs = _with_checked_genres(songs, index)
    require_two_genres(songs, index)
    return songs


def require_two_genres(songs: Sequence[LabelledSong], source: Path) -> None:
    """Refuse songs of fewer than two genres.

    Raises
    ------
    DataError
        with the number of genres.
    """
    genres = {song.genre for song in songs}
    if len(genres) < 2:
        raise DataError(
            f"{source} contains {count_of(len(genres), 'genre')}; training needs at least two."
        )


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


def comparable(name: str) -> str:
    """Return a name in a form without case, repeated spaces and forms of accents."""
    return unicodedata.normalize("NFKC", " ".join(name.split())).casefold()


def _require_unique(noun: str, values: Sequence[str], index: Path) -> None:
    """Refuse an index that names something twice.

    Raises
    ------
    DataError
        with the two lines.
    """
    first: dict[str, int] = {}
    for number, value in enumerate(values, start=2):
        if value in first:
            raise DataError(
                f"{index} names the {noun} {printable(value)} twice, in lines {first[value]} and"
                f" {number}; remove one."
            )
        first[value] = number


def _with_checked_genres(songs: Sequence[LabelledSong], source: Path) -> list[LabelledSong]:
    """Return the songs with each genre in one spelling.

    Spaces at the ends, repeated spaces, and the form of accents are folded.

    Raises
    ------
    DataError
        if a genre's name is unusable.
    """
    spelling = {genre: _folded(genre, source) for genre in {song.genre for song in songs}}
    _require_distinct(spelling.values(), source)
    genres = set(spelling.values())
    if UNCERTAIN in genres or (NOT_MUSIC in genres and genres != {MUSIC, NOT_MUSIC}):
        name = UNCERTAIN if UNCERTAIN in genres else NOT_MUSIC
        raise DataError(
            f"{source} has the genre {name}, a label that songs get in place of a genre; rename"
            " it" + ("." if name == UNCERTAIN else ", or see train-model --not-music.")
        )
    return [replace(song, genre=spelling[song.genre]) for song in songs]


def _folded(genre: str, source: Path) -> str:
    folded = unicodedata.normalize("NFC", " ".join(genre.split()))
    controls = [c for c in genre if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]
    if controls or not folded.isprintable() or not 0 < len(folded) <= MAX_LABEL_LENGTH:
        raise DataError(
            f"{source} has the genre '{printable(genre)}'; a genre needs a name of 1 to"
            f" {MAX_LABEL_LENGTH} characters, without line breaks and control characters."
        )
    return folded


def _require_distinct(genres: Iterable[str], source: Path) -> None:
    first: dict[str, str] = {}
    for genre in sorted(set(genres)):
        other = first.setdefault(comparable(genre), genre)
        if other != genre:
            raise DataError(
                f"{source} spells a genre in two ways, {other} and {genre}; choose one of them."
            )
