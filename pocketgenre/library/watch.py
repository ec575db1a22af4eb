"""Watch folders for new songs, and wait until they are complete."""

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from watchdog.events import (
    FileClosedNoWriteEvent,
    FileOpenedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from pocketgenre.errors import PocketGenreError

SETTLE_SECONDS = 2.0
"""Time without a write after which a file counts as complete [s]."""

_POLL_SECONDS = 0.2
_IDLE_SECONDS = 1.0  # between two rounds without a change


def watch_for_changes(
    folders: Sequence[str],
    is_interrupted: Callable[[], bool],
    settle_seconds: float = SETTLE_SECONDS,
    report: Callable[[str], object] = lambda _: None,
) -> Iterator[frozenset[str] | None]:
    """Wait repeatedly for changes in folders.

    A scan determines the changes. A file whose writer pauses for longer than
    ``settle_seconds`` is classified twice. A folder that is renamed or unmounted is watched again
    when it is back.

    Parameters
    ----------
    folders : absolute paths
    is_interrupted : polled; once it returns True the rounds end
    settle_seconds : time without a write after which a file counts as complete [s]
    report : called with a sentence when a folder goes or comes back

    Yields
    ------
    frozenset of str or None
        after changes, paths of files that are still being written and must not be scanned. None
        about once per second without a change

    Raises
    ------
    PocketGenreError
        if a folder can't be watched.
    """
    events: queue.Queue[str] = queue.Queue()
    watched = [_WatchedFolder(folder, events) for folder in folders]
    try:
        for folder in watched:
            report(folder.start() or f"Watching {folder.path}; press Ctrl-C to stop.")
        # The first round finds what has changed between the scan and the watch.
        last_event = dict.fromkeys(folders, time.monotonic())
        last_round = time.monotonic()
        while not is_interrupted():
            for path in _pending(events):
                last_event[path] = time.monotonic()
            for folder in watched:
                if sentence := folder.check():
                    report(sentence)
                    last_event[folder.path] = time.monotonic()
            now = time.monotonic()
            settled = [path for path, t in last_event.items() if now - t >= settle_seconds]
            for path in settled:
                del last_event[path]
            if settled and all(folder.is_there for folder in watched):
                yield frozenset(last_event)
                last_round = time.monotonic()
            elif now - last_round >= _IDLE_SECONDS:
                yield None
                last_round = time.monotonic()
    finally:
        for folder in watched:
            folder.stop()


class _WatchedFolder:
    """A folder and its observer, which ends when the folder is renamed or unmounted."""

    def __init__(self, path: str, events: "queue.Queue[str]") -> None:
        self.path = path
        self._events = events
        self._identity: tuple[int, int] | None = None
        self._observer: BaseObserver | None = None

    @property
    def is_there(self) -> bool:
        """True if the folder is being watched."""
        return self._observer is not None

    def start(self) -> str | None:
        """Start watching the folder; return a sentence if it is gone.

        Raises
        ------
        PocketGenreError
            if it is there and can't be watched.
        """
        self._identity = _identity(self.path)
        observer = Observer()
        try:
            observer.schedule(_Handler(self._events), self.path, recursive=True)
            observer.start()
        except OSError as error:
            if _identity(self.path) is None:
                self._identity = None
                return f"{self.path} is gone (renamed or unmounted?); waiting until it is back."
            raise PocketGenreError(
                f"{self.path} cannot be watched ({error.strerror or error}); scan it again instead."
            ) from error
        self._observer = observer
        return None

    def stop(self) -> None:
        """Stop watching the folder."""
        if self._observer is not None:
            # In a thread that nobody waits for: watchdog waits for an event of the folder, which
            # never comes if the folder was renamed.
            threading.Thread(target=self._observer.stop, daemon=True).start()
            self._observer = None

    def check(self) -> str | None:
        """Watch another folder that has the path now; return a sentence after a change."""
        identity = _identity(self.path)
        if identity == self._identity:
            return None
        was_there = self.is_there
        self.stop()
        if gone := self.start():
            return gone if was_there else None
        if was_there:
            return f"{self.path} is another folder now (mounted or unmounted?); watching that."
        return f"{self.path} is back; watching it again."


class _Handler(FileSystemEventHandler):
    """Collect paths that are written, created, moved or removed, but not those that are read."""

    def __init__(self, events: "queue.Queue[str]") -> None:
        self._events = events

    def on_any_event(self, event: FileSystemEvent) -> None:
        if isinstance(event, FileOpenedEvent | FileClosedNoWriteEvent):
            return  # caused by our own decoding
        for path in (event.src_path, event.dest_path):
            if path:
                self._events.put(os.fsdecode(path))


def _identity(folder: str) -> tuple[int, int] | None:
    """Return the device and number of a folder; None if there is no folder at the path."""
    try:
        status = os.stat(folder)  # noqa: PTH116
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _pending(events: "queue.Queue[str]") -> Iterator[str]:
    try:
        yield events.get(timeout=_POLL_SECONDS)
        while True:
            yield events.get_nowait()
    except queue.Empty:
        return
