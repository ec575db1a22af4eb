"""Watch a folder for new songs, and wait until they are complete."""

import os
import queue
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from watchdog.events import (
    FileClosedNoWriteEvent,
    FileOpenedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from pocketgenre.errors import PocketGenreError

SETTLE_SECONDS = 2.0
"""Time without a write after which a file counts as complete [s]."""

_POLL_SECONDS = 0.2


def watch_for_changes(
    folder: Path, is_interrupted: Callable[[], bool], settle_seconds: float = SETTLE_SECONDS
) -> Iterator[frozenset[str]]:
    """Wait repeatedly for changes in a folder.

    A scan determines the changes. A file whose writer pauses for longer than
    ``settle_seconds`` is classified twice.

    Yields
    ------
    frozenset of str
        paths of files that are still being written and must not be scanned

    Raises
    ------
    PocketGenreError
        if the folder can't be watched.
    """
    events: queue.Queue[str] = queue.Queue()
    observer = Observer()
    observer.schedule(_Handler(events), str(folder), recursive=True)
    try:
        observer.start()
    except OSError as error:
        raise PocketGenreError(
            f"{folder} cannot be watched ({error.strerror or error}); scan it again instead."
        ) from error
    try:
        # The first round finds what has changed between the scan and the watch.
        last_event = {str(folder): time.monotonic()}
        while not is_interrupted():
            for path in _pending(events):
                last_event[path] = time.monotonic()
            now = time.monotonic()
            settled = [path for path, t in last_event.items() if now - t >= settle_seconds]
            for path in settled:
                del last_event[path]
            if settled:
                yield frozenset(last_event)
    finally:
        observer.stop()
        observer.join()


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


def _pending(events: "queue.Queue[str]") -> Iterator[str]:
    try:
        yield events.get(timeout=_POLL_SECONDS)
        while True:
            yield events.get_nowait()
    except queue.Empty:
        return
