"""Suppress start-up messages that C++ libraries print to stderr."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# Two threads that overlap would restore each other's null device.
_lock = threading.RLock()


@contextmanager
def suppress_stderr() -> Iterator[None]:
    """Redirect file descriptor 2 to the null device, for C++ code as well.

    Does nothing if the process has no stderr.
    """
    with _lock:
        _flush()
        if not _stderr_is_open():
            yield
            return
        saved = os.dup(2)
        try:
            with open(os.devnull, "wb") as null:
                os.dup2(null.fileno(), 2)
            yield
        finally:
            _flush()
            os.dup2(saved, 2)
            os.close(saved)


def _stderr_is_open() -> bool:
    """Check whether file descriptor 2 is stderr, not a file opened after stderr was closed.

    Files that Python opens are not inherited by child processes (PEP 446); stderr is.
    """
    try:
        return os.get_inheritable(2)
    except OSError:
        return False


def _flush() -> None:
    if sys.stderr is not None:
        with suppress(OSError, ValueError):  # closed
            sys.stderr.flush()
