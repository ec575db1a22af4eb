"""A playlist for each genre, as phone players open them: M3U8, UTF-8, relative paths.

The second line of each holds a digest of what follows. Only a playlist whose digest still fits is
ours to replace; one that somebody wrote or changed is not touched.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pocketgenre.atomic_write import is_write_protected, write_atomic
from pocketgenre.errors import PocketGenreError
from pocketgenre.library.label import UNCERTAIN
from pocketgenre.library.labelled import LabelledSong
from pocketgenre.text import printable

_HEADER = "#EXTM3U"
_MARK = "# written by pocketgenre, which replaces it as long as nobody changes it: "


@dataclass(frozen=True)
class Playlists:
    """What is to stand in a folder of playlists.

    Attributes
    ----------
    files : content by file name
    left_out : songs whose names can't stand in a playlist
    """

    files: Mapping[str, bytes]
    left_out: Sequence[Path]


def make_playlists(songs: Iterable[LabelledSong], folder: Path) -> Playlists:
    """A playlist for each genre that has songs, and one for those that are uncertain.

    Parameters
    ----------
    songs : those without a label and those that vanished are passed over
    folder : where the playlists will be; with links resolved the paths lead there from anywhere
    """
    entries: dict[str, list[str]] = {}
    left_out: list[Path] = []
    base = os.path.realpath(folder)
    parents: dict[Path, str] = {}  # as resolving costs a system call for each folder of a path
    for song in songs:
        if song.label is None or song.song.state != "labelled":
            continue
        path = song.song.path
        if path.parent not in parents:
            parents[path.parent] = os.path.realpath(path.parent)
        place = _relative(os.path.join(parents[path.parent], path.name), base)  # noqa: PTH118
        if _can_stand_in_a_line(place):
            lines = entries.setdefault(song.label.genre, [])
            lines.append(f"#EXTINF:{_seconds(song)},{printable(path.stem)}\n{place}\n")
        else:
            left_out.append(song.name)
    names = file_names(entries)
    files = {names[genre]: _with_mark("".join(lines)) for genre, lines in entries.items()}
    return Playlists(files, left_out)


def file_names(genres: Iterable[str]) -> dict[str, str]:
    """A file name for each genre, different ones whatever the genres are called."""
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
    """Make sure, before any work, that nothing of the user's would be replaced, or removed.

    Raises
    ------
    PocketGenreError
        it can't be a folder for playlists, or a playlist that isn't ours stands where one of
        these genres' would.
    """
    if folder.exists() and not folder.is_dir():
        raise PocketGenreError(f"{folder} is not a folder; name one for the playlists.")
    if folder.is_dir() and not os.access(folder, os.W_OK):
        raise PocketGenreError(f"{folder} cannot be written to; name another for the playlists.")
    _refuse_foreign(folder, file_names([*genres, UNCERTAIN]).values())


def write_playlists(playlists: Playlists, folder: Path, genres: Iterable[str]) -> list[Path]:
    """Write them, and remove ours of those genres that have no songs any more.

    Returns
    -------
    the files that were removed

    Raises
    ------
    PocketGenreError
        a playlist that isn't ours stands in the way; nothing was written.
    OSError
        the folder can't be made or written to.
    """
    _refuse_foreign(folder, playlists.files)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in playlists.files.items():
        write_atomic(folder / name, content)
    stale = stale_playlists(playlists, folder, genres)
    for path in stale:
        path.unlink()
    return stale


def stale_playlists(playlists: Playlists, folder: Path, genres: Iterable[str]) -> list[Path]:
    """The files that we wrote before for those of these genres that have no songs any more."""
    names = file_names([*genres, UNCERTAIN]).values()
    return [folder / n for n in names if n not in playlists.files and _is_ours(folder / n)]


def _refuse_foreign(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        path = folder / name
        if not os.path.lexists(path):
            continue
        if not _is_ours(path):
            raise PocketGenreError(
                f"{path} was not written by pocketgenre, or changed since; rename it or name"
                " another folder for the playlists."
            )
        if is_write_protected(path):
            raise PocketGenreError(
                f"{path} is write-protected; name another folder for the playlists."
            )


def _is_ours(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    header, _, rest = path.read_bytes().partition(b"\n")
    mark, _, body = rest.partition(b"\n")
    return header == _HEADER.encode() and mark == _mark(body)


def _with_mark(body: str) -> bytes:
    content = body.encode()
    return b"\n".join([_HEADER.encode(), _mark(content), content])


def _mark(body: bytes) -> bytes:
    return _MARK.encode() + hashlib.sha256(body).hexdigest()[:32].encode()


def _relative(path: str, base: str) -> str:
    try:
        place = os.path.relpath(path, base)
    except ValueError:  # on Windows, from one drive to another
        return path
    # What begins with a # is a comment, with a word and a colon an address.
    return place if re.match(r"\w[^:]*$|\.\./", place) else f"./{place}"


def _can_stand_in_a_line(place: str) -> bool:
    try:
        place.encode()
    except UnicodeEncodeError:
        return False
    return place.splitlines() == [place] and "\0" not in place


def _seconds(song: LabelledSong) -> int:
    table = song.song.probabilities
    return -1 if table is None else round(len(table) * song.song.seconds_per_segment) or -1
