"""What songs a folder holds, and what the file system says of each."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from pocketgenre.audio.decoding import SONG_SUFFIXES
from pocketgenre.errors import PocketGenreError

_ENDINGS = tuple(SONG_SUFFIXES)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


@dataclass(frozen=True, slots=True)
class SongFile:
    """A song's file.

    Attributes
    ----------
    path : absolute; text, since ten thousand Path objects take longer to make than to find
    size : in bytes; -1 if the file system doesn't say
    modified_ns : nanoseconds since 1970; -1 if the file system doesn't say
    """

    path: str
    size: int
    modified_ns: int


@dataclass(frozen=True)
class FolderListing:
    """What is below a folder.

    Attributes
    ----------
    folder : absolute, free of links
    files : its songs, by path
    unlistable : folders in it that can't be listed; what is in them is not known
    """

    folder: Path
    files: tuple[SongFile, ...]
    unlistable: tuple[str, ...]


def list_songs(folder: Path) -> FolderListing:
    """Find the songs below a folder by their endings.

    Hidden files and folders (thumbnails, bins, the ``._`` twins that macOS leaves on cards)
    are passed over, and links to folders are not followed, so that a loop can't trap it.
    A link to a file counts as a file of its own.

    Raises
    ------
    PocketGenreError
        the folder can't be listed.
    """
    if is_address(folder) and not folder.exists():
        raise PocketGenreError(
            f"{display_address(folder)} is an address; with --cluster, songs are read from it."
        )
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise PocketGenreError(f"{folder} {problem}; name the folder that holds your music.")
    # A library that is reached by two names must not be listed twice in the catalogue.
    root = os.path.realpath(folder)
    files: list[SongFile] = []
    unlistable: list[str] = []
    waiting = [root]
    while waiting:
        current = waiting.pop()
        try:
            with os.scandir(current) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if _is_folder(entry):
                        waiting.append(entry.path)
                    elif is_song_name(entry.name):
                        files.append(stat_file(entry.path))
        except OSError as error:
            if current == root:
                raise PocketGenreError(f"{folder} cannot be read: {error.strerror}.") from error
            unlistable.append(current)
    files.sort(key=lambda file: file.path)
    return FolderListing(Path(root), tuple(files), tuple(sorted(unlistable)))


def is_address(path: Path | str) -> bool:
    """Whether that is an address, ``s3://bucket/music`` say, and no path of this machine's.

    As a path it has one slash, ``s3:/bucket/music``: that is what pathlib makes of it, and so it
    stands in listings and in the catalogue. It can't be taken for a file's there: those are
    absolute.
    """
    return _ADDRESS.match(str(path)) is not None


def display_address(path: Path | str) -> str:
    """An address with all its slashes, as people write it; a path as it is."""
    if not is_address(path):
        return str(path)
    scheme, _, rest = str(path).partition(":/")
    slashes = "///" if scheme == "file" else "//"  # a file's address has no host
    return f"{scheme}:{slashes}{rest.lstrip('/')}"


def local_path(address: Path) -> Path:
    """What ``file://`` means, a path on each machine that reads it; others are left as they are."""
    text = str(address)
    if not text.startswith("file:/"):
        return address
    return Path("/", text.removeprefix("file:/").lstrip("/"))


def is_song_name(name: str) -> bool:
    """Whether a file of that name counts as a song."""
    return not name.startswith(".") and name.lower().endswith(_ENDINGS)


def stat_file(path: str) -> SongFile:
    """A file with its size and time, links followed; what can't be looked at is still named."""
    try:
        status = os.stat(path)  # noqa: PTH116  # a third of the time of Path.stat
    except OSError:
        return SongFile(path, -1, -1)
    return SongFile(path, status.st_size, status.st_mtime_ns)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False
