"""Run jobs in a pool of worker processes, and replace processes that end."""

import atexit
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from contextlib import closing
from itertools import islice
from typing import Any, Self

from pocketgenre.jobs.daemon_threads import DaemonThreadExecutor
from pocketgenre.jobs.process import (
    START_TIMEOUT,
    Job,
    JobFailure,
    JobSetup,
    WorkerProcess,
    WorkerStartError,
)

__all__ = ["JobFailure", "JobResults", "JobSetup", "WorkerPool", "map_jobs", "usable_cores"]

# One job runs and one waits, so that a worker does not wait for the parent.
_JOBS_PER_WORKER = 2
_POLL_SECONDS = 0.2
_RESTART_SECONDS = 1.0

JobResults = Generator[tuple[Any, Any], None, None]
"""Jobs with their results, in the order of completion.

A result is what the setup's function returned, or a :class:`JobFailure`."""


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _never() -> bool:
    return False


_pools: "weakref.WeakSet[WorkerPool]" = weakref.WeakSet()


@atexit.register
def _terminate_all() -> None:
    """End the pools that a forgotten generator has left open at the interpreter's exit."""
    for pool in list(_pools):
        pool.terminate()


def map_jobs(
    jobs: Iterable[Job],
    setup: JobSetup,
    workers: int,
    is_interrupted: Callable[[], bool] = _never,
) -> JobResults:
    """Process jobs in worker processes, or in this process.

    Parameters
    ----------
    jobs : iterable, consumed a few jobs at a time
    setup : see :data:`pocketgenre.jobs.process.JobSetup`
    workers : number of processes; 0 to run in this one (a crash of a decoder is not caught)
    is_interrupted : polled; once it returns True the results end and running jobs are dropped

    Yields
    ------
    job, result
        in the order of completion

    Raises
    ------
    PocketGenreError
        if no worker can be started, or the setup fails.
    """
    if workers:
        with WorkerPool(setup, workers) as pool, closing(pool.map(jobs, is_interrupted)) as results:
            yield from results
        return
    process_job = setup()
    for job in jobs:
        if is_interrupted():
            return
        yield job, process_job(job)


