"""Write files atomically: the final name never holds a partial file."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_atomic(path: Path, content: bytes) -> None:
    """Write a temporary file next to ``path``, then rename it.

    Raises
    ------
    OSError
        if the file can't be written, or ``path`` is a folder, a device or write-protected. An
        existing file stays unchanged.
    """
    with open_atomic(path) as file:
        file.write(content)


@contextmanager
def open_atomic(path: Path) -> Iterator[BinaryIO]:
    """Open a file for atomic writing, which gets its name if the block ends without an error.

    It has the permissions of the file that it replaces.

    Raises
    ------
    OSError
        as :func:`write_atomic`.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise OSError(errno.EEXIST, "It exists and is not a file", str(path))
    if path.exists() and is_write_protected(path):
        raise PermissionError(errno.EACCES, "It is write-protected", str(path))
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:50]}.", suffix=".part", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def is_write_protected(path: Path) -> bool:
    """Check whether a file is write-protected; replacing it would bypass the protection."""
    return not path.stat().st_mode & 0o222 or not os.access(path, os.W_OK)


def can_write_into(folder: Path) -> bool:
    """Check by a temporary file whether files can be written into a folder.

    If the folder is missing, the nearest one above it is checked, in which it would be created.
    """
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"0")
    except OSError:
        return False
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
