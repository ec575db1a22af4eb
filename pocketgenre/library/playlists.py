"""Write a playlist for each genre: M3U8, UTF-8, relative paths.

The second line of each playlist holds a hash of the rest. Only a playlist whose hash matches is
replaced or removed; playlists of other programs, and edited ones, stay unchanged.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pocketgenre.atomic_write import can_write_into, is_write_protected, write_atomic
from pocketgenre.constants import NOT_MUSIC, PLAYLIST_HASH_PREFIX, UNCERTAIN
from pocketgenre.errors import PocketGenreError
from pocketgenre.library.library_song import LibrarySong
from pocketgenre.text import printable

_HEADER = "#EXTM3U"


@dataclass(frozen=True)
class Playlists:
    """Playlists to write.

    Attributes
    ----------
    files : content by file name
    left_out : names of songs that no playlist can hold (line breaks, invalid UTF-8)
    """

    files: Mapping[str, bytes]
    left_out: Sequence[Path]


def make_playlists(
    songs: Iterable[LibrarySong], folder: Path, prefix: str | None = None
) -> Playlists:
    """Create a playlist for each genre that has songs, and one for uncertain songs.

    Parameters
    ----------
    songs : songs; those without a prediction, vanished ones and those that are no music are skipped
    folder : folder of the playlists, to which paths are relative
    prefix : text before the songs' names, which are then relative to the scanned folder, for
        players that need absolute paths
    """
    entries: dict[str, list[str]] = {}
    left_out: list[Path] = []
    base = os.path.realpath(folder)
    parents: dict[Path, str] = {}  # resolving costs a system call for each folder of a path
    for song in songs:
        if song.prediction is None or song.state != "labelled":
            continue
        if song.prediction.genre == NOT_MUSIC or song.own_genre == "":
            continue
        path = song.path
        if path.parent not in parents:
            parents[path.parent] = os.path.realpath(path.parent)
        if prefix is None:
            entry = _relative(os.path.join(parents[path.parent], path.name), base)  # noqa: PTH118
        else:
            entry = f"{prefix.rstrip('/')}/{song.name.as_posix().lstrip('/')}"
        if _fits_in_one_line(entry):
            lines = entries.setdefault(song.genre or "", [])
            lines.append(f"#EXTINF:{_seconds(song)},{printable(path.stem)}\n{entry}\n")
        else:
            left_out.append(song.name)
    names = file_names(entries)
    files = {names[genre]: _with_hash("".join(lines)) for genre, lines in entries.items()}
    return Playlists(files, left_out)


def file_names(genres: Iterable[str]) -> dict[str, str]:
    """Return a distinct, valid file name for each genre."""
    names: dict[str, str] = {}
    for genre in genres:
        stem = re.sub(r"[^\w &+'-]", "_", genre).strip()[:60] or "genre"
        taken = {name.casefold() for name in names.values()}
        name, number = f"{stem}.m3u8", 2
        while name.casefold() in taken:
            name, number = f"{stem} {number}.m3u8", number + 1
        names[genre] = name
    return names


def check_playlist_folder(folder: Path, genres: Iterable[str]) -> None:
    """Check before a scan that the playlists can be written and replace no file of the user.

    Raises
    ------
    PocketGenreError
        if the folder can't be written to, or a foreign playlist has the name of one of the genres.
    """
    if folder.exists() and not folder.is_dir():
        raise PocketGenreError(f"{folder} is not a folder; name one for the playlists.")
    if not can_write_into(folder):
        raise PocketGenreError(f"{folder} cannot be written to; name another for the playlists.")
    _check_foreign(folder, file_names([*genres, UNCERTAIN]).values())


def write_playlists(playlists: Playlists, folder: Path, genres: Iterable[str]) -> list[Path]:
    """Write playlists, and remove our earlier playlists of genres without songs.

    Returns
    -------
    list of Path
        removed files

    Raises
    ------
    PocketGenreError
        if a foreign playlist has the same name; nothing has been written.
    OSError
        if the folder can't be created or written to.
    """
    _check_foreign(folder, playlists.files)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in playlists.files.items():
        write_atomic(folder / name, content)
    stale = stale_playlists(playlists, folder, genres)
    for path in stale:
        path.unlink()
    return stale


def stale_playlists(playlists: Playlists, folder: Path, genres: Iterable[str]) -> list[Path]:
    """Return our earlier playlists of genres that have no songs now."""
    names = file_names([*genres, UNCERTAIN]).values()
    return [folder / n for n in names if n not in playlists.files and _is_own(folder / n)]


def _check_foreign(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        path = folder / name
        if not os.path.lexists(path):
            continue
        if not _is_own(path):
            raise PocketGenreError(
                f"{path} was not written by pocketgenre, or was changed since; rename it or name"
                " another folder for the playlists."
            )
        if is_write_protected(path):
            raise PocketGenreError(
                f"{path} is write-protected; name another folder for the playlists."
            )


def _is_own(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    header, _, rest = path.read_bytes().partition(b"\n")
    hash_line, _, body = rest.partition(b"\n")
    return header == _HEADER.encode() and hash_line == _hash_line(body)


def _with_hash(body: str) -> bytes:
    content = body.encode()
    return b"\n".join([_HEADER.encode(), _hash_line(content), content])


def _hash_line(body: bytes) -> bytes:
    return PLAYLIST_HASH_PREFIX.encode() + hashlib.sha256(body).hexdigest()[:32].encode()


def _relative(path: str, base: str) -> str:
    try:
        entry = os.path.relpath(path, base)
    except ValueError:  # on Windows, from one drive to another
        return path
    # A line that begins with # is a comment, one with a scheme and a colon an address.
    return entry if re.match(r"\w[^:]*$|\.\./", entry) else f"./{entry}"


def _fits_in_one_line(entry: str) -> bool:
    try:
        entry.encode()
    except UnicodeEncodeError:
        return False
    return entry.splitlines() == [entry] and "\0" not in entry


def _seconds(song: LibrarySong) -> int:
    prediction = song.prediction
    if prediction is None:
        return -1
    return round(prediction.segments * prediction.seconds_per_segment) or -1