class WorkerPool:
    """A pool of worker processes.

    A process is started when a job needs one, or by :meth:`start`. A job that crashes, blocks or
    exhausts its process loses only that process. Threads wait for the processes, so that jobs can
    be submitted from any thread.

    Parameters
    ----------
    setup : see :data:`pocketgenre.jobs.process.JobSetup`
    workers : largest number of processes
    killed_retries : repetitions of a job whose process was killed from outside

    Attributes
    ----------
    crashes : number of processes that crashed or were killed
    busy : number of jobs that are being processed
    seconds_per_job : mean time of recent jobs [s]
    """

    def __init__(self, setup: JobSetup, workers: int, *, killed_retries: int = 0) -> None:
        self.workers = workers
        self.crashes = 0
        self.busy = 0
        self._setup = setup
        self._killed_retries = killed_retries
        self._threads = DaemonThreadExecutor(workers, "pocketgenre-worker")
        self._lock = threading.Lock()
        self._processes: set[WorkerProcess] = set()
        self._idle: list[WorkerProcess] = []
        self._unfinished = 0
        self._keeps_ready = False
        self._is_closed = False
        self._is_terminated = False
        self.seconds_per_job = 1.0
        _pools.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate()

    def start(self) -> None:
        """Start all processes, keep them running from now on, and wait until they are ready.

        Raises
        ------
        PocketGenreError
            if a process can't be started, or the setup fails.
        """
        self._keeps_ready = True
        starting = [self._threads.submit(self._add_idle) for _ in range(self.workers)]
        try:
            for future in starting:
                future.result(START_TIMEOUT)
        except TimeoutError:
            self.terminate()
            raise WorkerStartError("The worker processes do not start.") from None
        except BaseException:
            self.terminate()
            raise

    @property
    def is_ready(self) -> bool:
        """True if every process runs and has been set up, and every thread waits for one."""
        with self._lock:
            self._drop_ended()
            ready = sum(process.is_ready for process in self._processes)
            is_complete = ready == self.workers and self._threads.has_all_threads
            return is_complete and not self._is_closed

    @property
    def queued(self) -> int:
        """Number of jobs that no worker has begun."""
        with self._lock:
            return max(0, self._unfinished - self.busy)

    def submit(self, job: Job) -> "Future[Any]":
        """Queue a job.

        Returns
        -------
        Future
            with the result of the setup's function, or a :class:`JobFailure`; or with the
            PocketGenreError that no worker can be started. Cancelling it removes a queued job.
        """
        with self._lock:
            self._unfinished += 1
        try:
            future = self._threads.submit(self._run, job)
        except RuntimeError:
            with self._lock:
                self._unfinished -= 1
            raise
        future.add_done_callback(self._count_finished)
        return future

    def map(self, jobs: Iterable[Job], is_interrupted: Callable[[], bool] = _never) -> JobResults:
        """Process jobs, as :func:`map_jobs` does."""
        waiting = iter(jobs)
        in_flight: dict[Future[Any], Any] = {}
        finished: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        try:
            while not is_interrupted():
                free = self.workers * _JOBS_PER_WORKER - len(in_flight)
                for job in islice(waiting, free):
                    future = self.submit(job)
                    in_flight[future] = job
                    future.add_done_callback(finished.put)
                if not in_flight:
                    return
                try:
                    future = finished.get(timeout=_POLL_SECONDS)
                except queue.Empty:
                    continue
                yield in_flight.pop(future), future.result()
        finally:
            for future in in_flight:
                future.cancel()

    def close(self) -> None:
        """Process the queued jobs, then end all processes."""
        self._is_closed = True
        self._threads.shutdown(wait=True)
        self.terminate()

    def terminate(self) -> None:
        """Drop the queued jobs and end all processes at once."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            self._is_closed = self._is_terminated = True
            processes = list(self._processes)
        for process in processes:
            process.kill()
        self._threads.shutdown(wait=True)

    def _run(self, job: Job) -> Any:
        begin = time.monotonic()
        with self._lock:
            self.busy += 1
        try:
            for attempt in range(self._killed_retries + 1):
                result = self._run_once(job)
                was_killed = isinstance(result, JobFailure) and result.kind == "killed"
                if not was_killed or attempt == self._killed_retries or self._is_terminated:
                    break
            return result
        finally:
            with self._lock:
                self.busy -= 1
                self.seconds_per_job += (time.monotonic() - begin - self.seconds_per_job) / 8

    def _run_once(self, job: Job) -> Any:
        with self._lock:
            self._drop_ended()
            process = self._idle.pop() if self._idle else self._launch()
        try:
            process.wait_until_ready()
            return process.run(job)
        finally:
            self._put_back(process)

    def _launch(self) -> WorkerProcess:
        """Start a process; the caller holds the lock."""
        if self._is_terminated:
            raise WorkerStartError("The worker pool has been terminated.")
        process = WorkerProcess(self._setup)
        self._processes.add(process)
        return process

    def _put_back(self, process: WorkerProcess) -> None:
        """Make a process idle, or replace it if it has ended."""
        with self._lock:
            self._idle.append(process)
            self._drop_ended()

    def _drop_ended(self) -> None:
        """Drop idle processes that have ended, and replace them; the caller holds the lock."""
        for process in [process for process in self._idle if not process.is_running]:
            process.kill()  # closes its pipes
            self._idle.remove(process)
            self._processes.discard(process)
            if process.is_ready:
                self.crashes += 1
                self._restart()

    def _add_idle(self) -> None:
        """Start a process if one is missing; it waits for a job."""
        with self._lock:
            if self._is_closed or len(self._processes) >= self.workers:
                return
            process = self._launch()
        try:
            process.wait_until_ready()
        finally:
            self._put_back(process)

    def _restart(self) -> None:
        """Start a process in place of one that has ended; try again until it starts."""
        if not self._keeps_ready or self._is_closed:
            return
        try:
            future = self._threads.submit(self._add_idle)
        except RuntimeError:  # the pool is being closed
            return

        def retry(done: "Future[None]") -> None:
            if not done.cancelled() and done.exception():
                timer = threading.Timer(_RESTART_SECONDS, self._restart)
                timer.daemon = True
                timer.start()

        future.add_done_callback(retry)

    def _count_finished(self, _: "Future[Any]") -> None:
        with self._lock:
            self._unfinished -= 1
