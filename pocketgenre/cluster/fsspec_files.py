"""Songs at addresses that fsspec understands: s3://, gs://, and what else is installed for it."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec
from fsspec.asyn import AsyncFileSystem
from fsspec.spec import AbstractFileSystem

from pocketgenre.errors import PocketGenreError
from pocketgenre.library.discovery import FolderListing, SongFile, display_address, is_song_name

_MOST_BYTES = 2 << 30  # of a song; what the workers of a machine hold at once must fit its disk
_BLOCK = 1 << 20
# Under which name the file systems of fsspec tell when a file was last written.
_WRITTEN = ("mtime", "LastModified", "last_modified", "updated", "created")


def opened(address: Path | str) -> tuple[Any, str]:
    """A file system, and the path in it.

    Parameters
    ----------
    address : with one slash after the colon, as pathlib makes it, or with two

    Raises
    ------
    PocketGenreError
        there is none of that name, or what it needs is not installed.
    """
    url = display_address(address)
    scheme = url.partition(":")[0]
    try:
        kind = fsspec.get_filesystem_class(scheme)
        # Not url_to_fs: it takes "::", which names of songs may hold, for one system on another.
        return kind(**kind._get_kwargs_from_urls(url)), kind._strip_protocol(url)
    except Exception as error:  # each file system has its own
        raise PocketGenreError(f"{scheme}:// cannot be opened: {_why(error)}.") from error


def list_address(address: Path) -> FolderListing:
    """Find the songs below an address by their endings; hidden ones are passed over.

    Raises
    ------
    PocketGenreError
        it can't be listed.
    """
    files, top = opened(address)
    try:
        found, closed = _found(files, top)
    except Exception as error:  # each file system has its own
        raise PocketGenreError(
            f"{display_address(address)} cannot be listed: {_why(error)}."
        ) from error
    songs, strange = [], [f"{address}/{path[len(top) :].strip('/')}" for path in closed]
    for path, about in found.items():
        name = path[len(top) :].strip("/")
        parts = name.split("/")
        if not is_song_name(parts[-1]) or any(part.startswith(".") for part in parts):
            continue
        if "" in parts:  # a store's keys need not look like paths, but a catalogue holds paths
            strange.append(f"{address}/{name}")
        else:
            songs.append(SongFile(f"{address}/{name}", int(about["size"] or 0), _written(about)))
    return FolderListing(
        address, tuple(sorted(songs, key=lambda s: s.path)), tuple(sorted(strange))
    )


def _found(files: Any, top: str) -> tuple[Mapping[str, Mapping[str, Any]], list[str]]:
    """All files below a folder, and the folders below it that can't be listed."""
    kind = type(files)
    if kind.find is not AbstractFileSystem.find or (
        isinstance(files, AsyncFileSystem) and kind._find is not AsyncFileSystem._find
    ):
        return files.find(top, detail=True), []  # a store's own, which needs no folders
    # The inherited one says nothing of what it can't list.
    found: dict[str, Mapping[str, Any]] = {}
    closed: list[str] = []
    folders, seen = [top], set()
    while folders:
        folder = folders.pop()
        if folder in seen:
            continue
        seen.add(folder)
        try:
            entries = files.ls(folder, detail=True)
        except Exception:
            if folder == top:
                raise
            closed.append(folder)
            continue
        for entry in entries:
            if entry["type"] == "directory":
                folders.append(entry["name"])
            else:  # links as well: whoever fetches them follows them
                found[entry["name"]] = entry
    return found, closed


@contextmanager
def fetched(address: str, seconds: float, folder: str) -> Iterator[str]:
    """A copy of a file for as long as it is needed.

    It has no name in ``folder``, so that whatever ends this process, nothing of it stays behind.

    Parameters
    ----------
    address : of the file
    seconds : after which it is given up
    folder : on a disk with room for it

    Yields
    ------
    a path by which it can be opened, by other processes too

    Raises
    ------
    OSError
        it can't be read in that time, or is larger than 2 GiB.
    """
    files, path = opened(address)
    with tempfile.TemporaryFile(dir=folder) as copy:
        with _os_errors(), files.open(path, "rb") as source:
            _copy(source, copy, time.monotonic() + seconds)
        yield f"/proc/{os.getpid()}/fd/{copy.fileno()}"


@dataclass(frozen=True)
class FsspecStore:
    """A place for files at an address, as ``pocketgenre.training.data.storage`` has it for folders.

    Raises
    ------
    PocketGenreError
        as :func:`opened`.
    """

    location: Path

    def __post_init__(self) -> None:
        opened(f"{self.location}/")  # now rather than after the work whose results are to be kept

    @contextmanager
    def open(self, name: str) -> Iterator[Any]:
        """A file to be read.

        Raises
        ------
        OSError
            it can't be.
        """
        files, path = opened(self.location / name)
        with _os_errors(), files.open(path, "rb") as file:
            yield file

    @contextmanager
    def create(self, name: str) -> Iterator[Any]:
        """A file to be written; it is there when the block is left.

        Raises
        ------
        OSError
            it can't be written.
        """
        files, path = opened(self.location / name)
        with tempfile.TemporaryFile() as copy:  # a store that gets half of it would keep that
            yield copy
            copy.seek(0)
            with _os_errors(), files.open(path, "wb") as file:
                shutil.copyfileobj(copy, file, _BLOCK)

    def names(self, folder: str) -> set[str]:
        """The names of the files in a folder of it; none where there is no such folder.

        Raises
        ------
        OSError
            it can't be listed.
        """
        files, path = opened(self.location / folder)
        with _os_errors():
            try:
                return {name.rpartition("/")[2] for name in files.ls(path, detail=False)}
            except FileNotFoundError:
                return set()

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, if they are there.

        Raises
        ------
        OSError
            they are there and can't be removed.
        """
        for name in names:
            files, path = opened(self.location / name)
            with _os_errors(), suppress(FileNotFoundError):
                files.rm_file(path)


@contextmanager
def _os_errors() -> Iterator[None]:
    """What the file systems of fsspec raise, each its own, as what all others raise."""
    try:
        yield
    except (OSError, PocketGenreError):
        raise
    except Exception as error:
        raise OSError(_why(error)) from error


def _copy(source: Any, copy: Any, deadline: float) -> None:
    size = 0
    while block := source.read(_BLOCK):
        size += len(block)
        if size > _MOST_BYTES:
            raise OSError(f"it is larger than {_MOST_BYTES >> 30} GiB")
        if time.monotonic() > deadline:
            raise TimeoutError("its store took too long")
        copy.write(block)
    copy.flush()


def _written(about: Mapping[str, Any]) -> int:
    """Nanoseconds since 1970; -1 if the file system doesn't say."""
    when = next((about[name] for name in _WRITTEN if about.get(name)), None)
    if isinstance(when, str):
        try:
            when = datetime.fromisoformat(when)
        except ValueError:
            return -1
    if isinstance(when, datetime):
        when = when.timestamp()
    return round(when * 1e9) if isinstance(when, int | float) else -1


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__
