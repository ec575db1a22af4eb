"""Notice when songs arrive in a folder, and when they are whole."""

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

QUIET_SECONDS = 2.0
"""A file that nobody has written to for so long is taken to be whole."""

_PATIENCE = 0.2  # seconds between two looks at whether the watch was interrupted


def settled(
    folder: Path, interrupted: Callable[[], bool], quiet: float = QUIET_SECONDS
) -> Iterator[frozenset[str]]:
    """Wait until something in a folder has changed and come to rest, again and again.

    What has changed is for a scan to find out; it is not to touch what is still being written.
    A writer that pauses for longer is noticed when it goes on, and its file is listened to anew.

    Yields
    ------
    paths of the files that are still restless

    Raises
    ------
    PocketGenreError
        the folder can't be watched.
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
        # So that what came between the scan and the watch is found, too.
        last = {str(folder): time.monotonic()}
        while not interrupted():
            for path in _taken(events):
                last[path] = time.monotonic()
            now = time.monotonic()
            ripe = [path for path, when in last.items() if now - when >= quiet]
            for path in ripe:
                del last[path]
            if ripe:
                yield frozenset(last)
    finally:
        observer.stop()
        observer.join()


class _Handler(FileSystemEventHandler):
    """Passes on the paths that were written, made, moved or removed, not those that were read."""

    def __init__(self, events: "queue.Queue[str]") -> None:
        self._events = events

    def on_any_event(self, event: FileSystemEvent) -> None:
        if isinstance(event, FileOpenedEvent | FileClosedNoWriteEvent):
            return  # that's ourselves, listening
        for path in (event.src_path, event.dest_path):
            if path:
                self._events.put(os.fsdecode(path))


def _taken(events: "queue.Queue[str]") -> Iterator[str]:
    try:
        yield events.get(timeout=_PATIENCE)
        while True:
            yield events.get_nowait()
    except queue.Empty:
        return
