"""Run functions in threads that do not keep the interpreter from exiting."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

_Item = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...]]


class DaemonThreadExecutor(Executor):
    """A ThreadPoolExecutor whose threads are daemons.

    The interpreter waits for the threads of a ThreadPoolExecutor at its exit, and so for every job
    that a forgotten generator has started.

    Parameters
    ----------
    max_threads : largest number of threads
    name : prefix of the threads' names
    """

    def __init__(self, max_threads: int, name: str) -> None:
        self._max_threads = max_threads
        self._name = name
        self._items: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._is_shut_down = False

    def submit(self, function: Callable[..., Any], /, *args: Any) -> "Future[Any]":  # type: ignore[override]  # no keywords needed
        """Queue a call.

        Raises
        ------
        RuntimeError
            after :meth:`shutdown`.
        """
        with self._lock:
            if self._is_shut_down:
                raise RuntimeError("cannot submit after shutdown")
            future: Future[Any] = Future()
            self._items.put((future, function, args))
            if len(self._threads) < self._max_threads:
                name = f"{self._name}-{len(self._threads)}"
                thread = threading.Thread(target=self._work, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads when the queue is empty."""
        with self._lock:
            self._is_shut_down = True
            if cancel_futures:
                self._cancel_queued()
            for _ in self._threads:
                self._items.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _cancel_queued(self) -> None:
        while True:
            try:
                item = self._items.get_nowait()
            except queue.Empty:
                return
            if item:
                item[0].cancel()

    def _work(self) -> None:
        while (item := self._items.get()) is not None:
            future, function, args = item
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function(*args))
                except BaseException as error:
                    future.set_exception(error)
            del item, future, function, args  # while waiting, nothing is kept alive
