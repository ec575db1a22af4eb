"""Detect programs that have a file open for writing, by a read lease of Linux."""

import errno
import signal
from types import TracebackType
from typing import Self

from pocketgenre.library.tags.genre_tag import FileInUseError

_REASON = "another program has it open for writing; try again when that is done"


class ReadLease:
    """A read lease on an open file.

    The kernel grants it only while no program has the file open for writing. A program that opens
    the file for writing later waits until the lease ends, so that nothing is written in between
    unnoticed. Without leases (macOS, Windows, some network drives) nothing is detected.

    Parameters
    ----------
    handle : descriptor of the file, open for reading only

    Raises
    ------
    FileInUseError
        if a program has the file open for writing.
    """

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self.is_held = _acquire(handle)

    def check(self) -> None:
        """Check that no program waits to write into the file.

        Raises
        ------
        FileInUseError
            if one does. It continues when the lease ends.
        """
        if self.is_held and not _is_unbroken(self._handle):
            raise FileInUseError(_REASON)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.is_held:
            _release(self._handle)


def _acquire(handle: int) -> bool:
    try:
        import fcntl
    except ModuleNotFoundError:  # on Windows
        return False
    if not hasattr(fcntl, "F_SETLEASE"):  # on macOS
        return False
    try:
        # A broken lease would send SIGIO, which ends a process. SIGURG is ignored by default.
        fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        if error.errno == errno.EAGAIN:
            raise FileInUseError(_REASON) from error
        return False  # the file system has no leases, or the file has another owner
    return True


def _is_unbroken(handle: int) -> bool:
    import fcntl

    return fcntl.fcntl(handle, fcntl.F_GETLEASE) == fcntl.F_RDLCK


def _release(handle: int) -> None:
    import fcntl

    fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
