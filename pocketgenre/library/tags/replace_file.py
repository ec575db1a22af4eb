"""Change a file by replacing it with a changed copy, so that a crash leaves no partial file."""

import os
import secrets
import shutil
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pocketgenre.atomic_write import is_write_protected
from pocketgenre.library.tags.genre_tag import TagError

_PREFIX, _SUFFIX = ".pocketgenre-", ".part"


def new_temporary(path: Path) -> Path:
    """Return an unused name next to ``path``, which is short even if that of ``path`` is long."""
    return path.with_name(f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}")


def remove_leftover(temporary: Path) -> None:
    """Remove a copy that a crash left behind, and no other file."""
    name = temporary.name
    if name.startswith(_PREFIX) and name.endswith(_SUFFIX):
        with suppress(OSError):
            if stat.S_ISREG(temporary.lstat().st_mode):
                temporary.unlink()


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


def replace_changed(
    path: Path, before: os.stat_result, temporary: Path, change: Callable[[Path], None]
) -> None:
    """Copy a file, change the copy, and replace the file with it.

    The copy has the same permissions, owner, extended attributes and times, and is synced to the
    disk before it is renamed.

    Parameters
    ----------
    path : the file
    before : result of :func:`check_replaceable` before the file was read
    temporary : path of the copy, in the same folder
    change : function that changes the copy in place; if it raises, the file stays unchanged

    Raises
    ------
    TagError
        if another program changed the file meanwhile, or its owner can't be kept.
    OSError
        if the copy can't be written.
    """
    try:
        with open(path, "rb") as source, open(temporary, "xb", opener=_private) as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
        change(temporary)
        _copy_metadata(path, temporary, before)
        with open(temporary, "rb") as copy:
            os.fsync(copy.fileno())
        if _identity(path.lstat()) != _identity(before):
            raise TagError("it was changed by another program meanwhile; try again")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


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


def _copy_metadata(path: Path, copy: Path, before: os.stat_result) -> None:
    made = copy.stat()
    if (made.st_uid, made.st_gid) != (before.st_uid, before.st_gid) and hasattr(os, "chown"):
        try:
            os.chown(copy, before.st_uid, before.st_gid)
        except OSError as error:
            raise TagError("it belongs to another user or group") from error
    shutil.copystat(path, copy)
    os.utime(copy, ns=(before.st_atime_ns, before.st_mtime_ns))  # the times before it was read


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
