"""Read and write a data set's files in a folder, or at an address through a plug-in."""

import hashlib
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from pocketgenre.atomic_write import open_atomic
from pocketgenre.library.discovery import is_address
from pocketgenre.plugins import STORES, load_plugin

BLOCK_SIZE = 1 << 20
"""Bytes read at a time."""


class Store(Protocol):
    """Files by name, where a name may contain folders; picklable.

    Every method raises an OSError if the operation fails.
    """

    @property
    def location(self) -> Path:
        """Folder or address of the store."""

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Open a file for reading."""

    def create(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Open a file for writing; it replaces an existing file when the block ends."""

    def names(self, folder: str) -> set[str]:
        """Return the names of the files in a folder; empty if the folder does not exist."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove the files that exist."""


@dataclass(frozen=True)
class FolderStore:
    """A folder that all processes and hosts reach by the same path."""

    location: Path

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Open a file for reading."""
        return open(self.location / name, "rb")

    def create(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Open a temporary file, which is renamed when the block ends; folders are created."""
        path = self.location / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return open_atomic(path)

    def names(self, folder: str) -> set[str]:
        """Return the names of the files in a folder; empty if the folder does not exist."""
        path = self.location / folder
        return {file.name for file in path.iterdir()} if path.is_dir() else set()

    def remove(self, names: Iterable[str]) -> None:
        """Remove the files that exist, and folders that become empty."""
        for path in [self.location / name for name in names]:
            path.unlink(missing_ok=True)
            if (
                path.parent != self.location
                and path.parent.is_dir()
                and not any(path.parent.iterdir())
            ):
                path.parent.rmdir()


def sha256_of(file: BinaryIO) -> str:
    """Return the SHA-256 of the rest of an open file, in hexadecimal.

    Works for any object with ``read``; :func:`hashlib.file_digest` needs ``readinto``, which
    files of a store may lack.
    """
    digest = hashlib.sha256()
    while block := file.read(BLOCK_SIZE):
        digest.update(block)
    return digest.hexdigest()


def open_store(location: Path) -> Store:
    """Open the store at a folder or an address.

    Raises
    ------
    PocketGenreError
        if the plug-in that reads addresses is not installed.
    """
    if is_address(location):
        store: Store = load_plugin(STORES, "fsspec", str(location))(location)
        return store
    return FolderStore(location.absolute())
