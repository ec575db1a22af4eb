"""Change a file by way of a whole copy beside it, so that no crash leaves half of one."""

import os
import secrets
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pocketgenre.atomic_write import is_write_protected
from pocketgenre.library.tags.genre_tag import TagError

_PREFIX, _SUFFIX = ".pocketgenre-", ".part"


def new_temporary(path: Path) -> Path:
    """A name beside ``path`` that nothing bears; short, as the song's may be as long as can be."""
    return path.with_name(f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}")


def remove_stray(temporary: Path) -> bool:
    """Remove a copy that a crash left behind, and nothing that couldn't be one of ours."""
    name = temporary.name
    if not (name.startswith(_PREFIX) and name.endswith(_SUFFIX)):
        return False
    try:
        if not stat.S_ISREG(temporary.lstat().st_mode):
            return False
        temporary.unlink()
    except OSError:
        return False
    return True


def check_replaceable(path: Path) -> os.stat_result:
    """Refuse a file whose replacement would change more than its content.

    Raises
    ------
    TagError
        it is a link or has a second name, which would go on with the old content; or it is
        write-protected.
    OSError
        it isn't there.
    """
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise TagError("it is a link; tag the file that it leads to")
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
    """Copy a file, change the copy, and put it in the file's place.

    The copy takes over permissions, owner, extended attributes and both times, and is on the
    disk before it gets the file's name.

    Parameters
    ----------
    path : the file
    before : what :func:`check_replaceable` said of it, before it was read
    temporary : name of the copy, in the same folder
    change : changes the copy in place; what it raises leaves the file as it is

    Raises
    ------
    TagError
        the file was changed by someone else meanwhile, or its owner can't be kept.
    OSError
        there is no room, say.
    """
    try:
        with open(path, "rb") as source, open(temporary, "xb", opener=_private) as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
        change(temporary)
        _take_over(path, temporary, before)
        with open(temporary, "rb") as copy:
            os.fsync(copy.fileno())
        if _identity(path.lstat()) != _identity(before):
            raise TagError("it was changed by another program meanwhile; try again")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make sure that a new name in a folder outlives a power cut, where the file system can."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some of cards and networks have no such thing
            os.fsync(handle)
    finally:
        os.close(handle)


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def _take_over(path: Path, copy: Path, before: os.stat_result) -> None:
    made = copy.stat()
    if (made.st_uid, made.st_gid) != (before.st_uid, before.st_gid):
        try:
            os.chown(copy, before.st_uid, before.st_gid)
        except OSError as error:
            raise TagError("it belongs to another user or group") from error
    shutil.copystat(path, copy)
    os.utime(copy, ns=(before.st_atime_ns, before.st_mtime_ns))  # as it was before we read it


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
