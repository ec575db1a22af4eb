"""What every changed file held before, in a file that is only ever appended to.

A line of JSON is on the disk before the song that it tells of is touched. After a crash the
last line may tell of a change that wasn't made; that the song's own genre shows.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import platformdirs

from pocketgenre.errors import PocketGenreError
from pocketgenre.library.tags.genre_tag import GenreTag
from pocketgenre.library.tags.replace_file import remove_stray, sync_folder

_VERSION = 1

UNDO_BEGINNING = b'{"pocketgenre": '
"""Of each line, and so of the file: how an undo file is told from any other."""


def default_undo_file() -> Path:
    """Where the previous genres are kept unless a file is named: in the user's data folder."""
    return platformdirs.user_data_path("pocketgenre") / "undo.jsonl"


@dataclass(frozen=True)
class Change:
    """A change of one song's genre, about to be made.

    Attributes
    ----------
    path : absolute
    temporary : the copy beside it
    before, after : what the file holds
    """

    path: Path
    temporary: Path
    before: GenreTag
    after: GenreTag


@dataclass(frozen=True)
class Undone:
    """All changes of a song that were recorded before have been taken back."""

    path: Path


class UndoLog:
    """An undo file that this process alone writes to, until it is closed.

    Opened, it clears away the copy that a crash may have left beside the last song.

    Parameters
    ----------
    file : made if missing, with its folder

    Raises
    ------
    PocketGenreError
        another process writes to it, or it is something else.
    OSError
        it can't be written to.
    """

    def __init__(self, file: Path) -> None:
        check_undo_file(file)
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file
        self._handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._handle)
            raise PocketGenreError(
                f"{file} is in use: genres are being written or undone; wait until that ends."
            ) from None
        sync_folder(file.parent)
        self.strays = [stray for stray in _last_temporary(file) if remove_stray(stray)]
        # A line that a crash or a full disk cut off must not swallow the next one.
        size = os.fstat(self._handle).st_size
        if size and os.pread(self._handle, 1, size - 1) != b"\n":
            self._write(b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)

    def append(self, entry: Change | Undone) -> None:
        """Put an entry on the disk; when this returns, it is there."""
        self._write(json.dumps(_to_dict(entry)).encode("ascii") + b"\n")

    def _write(self, line: bytes) -> None:
        size = os.fstat(self._handle).st_size
        try:
            while line:
                line = line[os.write(self._handle, line) :]
            os.fsync(self._handle)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._handle, size)
            raise PocketGenreError(
                f"The undo file {self._file} cannot be written ({error.strerror}), so that nothing"
                " more was changed; make room or name another with --undo-file."
            ) from error


def check_undo_file(file: Path) -> None:
    """Refuse, before any work, what can't be an undo file.

    Raises
    ------
    PocketGenreError
        something else stands there.
    """
    if not file.exists():
        return
    if not file.is_file():
        raise PocketGenreError(f"{file} is not a file; name another one to undo from.")
    with open(file, "rb") as content:
        beginning = content.read(len(UNDO_BEGINNING))
    if beginning and beginning != UNDO_BEGINNING:
        raise PocketGenreError(f"{file} is no undo file of pocketgenre; name another one.")


def read_undo_file(file: Path) -> Iterator[Change | Undone | None]:
    """The entries of an undo file, oldest first; None for a line that can't be read.

    Raises
    ------
    PocketGenreError
        there is no such file, or it is something else.
    """
    if not file.exists():
        raise PocketGenreError(
            f"There is no undo file at {file}; scan-library --write-tags makes one."
        )
    check_undo_file(file)
    with open(file, "rb") as lines:
        for line in lines:
            if line.strip():
                yield _parse(line)


def _last_temporary(file: Path) -> list[Path]:
    last: Path | None = None
    for entry in read_undo_file(file):
        last = entry.temporary if isinstance(entry, Change) else last
    return [last] if last else []


def _to_dict(entry: Change | Undone) -> dict[str, Any]:
    head = {"pocketgenre": _VERSION, "path": str(entry.path)}
    if isinstance(entry, Undone):
        return {**head, "do": "undone"}
    return {
        **head,
        "do": "change",
        "temporary": entry.temporary.name,
        "kind": entry.before.kind,
        "before": [value.hex() for value in entry.before.values],
        "after": [value.hex() for value in entry.after.values],
    }


def _parse(line: bytes) -> Change | Undone | None:
    try:
        fields = json.loads(line)
        if fields["pocketgenre"] != _VERSION:
            return None
        path = Path(fields["path"])
        if not path.is_absolute() or b"\0" in os.fsencode(path):
            return None
        if fields["do"] == "undone":
            return Undone(path)
        kind = fields["kind"]
        if fields["do"] != "change" or not re.fullmatch(r"id3v1|id3v2\.[34]|mp4|vorbis", kind):
            return None
        before, after = (
            GenreTag(kind, tuple(bytes.fromhex(value) for value in fields[when]))
            for when in ("before", "after")
        )
        return Change(path, path.with_name(fields["temporary"]), before, after)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
