"""Run functions in threads that do not keep the interpreter from exiting."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

_Item = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...]]


class DaemonThreadExecutor(Executor):
    """A ThreadPoolExecutor whose threads are daemons, and are replaced if they end.

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
        self._items: deque[_Item] = deque()
        # At least one for each item, so that none is lost with a thread that ends before it takes
        # its item.
        self._tokens = threading.Semaphore(0)
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._is_shut_down = False

    @property
    def has_all_threads(self) -> bool:
        """True if the largest number of threads runs."""
        with self._lock:
            return len(self._threads) == self._max_threads

    def submit(self, function: Callable[..., Any], /, *args: Any) -> "Future[Any]":  # type: ignore[override]  # no keywords needed
        """Queue a call.

        Raises
        ------
        RuntimeError
            after :meth:`shutdown`, or if no thread can be started.
        """
        with self._lock:
            if self._is_shut_down:
                raise RuntimeError("cannot submit after shutdown")
            if len(self._threads) < self._max_threads:
                self._start_thread()
            future: Future[Any] = Future()
            self._items.append((future, function, args))
            self._tokens.release()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads when the queue is empty."""
        with self._lock:
            self._is_shut_down = True
            dropped = list(self._items) if cancel_futures else []
            if cancel_futures:
                self._items.clear()
            threads = list(self._threads)
            self._tokens.release()
        # Not while holding the lock: callbacks may wait for locks of threads that wait for ours.
        for future, _, _ in dropped:
            future.cancel()
        if wait:
            for thread in threads:
                thread.join()

    def _start_thread(self) -> None:
        """Start a thread; the caller holds the lock.

        Raises
        ------
        RuntimeError
            if the system can't start one, and there is no other.
        """
        name = f"{self._name}-{len(self._threads)}"
        thread = threading.Thread(target=self._run, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            if not self._threads:
                raise
        else:
            self._threads.append(thread)

    def _run(self) -> None:
        """Work, and start another thread if this one ends by an exception."""
        try:
            self._work()
        except BaseException:
            with self._lock:
                self._threads.remove(threading.current_thread())
                self._tokens.release()
                self._start_thread()
            raise

    def _work(self) -> None:
        while True:
            self._tokens.acquire()
            try:
                future, function, args = self._items.popleft()
            except IndexError:
                if self._is_shut_down:
                    self._tokens.release()  # for the next thread
                    return
                continue
            try:
                if future.set_running_or_notify_cancel():
                    future.set_result(function(*args))
            except BaseException as error:
                if not future.done():
                    future.set_exception(error)
            del future, function, args  # while waiting, nothing is kept alive
