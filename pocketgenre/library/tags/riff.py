"""Read the genre in the INFO list of a WAV file, and check its sizes."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pocketgenre.library.tags.genre_tag import TagError

_HEADER = 12
_MAX_CHUNKS = 1000  # more are damage
_MAX_GENRE_BYTES = 1000


def riff_info_genres(path: Path) -> tuple[str, ...]:
    """Return the genres of the INFO list of a WAV file (``IGNR``)."""
    with open(path, "rb") as file:
        end = file.seek(0, os.SEEK_END)
        for name, start, size in _chunks(file, _HEADER, end):
            file.seek(start)
            if name == b"LIST" and file.read(4) == b"INFO":
                return tuple(_genres(file, start + 4, start + size))
    return ()


def check_riff_size(path: Path) -> None:
    """Check that the header of a WAV file states sizes that fit the file.

    Raises
    ------
    TagError
        if it does not, as in files that were written into a pipe: no chunk can be appended.
    """
    with open(path, "rb") as file:
        file.seek(4)
        stated = int.from_bytes(file.read(4), "little") + 8
        size = file.seek(0, os.SEEK_END)
    if stated > size + 1:  # one byte of padding may be missing
        raise TagError(
            "its header states another size than the file has, as in files from a pipe; convert it"
            " again into a file"
        )


def _genres(file: BinaryIO, start: int, end: int) -> Iterator[str]:
    for name, position, size in _chunks(file, start, end):
        if name == b"IGNR":
            file.seek(position)
            content = file.read(min(size, _MAX_GENRE_BYTES))
            genre = content.partition(b"\0")[0].decode("utf-8", "replace").strip()
            if genre:
                yield genre


def _chunks(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name, position and size of each chunk between two positions."""
    for _ in range(_MAX_CHUNKS):
        if start + 8 > end:
            return
        file.seek(start)
        header = file.read(8)
        size = int.from_bytes(header[4:], "little")
        yield header[:4], start + 8, min(size, end - start - 8)
        start += 8 + size + size % 2
