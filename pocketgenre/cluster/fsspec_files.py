"""List, read and write files at addresses of fsspec, such as s3:// and gs://."""

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

_MAX_BYTES = 2 << 30  # of a song, so that the copies of all workers fit on the disk
_BLOCK = 1 << 20
# Names of the modification time in different file systems of fsspec.
_TIME_KEYS = ("mtime", "LastModified", "last_modified", "updated", "created")


def open_filesystem(address: Path | str) -> tuple[Any, str]:
    """Open the file system of an address.

    Parameters
    ----------
    address : such as ``s3://bucket/music``, or ``s3:/bucket/music`` as pathlib formats it

    Returns
    -------
    filesystem, path

    Raises
    ------
    PocketGenreError
        if the scheme is unknown, or the package for it is not installed.
    """
    url = display_address(address)
    scheme = url.partition(":")[0]
    try:
        kind = fsspec.get_filesystem_class(scheme)
        # Not url_to_fs: it interprets "::", which song names may hold, as chained file systems.
        return kind(**kind._get_kwargs_from_urls(url)), kind._strip_protocol(url)
    except Exception as error:  # each file system raises its own errors
        raise PocketGenreError(f"{scheme}:// cannot be opened: {_reason(error)}.") from error


def list_address(address: Path) -> FolderListing:
    """Find the songs below an address by their suffixes; hidden ones are skipped.

    Raises
    ------
    PocketGenreError
        if it can't be listed.
    """
    filesystem, top = open_filesystem(address)
    try:
        found, unlistable = _find_files(filesystem, top)
    except Exception as error:  # each file system raises its own errors
        raise PocketGenreError(
            f"{display_address(address)} cannot be listed: {_reason(error)}."
        ) from error
    songs: list[SongFile] = []
    skipped = [f"{address}/{path[len(top) :].strip('/')}" for path in unlistable]
    for path, info in found.items():
        name = path[len(top) :].strip("/")
        parts = name.split("/")
        if not is_song_name(parts[-1]) or any(part.startswith(".") for part in parts):
            continue
        if "" in parts:  # a key of a store need not be a path, but the catalogue stores paths
            skipped.append(f"{address}/{name}")
        else:
            songs.append(SongFile(f"{address}/{name}", int(info["size"] or 0), _modified_ns(info)))
    return FolderListing(
        address, tuple(sorted(songs, key=lambda s: s.path)), tuple(sorted(skipped))
    )


def _find_files(filesystem: Any, top: str) -> tuple[Mapping[str, Mapping[str, Any]], list[str]]:
    """Return all files below a folder, and the folders that can't be listed."""
    kind = type(filesystem)
    if kind.find is not AbstractFileSystem.find or (
        isinstance(filesystem, AsyncFileSystem) and kind._find is not AsyncFileSystem._find
    ):
        return filesystem.find(top, detail=True), []  # the store lists all files at once
    # The inherited method omits folders that it can't list, and raises no error.
    found: dict[str, Mapping[str, Any]] = {}
    unlistable: list[str] = []
    folders, seen = [top], set()
    while folders:
        folder = folders.pop()
        if folder in seen:
            continue
        seen.add(folder)
        try:
            entries = filesystem.ls(folder, detail=True)
        except Exception:
            if folder == top:
                raise
            unlistable.append(folder)
            continue
        for entry in entries:
            if entry["type"] == "directory":
                folders.append(entry["name"])
            else:  # also links, which are followed when read
                found[entry["name"]] = entry
    return found, unlistable


@contextmanager
def local_copy(address: str, timeout: float, folder: str) -> Iterator[str]:
    """Copy a file to this machine until the block ends.

    The copy has no name in ``folder``, so that nothing is left if this process is killed.

    Parameters
    ----------
    address : address of the file
    timeout : time after which reading fails [s]
    folder : folder on a disk with enough space

    Yields
    ------
    str
        path of the copy, which other processes can open

    Raises
    ------
    OSError
        if the file can't be read in that time, or is larger than 2 GiB.
    """
    filesystem, path = open_filesystem(address)
    with tempfile.TemporaryFile(dir=folder) as copy:
        with _os_errors(), filesystem.open(path, "rb") as source:
            _copy(source, copy, time.monotonic() + timeout)
        yield f"/proc/{os.getpid()}/fd/{copy.fileno()}"


@dataclass(frozen=True)
class FsspecStore:
    """Files at an address; see :class:`pocketgenre.training.data.storage.Store`.

    Attributes
    ----------
    location : address

    Raises
    ------
    PocketGenreError
        as :func:`open_filesystem`.
    """

    location: Path

    def __post_init__(self) -> None:
        open_filesystem(f"{self.location}/")  # fails now, not after hours of work

    @contextmanager
    def open(self, name: str) -> Iterator[Any]:
        """Open a file for reading.

        Raises
        ------
        OSError
            if it can't be read.
        """
        filesystem, path = open_filesystem(self.location / name)
        with _os_errors(), filesystem.open(path, "rb") as file:
            yield file

    @contextmanager
    def create(self, name: str) -> Iterator[Any]:
        """Open a file for writing; it is stored when the block ends.

        Raises
        ------
        OSError
            if it can't be written.
        """
        filesystem, path = open_filesystem(self.location / name)
        with tempfile.TemporaryFile() as copy:  # a store would keep a partial upload
            yield copy
            copy.seek(0)
            with _os_errors(), filesystem.open(path, "wb") as file:
                shutil.copyfileobj(copy, file, _BLOCK)

    def names(self, folder: str) -> set[str]:
        """Return the names of the files in a folder; empty if there is no such folder.

        Raises
        ------
        OSError
            if it can't be listed.
        """
        filesystem, path = open_filesystem(self.location / folder)
        with _os_errors():
            try:
                return {name.rpartition("/")[2] for name in filesystem.ls(path, detail=False)}
            except FileNotFoundError:
                return set()

    def remove(self, names: Iterable[str]) -> None:
        """Remove files that exist.

        Raises
        ------
        OSError
            if a file can't be removed.
        """
        for name in names:
            filesystem, path = open_filesystem(self.location / name)
            with _os_errors(), suppress(FileNotFoundError):
                filesystem.rm_file(path)


@contextmanager
def _os_errors() -> Iterator[None]:
    """Convert the errors of all file systems of fsspec to OSError."""
    try:
        yield
    except (OSError, PocketGenreError):
        raise
    except Exception as error:
        raise OSError(_reason(error)) from error


def _copy(source: Any, copy: Any, deadline: float) -> None:
    size = 0
    while block := source.read(_BLOCK):
        size += len(block)
        if size > _MAX_BYTES:
            raise OSError(f"it is larger than {_MAX_BYTES >> 30} GiB")
        if time.monotonic() > deadline:
            raise TimeoutError("its store took too long")
        copy.write(block)
    copy.flush()


def _modified_ns(info: Mapping[str, Any]) -> int:
    """Return the modification time [ns since 1970]; -1 if unknown."""
    when = next((info[name] for name in _TIME_KEYS if info.get(name)), None)
    if isinstance(when, str):
        try:
            when = datetime.fromisoformat(when)
        except ValueError:
            return -1
    if isinstance(when, datetime):
        when = when.timestamp()
    return round(when * 1e9) if isinstance(when, int | float) else -1


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
