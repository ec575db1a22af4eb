"""Write files so that a half-written one never stands under the final name."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_atomic(path: Path, content: bytes) -> None:
    """Write to a temporary file beside ``path``, then rename it over ``path``.

    Raises
    ------
    OSError
        it can't be written, or a folder, a device or something write-protected stands there; what
        stood at ``path`` is untouched.
    """
    with open_atomic(path) as file:
        file.write(content)


@contextmanager
def open_atomic(path: Path) -> Iterator[BinaryIO]:
    """The same for what is written piece by piece: it is there when the block is left.

    It has the permissions of what stood there.

    Raises
    ------
    OSError
        as :func:`write_atomic`.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise OSError(errno.EEXIST, "Something that is not a file stands there", str(path))
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
    """Whether a file is not to be written to; putting another in its place would get past that."""
    return not path.stat().st_mode & 0o222 or not os.access(path, os.W_OK)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
