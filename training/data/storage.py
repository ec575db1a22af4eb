"""Where a data set's files are: a folder, or an address that a plug-in reads and writes."""

import hashlib
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from pocketgenre.atomic_write import open_atomic
from pocketgenre.library.discovery import is_address
from pocketgenre.plugins import STORES, load_plugin

BLOCK = 1 << 20  # bytes read at a time


class Store(Protocol):
    """Files by their names, which may lie in folders; it can be pickled.

    Every method raises an OSError if it can't do what it says.
    """

    @property
    def place(self) -> Path:
        """The folder or the address."""

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """A file to be read."""

    def create(self, name: str) -> AbstractContextManager[BinaryIO]:
        """A file to be written; it is there, in place of another, when the block is left."""

    def names(self, folder: str) -> set[str]:
        """The names of the files in a folder; none where there is no such folder."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, if they are there."""


@dataclass(frozen=True)
class Folder:
    """A folder that all who use it see under the same path."""

    place: Path

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """A file to be read."""
        return open(self.place / name, "rb")

    def create(self, name: str) -> AbstractContextManager[BinaryIO]:
        """A file to be written beside and renamed; its folder is made."""
        path = self.place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return open_atomic(path)

    def names(self, folder: str) -> set[str]:
        """The names of the files in a folder of it."""
        where = self.place / folder
        return {path.name for path in where.iterdir()} if where.is_dir() else set()

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, and folders that get empty by it."""
        for path in [self.place / name for name in names]:
            path.unlink(missing_ok=True)
            if (
                path.parent != self.place
                and path.parent.is_dir()
                and not any(path.parent.iterdir())
            ):
                path.parent.rmdir()


def sha256_of(file: BinaryIO) -> str:
    """SHA-256 of the rest of an open file, in hexadecimal.

    Of any that has ``read``, which :func:`hashlib.file_digest` is not content with.
    """
    digest = hashlib.sha256()
    while block := file.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()


def open_store(place: Path) -> Store:
    """The store at a folder or an address.

    Raises
    ------
    PocketGenreError
        what reads addresses is not installed.
    """
    if is_address(place):
        store: Store = load_plugin(STORES, "fsspec", str(place))(place)
        return store
    return Folder(place.absolute())
