"""Read the INFO list of a WAV file, and check its sizes."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pocketgenre.library.tags.genre_tag import TagError

_HEADER = 12
_MAX_CHUNKS = 1000  # more are damage
_MAX_BYTES = 1000  # of a text
_SIGNATURES = {b"RIFF", b"RF64", b"BW64"}


def riff_info_genres(path: Path) -> tuple[str, ...]:
    """Return the genres of the INFO list of a WAV file (``IGNR``)."""
    return tuple(text for name, text in read_riff_info(path) if name == "IGNR")


def read_riff_info(path: Path) -> list[tuple[str, str]]:
    """Return the names and texts of the INFO list of a WAV file; empty for other files."""
    with open(path, "rb") as file:
        if file.read(4) not in _SIGNATURES:
            return []
        end = file.seek(0, os.SEEK_END)
        for name, start, size in _chunks(file, _HEADER, end):
            file.seek(start)
            if name == b"LIST" and file.read(4) == b"INFO":
                return list(_texts(file, start + 4, start + size))
    return []


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


def _texts(file: BinaryIO, start: int, end: int) -> Iterator[tuple[str, str]]:
    for name, position, size in _chunks(file, start, end):
        file.seek(position)
        content = file.read(min(size, _MAX_BYTES)).partition(b"\0")[0]
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            text = content.decode("cp1252", "replace")  # as Windows wrote before UTF-8
        if text.strip():
            yield name.decode("latin-1"), text.strip()


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
