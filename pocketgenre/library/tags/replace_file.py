"""Change a file by replacing it with a changed copy, so that a crash leaves no partial file."""

import os
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from pocketgenre.atomic_write import is_write_protected
from pocketgenre.library.tags.exchange import exchange
from pocketgenre.library.tags.genre_tag import FileInUseError, TagError
from pocketgenre.library.tags.read_lease import ReadLease
from pocketgenre.text import count_of

SAME_TIME_NS = 2 * 10**9
"""Resolution of modification times on FAT [ns]."""

_PREFIX, _SUFFIX = ".pocketgenre-", ".part"


def new_temporary(path: Path) -> Path:
    """Return an unused name next to ``path``, which is short even if that of ``path`` is long."""
    return path.with_name(f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}")


class Original(NamedTuple):
    """State of a file before it was changed.

    Attributes
    ----------
    number : number of the file on its drive
    size : size [bytes]
    modified_ns : modification time [ns since 1970]
    """

    number: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """Return the state of a file."""
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


def remove_leftover(
    temporary: Path, path: Path, original: Original | None, modified_ns: int | None
) -> None:
    """Remove the copy of a file that a crash left behind, and no other file.

    If the crash came after the exchange of the names, the copy's name is that of the file itself.
    If another program has written into it, or has it open for writing, it gets its name back.

    Parameters
    ----------
    temporary : path of the copy
    path : the file
    original : state of the file before; None if unknown
    modified_ns : modification time that the copy got [ns since 1970]; None if unknown

    Raises
    ------
    TagError
        if other programs have written into both.
    """
    name = temporary.name
    if not name.startswith(_PREFIX) or not name.endswith(_SUFFIX):
        return
    with suppress(OSError):
        status = temporary.lstat()
        if not stat.S_ISREG(status.st_mode):
            return
        if original and status.st_ino == original.number and _is_written(temporary, original):
            _give_back(temporary, path, modified_ns)
        temporary.unlink()


def _is_written(path: Path, original: Original) -> bool:
    try:
        check_unused(path)
    except FileInUseError:
        return True
    return Original.of(path.lstat()) != original


def _give_back(temporary: Path, path: Path, modified_ns: int | None) -> None:
    """Give a file its name back; the changed copy gets the temporary name."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        temporary.rename(path)
        return
    if modified_ns is not None and abs(status.st_mtime_ns - modified_ns) >= SAME_TIME_NS:
        raise TagError(
            f"{path} and {temporary} are one song that different programs have changed after a"
            " crash; keep the better one, delete the other one, and start again."
        )
    if not exchange(temporary, path):
        temporary.replace(path)


def check_replaceable(path: Path) -> os.stat_result:
    """Check that replacing a file changes only its content.

    Raises
    ------
    TagError
        if it is a link, has a second name (which would keep the old content), or is
        write-protected.
    OSError
        if it is missing.
    """
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise TagError("it is a link; tag the file that it points to")
    if not stat.S_ISREG(status.st_mode):
        raise TagError("it is not a file")
    if status.st_nlink > 1:
        raise TagError("it has a second name (a hard link), whose content would stay as it was")
    if is_write_protected(path):
        raise TagError("it is write-protected")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise TagError("its folder is write-protected")
    return status


def check_settled(status: os.stat_result, seconds: float) -> None:
    """Check that a file was not changed in the last seconds.

    A program that opens the file again for each part that it writes can't be detected otherwise.

    Raises
    ------
    FileInUseError
        if it was.
    """
    # A clock that differs from that of the drive may put the change into the future.
    if abs(time.time() - status.st_mtime) < seconds:
        raise FileInUseError(
            f"it was changed less than {count_of(round(seconds), 'second')} ago, so another program"
            " may still be writing it; try again later, or set a shorter time with --settle"
        )


def check_unused(path: Path) -> None:
    """Check that no program has a file open for writing.

    Raises
    ------
    FileInUseError
        if one has.
    OSError
        if the file can't be read.
    """
    with open(path, "rb") as file, ReadLease(file.fileno()):
        pass


def new_time(before: os.stat_result) -> int:
    """Return the modification time for a file that is changed now [ns since 1970].

    It is later than the time before even if the clock is behind, for programs that compare which
    file is newer.
    """
    return max(time.time_ns(), before.st_mtime_ns + 10**9)


def replace_changed(
    path: Path,
    before: os.stat_result,
    temporary: Path,
    change: Callable[[Path], None],
    modified_ns: int,
) -> None:
    """Copy a file, change the copy, and replace the file with it.

    The copy has the same permissions, owner and extended attributes, and is synced to the disk
    before it is renamed. No byte is lost that another program writes meanwhile: a program that
    opens the file for writing has to wait, and if one waits, or has changed the file after all,
    the file gets its name back.

    Parameters
    ----------
    path : the file
    before : result of :func:`check_replaceable` before the file was read
    temporary : path of the copy, in the same folder
    change : function that changes the copy in place; if it raises, the file stays unchanged
    modified_ns : modification time that the file gets [ns since 1970]

    Raises
    ------
    FileInUseError
        if another program writes into the file, or has changed it meanwhile.
    TagError
        if its owner can't be kept.
    OSError
        if the copy can't be written.
    """
    try:
        with open(path, "rb") as source, ReadLease(source.fileno()) as lease:
            _copy(source, temporary, lease)
            change(temporary)
            _copy_metadata(path, temporary, before, modified_ns)
            with open(temporary, "rb") as copy:
                os.fsync(copy.fileno())
            _check_unchanged(path.lstat(), before, lease)
            _put_in_place(path, before, temporary, lease)
    finally:
        temporary.unlink(missing_ok=True)


def _copy(source: BinaryIO, temporary: Path, lease: ReadLease) -> None:
    with open(temporary, "xb", opener=_private) as copy:
        while block := source.read(1 << 20):
            lease.check()
            copy.write(block)


def _check_unchanged(status: os.stat_result, before: os.stat_result, lease: ReadLease) -> None:
    lease.check()
    if _identity(status) != _identity(before):
        raise FileInUseError("it was changed by another program meanwhile; try again")


def _put_in_place(path: Path, before: os.stat_result, temporary: Path, lease: ReadLease) -> None:
    """Give the copy the file's name; undo that if another program wrote at that moment."""
    copy = temporary.stat().st_ino
    if not exchange(temporary, path):
        temporary.replace(path)
        sync_folder(path.parent)
        return
    sync_folder(path.parent)
    try:
        _check_unchanged(temporary.lstat(), before, lease)
    except FileInUseError:
        # If the copy was replaced once more meanwhile, the last one counts.
        if path.lstat().st_ino == copy:
            exchange(temporary, path)
            if temporary.lstat().st_ino != copy:
                exchange(temporary, path)
        sync_folder(path.parent)
        raise


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that a renamed file survives a power cut."""
    if sys.platform == "win32":  # folders can't be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # not supported on some memory cards and network drives
            os.fsync(handle)
    finally:
        os.close(handle)


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def _copy_metadata(path: Path, copy: Path, before: os.stat_result, modified_ns: int) -> None:
    made = copy.stat()
    if (made.st_uid, made.st_gid) != (before.st_uid, before.st_gid) and hasattr(os, "chown"):
        try:
            os.chown(copy, before.st_uid, before.st_gid)
        except OSError as error:
            raise TagError("it belongs to another user or group") from error
    shutil.copystat(path, copy)
    os.utime(copy, ns=(before.st_atime_ns, modified_ns))


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
