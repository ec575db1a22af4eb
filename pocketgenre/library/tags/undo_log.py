"""Log the previous genre of every changed file in an append-only file.

A line of JSON is on the disk before the song is changed. After a crash the last line may describe
a change that was not made, which the song's genre shows.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import platformdirs

from pocketgenre.atomic_write import can_write_into
from pocketgenre.errors import PocketGenreError
from pocketgenre.library.tags.genre_tag import GENRE_FIELD, GenreTag, TagError
from pocketgenre.library.tags.replace_file import Original, remove_leftover, sync_folder

_VERSION = 1
# O_CLOEXEC exists on POSIX systems only, O_BINARY on Windows only.
_OPEN_FLAGS = (
    os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
)

UNDO_SIGNATURE = b'{"pocketgenre": '
"""Beginning of each line, by which an undo file is recognised."""


def default_undo_file() -> Path:
    """Return the path of the default undo file, in the user's data folder."""
    return platformdirs.user_data_path("pocketgenre") / "undo.jsonl"


@dataclass(frozen=True)
class Change:
    """A change of one song's genre.

    Attributes
    ----------
    path : absolute path
    temporary : path of the copy next to it
    before, after : genre tags
    field : field of the tags, see :data:`pocketgenre.library.tags.genre_tag.GENRE_FIELD`
    modified_ns : modification time of the file after the change [ns since 1970]; None if unknown
    original : state of the file before the change; None if unknown
    """

    path: Path
    temporary: Path
    before: GenreTag
    after: GenreTag
    field: str = GENRE_FIELD
    modified_ns: int | None = None
    original: Original | None = None


@dataclass(frozen=True)
class Undone:
    """Record that all earlier changes of one field of a song have been undone."""

    path: Path
    field: str = GENRE_FIELD


class UndoLog:
    """An undo file, locked by this process until it is closed.

    Opening removes copies that crashes have left next to songs, see
    :func:`pocketgenre.library.tags.replace_file.remove_leftover`.

    Parameters
    ----------
    file : path; the file and its folder are created if missing

    Raises
    ------
    PocketGenreError
        if another process has locked the file, it is not an undo file, or other programs have
        changed both a song and the copy that a crash left.
    OSError
        if it can't be written.
    """

    def __init__(self, file: Path) -> None:
        check_undo_file(file)
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file
        self._handle = os.open(file, _OPEN_FLAGS, 0o600)
        try:
            _lock(self._handle)
        except OSError:
            os.close(self._handle)
            raise PocketGenreError(
                f"{file} is in use: genres are being written or undone; wait until that ends."
            ) from None
        sync_folder(file.parent)
        try:
            for change in _changes(file):
                remove_leftover(change.temporary, change.path, change.original, change.modified_ns)
        except TagError:
            os.close(self._handle)
            raise
        # A line that a crash or a full disk cut off must not merge with the next one.
        size = os.fstat(self._handle).st_size
        if size and _last_byte(file) != b"\n":
            self._write(b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)

    def append(self, entry: Change | Undone) -> None:
        """Append an entry and sync it to the disk."""
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
                f"The undo file {self._file} cannot be written ({error.strerror}), so no further"
                " song was changed; free some space or name another file with --undo-file."
            ) from error


def _lock(handle: int) -> None:
    """Lock an open file for this process.

    Raises
    ------
    OSError
        if another process has locked it.
    """
    try:
        import fcntl
    except ModuleNotFoundError:  # on Windows
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def check_writable(file: Path) -> None:
    """Check before a scan that previous genres can be stored in a file.

    Raises
    ------
    PocketGenreError
        if it can't be written to, or exists and is not an undo file.
    """
    check_undo_file(file)
    if not can_write_into(file.parent) or (file.exists() and not os.access(file, os.W_OK)):
        raise PocketGenreError(f"{file} cannot be written to; name another with --undo-file.")


def check_undo_file(file: Path) -> None:
    """Check that a path can be that of an undo file.

    Raises
    ------
    PocketGenreError
        if it exists and is not an undo file.
    """
    if not file.exists():
        return
    if not file.is_file():
        raise PocketGenreError(f"{file} is not a file; name another one to undo from.")
    with open(file, "rb") as content:
        signature = content.read(len(UNDO_SIGNATURE))
    if signature and signature != UNDO_SIGNATURE:
        raise PocketGenreError(f"{file} is not an undo file of pocketgenre; name another one.")


def read_undo_file(file: Path) -> Iterator[Change | Undone | None]:
    """Read the entries of an undo file, oldest first; None for an invalid line.

    Raises
    ------
    PocketGenreError
        if the file is missing or is not an undo file.
    """
    if not file.exists():
        raise PocketGenreError(
            f"There is no undo file at {file}; scan-library --write-tags creates one."
        )
    check_undo_file(file)
    with open(file, "rb") as lines:
        for line in lines:
            if line.strip():
                yield _parse(line)


def _last_byte(file: Path) -> bytes:
    with open(file, "rb") as content:
        content.seek(-1, os.SEEK_END)
        return content.read(1)


def _changes(file: Path) -> Iterator[Change]:
    for entry in read_undo_file(file):
        if isinstance(entry, Change):
            yield entry


def _to_dict(entry: Change | Undone) -> dict[str, Any]:
    head: dict[str, Any] = {"pocketgenre": _VERSION, "path": str(entry.path)}
    if entry.field != GENRE_FIELD:
        head["field"] = entry.field
    if isinstance(entry, Undone):
        return {**head, "do": "undone"}
    return {
        **head,
        "do": "change",
        "modified_ns": entry.modified_ns,
        "original": entry.original,
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
        field = str(fields.get("field", GENRE_FIELD))
        if fields["do"] == "undone":
            return Undone(path, field)
        kind = fields["kind"]
        if fields["do"] != "change" or not re.fullmatch(r"id3v1|id3v2\.[34]|mp4|vorbis", kind):
            return None
        before, after = (
            GenreTag(kind, tuple(bytes.fromhex(value) for value in fields[when]))
            for when in ("before", "after")
        )
        modified = fields.get("modified_ns")
        modified_ns = modified if isinstance(modified, int) else None
        temporary = path.with_name(fields["temporary"])
        original = _parse_original(fields.get("original"))
        return Change(path, temporary, before, after, field, modified_ns, original)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _parse_original(values: object) -> Original | None:
    if not isinstance(values, list) or not all(isinstance(value, int) for value in values):
        return None
    return Original(*values) if len(values) == len(Original._fields) else None
