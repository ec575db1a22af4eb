"""On a worker of the cluster: jobs are done in processes of their own, as they are at home.

What crashes a decoder ends such a process and not the worker, which only waits, and so can wait in
as many threads as the machine has cores.
"""

import dataclasses
import queue
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any

from distributed import Worker as DaskWorker
from distributed import WorkerPlugin, get_worker

from pocketgenre.cluster.fsspec_files import fetched
from pocketgenre.jobs.pool import JobFailure, Worker, WorkerCrash
from pocketgenre.jobs.worker_process import JobSetup
from pocketgenre.library.discovery import is_address

TRIES = 3
"""Of a job whose worker is lost, whose process is killed, or whose file doesn't come."""

_PAUSE = 0.5  # seconds before another try; doubled each time


class JobPlugin(WorkerPlugin):  # type: ignore[misc]
    """Where a worker's jobs are done.

    As a plug-in it is sent to each worker once, with the model in it; also to those that join
    later.

    Parameters
    ----------
    set_up : makes, in a process, what answers jobs
    """

    def __init__(self, set_up: JobSetup) -> None:
        self._set_up = set_up  # a worker's own things come by setup, since a lock isn't pickled

    def setup(self, worker: DaskWorker) -> None:
        """Begin on a worker; Dask calls it."""
        self._folder = worker.local_directory
        self._processes: set[Worker] = set()
        self._idle: queue.LifoQueue[Worker] = queue.LifoQueue()
        self._guard = threading.Lock()  # so that none is begun while all are ended
        self._over = False

    def teardown(self, worker: DaskWorker) -> None:  # noqa: ARG002  # as Dask calls it
        """End all processes, whatever they are at; Dask calls it."""
        with self._guard:
            self._over = True
            for process in self._processes:
                process.stop()

    def do(self, job: Any) -> Any:
        """Answer a job, wherever its file is.

        Raises
        ------
        PocketGenreError
            no process can be started, or be set up.
        """
        for number in range(1, TRIES + 1):
            try:
                with self._near(job) as near:
                    answer = self._ask(near)
            except OSError as error:
                reason = f"cannot be read: {error.strerror or error}"
                answer = JobFailure(reason, passing=True)
                if isinstance(error, FileNotFoundError | PermissionError):
                    return answer
            else:
                if answer != WorkerCrash(-signal.SIGKILL):
                    return answer.explained(job) if isinstance(answer, WorkerCrash) else answer
                answer = JobFailure(
                    f"{TRIES} worker processes were killed from outside while at it"
                )
            if number < TRIES:
                time.sleep(_PAUSE * 2 ** (number - 1))
        return answer

    @contextmanager
    def _near(self, job: Any) -> Iterator[Any]:
        """The job, its file brought here if it is far."""
        path = getattr(job, "path", None)
        if path is None or not is_address(path):
            yield job
            return
        with fetched(path, job.seconds, self._folder) as copy:
            yield dataclasses.replace(job, path=copy)

    def _ask(self, job: Any) -> Any:
        try:
            process = self._idle.get_nowait()
        except queue.Empty:
            process = self._begin()
        process.give(job)
        try:
            while (answered := process.answer()) is None:
                pass
        finally:
            if process.dead:
                with self._guard:
                    self._processes.discard(process)
        if not process.dead:
            self._idle.put(process)
        return answered[1]

    def _begin(self) -> Worker:
        with self._guard:
            if self._over:
                raise CancelledError
            process = Worker(self._set_up)
            self._processes.add(process)
            return process


def do(bench: str, job: Any) -> Any:
    """A task of the cluster: a job at a bench, by its name."""
    return get_worker().plugins[bench].do(job)


async def put_away(bench: str, dask_worker: DaskWorker) -> None:
    """End what is left of a bench, by its name, on a worker."""
    if bench in dask_worker.plugins:
        await dask_worker.plugin_remove(name=bench)
