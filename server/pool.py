"""Workers that answer jobs as they come, each replaced when a file kills it.

The processes are the scanner's. A thread attends to each: it hands over a job, waits for the
answer, and starts another process where one has died.
"""

import queue
import signal
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Protocol

from pocketgenre.jobs.worker_process import JobSetup

from pocketgenre.errors import PocketGenreError
from pocketgenre.jobs.pool import Worker, WorkerCrash

_GRACE_SECONDS = 5.0  # beyond a job's time: then the process can't even end itself
_START_SECONDS = 60.0
_PAUSE_SECONDS = 1.0  # before another try to start a process

OVERDUE = WorkerCrash(-signal.SIGALRM)
"""A process that was ended because its job's time was over."""

KILLED = WorkerCrash(-signal.SIGKILL)
"""A process that was ended from outside: the system was out of memory, or a person did it."""


class Job(Protocol):
    """What a worker is given; it has to be picklable."""

    @property
    def seconds(self) -> float:
        """After so long it is given up."""


class Pool:
    """So many workers, and the jobs that wait for one.

    Parameters
    ----------
    set_up : makes, in each worker, what answers jobs
    count : how many workers
    """

    def __init__(self, set_up: JobSetup, count: int) -> None:
        self._set_up = set_up
        self._waiting: queue.SimpleQueue[tuple[Job, Future[Any]] | None] = queue.SimpleQueue()
        self._ready = [threading.Event() for _ in range(count)]
        self._failure: PocketGenreError | None = None
        self._closed = False
        self.deaths = 0
        self.busy = 0
        self._pace = 1.0  # seconds a job
        self._counting = threading.Lock()
        self._threads = [
            threading.Thread(target=self._attend, args=(ready,), name=f"worker {n}", daemon=True)
            for n, ready in enumerate(self._ready)
        ]

    def start(self) -> None:
        """Start the workers and wait until they are ready.

        Raises
        ------
        PocketGenreError
            one can't be started, or not run the model.
        """
        for thread in self._threads:
            thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self.is_ready:
            if self._failure or time.monotonic() > deadline:
                self.close()
                raise self._failure or PocketGenreError("The workers don't start.")
            time.sleep(0.01)

    @property
    def is_ready(self) -> bool:
        """Whether every worker has its model loaded."""
        return not self._closed and all(ready.is_set() for ready in self._ready)

    @property
    def waiting(self) -> int:
        """Jobs that no worker has begun."""
        return self._waiting.qsize()

    @property
    def wait(self) -> float:
        """How long what is waiting will take, in seconds, going by what was done last."""
        return self._pace * self.waiting / len(self._threads)

    def submit(self, job: Job) -> Future[Any]:
        """The answer to come: what the worker says, or the :class:`WorkerCrash` it died.

        To cancel it takes a job from the queue that has not begun.
        """
        promise: Future[Any] = Future()
        self._waiting.put((job, promise))
        return promise

    def close(self) -> None:
        """End the workers once they have done what is waiting."""
        self._closed = True
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _attend(self, ready: threading.Event) -> None:
        worker: Worker | None = None
        while True:
            try:
                worker = worker or self._started()
            except PocketGenreError as error:
                self._failure = error
                self._turn_away()
                if self._closed:
                    return
                time.sleep(_PAUSE_SECONDS)
                continue
            ready.set()
            taken = self._waiting.get()
            if taken is None:
                worker.stop()
                return
            job, promise = taken
            if not promise.set_running_or_notify_cancel():
                continue
            answer = self._answer(worker, job)
            if worker.dead and answer == KILLED:  # not of the job, perhaps: once more
                with suppress(PocketGenreError):
                    worker = self._started()
                    answer = self._answer(worker, job)
            if worker.dead:
                ready.clear()
                worker = None
            promise.set_result(answer)

    def _turn_away(self) -> None:
        """Where no worker can be had, nobody is to wait for one."""
        with suppress(queue.Empty):
            while not any(ready.is_set() for ready in self._ready) and not self._closed:
                taken = self._waiting.get_nowait()
                if taken and taken[1].set_running_or_notify_cancel():
                    taken[1].set_result(KILLED)

    def _started(self) -> Worker:
        worker = Worker(self._set_up)
        if not worker.connection.poll(_START_SECONDS):
            worker.stop()
            raise PocketGenreError("A worker process does not start.")
        worker.answer()
        return worker

    def _answer(self, worker: Worker, job: Job) -> Any:
        begun = time.monotonic()
        with self._counting:
            self.busy += 1
        worker.give(job)
        answer: Any = OVERDUE
        if worker.connection.poll(job.seconds + _GRACE_SECONDS):
            with suppress(PocketGenreError):
                _, answer = worker.answer() or (job, OVERDUE)
        elif not worker.dead:
            worker.stop()
        with self._counting:
            self.busy -= 1
            self._pace += (time.monotonic() - begun - self._pace) / 8
            self.deaths += isinstance(answer, WorkerCrash)
        return answer
