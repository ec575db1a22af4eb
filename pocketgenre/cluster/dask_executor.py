"""Run jobs on a Dask cluster, a few per thread at a time."""

import logging
import queue
import re
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from distributed import Client, Future, KilledWorker, Scheduler, Security

from pocketgenre.cluster.dask_worker import MAX_ATTEMPTS, JobPlugin, remove_plugin, run_job
from pocketgenre.cluster.fsspec_files import list_address
from pocketgenre.errors import PocketGenreError
from pocketgenre.jobs.pool import JobResults
from pocketgenre.jobs.process import JobFailure, JobSetup
from pocketgenre.library.discovery import FolderListing, is_address, list_songs

_ADDRESS = re.compile(r"(tcp|tls)://.+:\d+|inproc://.+")  # the last within one process

_JOBS_PER_THREAD = 3
"""Jobs submitted per thread of the cluster: one runs, the others wait.

Not all at once, since the scheduler keeps submitted jobs in memory.
"""

_PLUGIN_PREFIX = "pocketgenre/"
"""Beginning of a plug-in's name; the id of its client follows."""

_LOST = object()
"""Result of a job that Dask does not repeat any more."""

_SKIPPED = JobFailure(
    f"it was tried {MAX_ATTEMPTS} times, and the cluster lost its worker each time"
)
_DISCONNECTED = (
    "The connection to the Dask scheduler is lost; results so far are stored, and the same command"
    " continues."
)
_POLL_SECONDS = 0.2
_CONNECT_TIMEOUT = 5.0  # seconds
_WORKERS_TIMEOUT = 30.0  # seconds until the first worker has connected
_FETCH_THREADS = 8
_THREAD_COUNT_SECONDS = 2.0  # between two queries of the number of threads


@contextmanager
def open_cluster(address: str) -> Iterator["DaskExecutor"]:
    """Connect to the scheduler of a cluster.

    Raises
    ------
    PocketGenreError
        if no scheduler answers, or it has no workers.
    """
    if not _ADDRESS.match(address):
        raise PocketGenreError(
            f"{address} is not the address of a Dask scheduler, such as tcp://scheduler:8786."
        )
    if address.startswith("tls:") and not Security().tls_client_cert:
        raise PocketGenreError(
            f"Dask has no certificate for {address}; name one in its setting"
            " distributed.comm.tls.client.cert."
        )
    # Its log is for administrators of a cluster; errors for the user are raised.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = Client(address, timeout=_CONNECT_TIMEOUT, set_as_default=False, name="pocketgenre")
    except (OSError, TimeoutError, ValueError) as error:
        raise PocketGenreError(
            f"No Dask scheduler answers at {address}; start one by: dask scheduler"
        ) from error
    try:
        with suppress(TimeoutError):
            client.wait_for_workers(1, timeout=_WORKERS_TIMEOUT)
        if not client.nthreads():
            raise PocketGenreError(
                f"The cluster at {address} has no workers; start some by: dask worker {address}"
            )
        yield DaskExecutor(client)
    finally:
        with suppress(Exception):  # the scheduler may be gone
            client.close()


class DaskExecutor:
    """Executor that runs jobs on a Dask cluster.

    Dask repeats the jobs of a lost worker, but not a job that several lost workers were processing
    (the scheduler's ``allowed-failures``). Another job may have been the cause. So the job is tried
    again after all others, and a last time on its own, before it is skipped.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def list_songs(self, folder: Path) -> FolderListing:
        """List the songs below a folder that all workers can read, or at an address.

        Raises
        ------
        PocketGenreError
            if it can't be listed.
        """
        return list_address(folder) if is_address(folder) else list_songs(folder)

    def map(
        self, jobs: Iterable[Any], setup: JobSetup, is_interrupted: Callable[[], bool]
    ) -> JobResults:
        """Process each job once; see :class:`pocketgenre.jobs.executors.Executor`.

        Raises
        ------
        PocketGenreError
            if the workers can't process jobs, or the connection is lost.
        """
        plugin = f"{_PLUGIN_PREFIX}{self._client.id}/{uuid.uuid4().hex}"
        submitted: dict[str, tuple[Future, _Task]] = {}
        tasks = _Tasks(jobs)
        fetcher = _ResultFetcher()
        threads = _ThreadCount(self._client)
        try:
            self._remove_abandoned_plugins()
            self._install(plugin, setup)
            while not is_interrupted():
                free = max(0, _JOBS_PER_THREAD * threads.count() - len(submitted))
                batch = list(islice(tasks, free))
                if not batch and not submitted:
                    batch = tasks.next_alone()
                for task in batch:
                    key = f"{plugin}-{task.number}-{task.attempt}"
                    future = self._client.submit(run_job, plugin, task.job, key=key, pure=False)
                    submitted[key] = future, task
                    future.add_done_callback(fetcher.fetch)
                if not submitted:
                    return
                if fetched := fetcher.wait(_POLL_SECONDS):
                    key, result = fetched
                    _, task = submitted.pop(key)
                    if result is _LOST and task.attempt < MAX_ATTEMPTS:
                        tasks.retry(task)
                    else:
                        yield task.job, _SKIPPED if result is _LOST else result
                else:
                    self._check_connection()
        finally:
            fetcher.close()
            with suppress(Exception):  # the scheduler may be gone
                self._client.cancel([future for future, _ in submitted.values()], force=True)
            self._remove(plugin)

    def _install(self, plugin: str, setup: JobSetup) -> None:
        try:
            self._client.register_plugin(JobPlugin(setup), name=plugin)
        except PocketGenreError:
            raise
        except Exception as error:  # anything that a worker raises
            raise PocketGenreError(
                f"The cluster's workers cannot be set up ({type(error).__name__}: {error}); install"
                " pocketgenre and its extra cluster for them, the same version as here."
            ) from error

    def _remove_abandoned_plugins(self) -> None:
        """Remove plug-ins that killed scans left on the workers."""
        with suppress(Exception):  # the scheduler may lack pocketgenre
            for plugin in self._client.run_on_scheduler(_abandoned_plugins):
                self._remove(plugin)

    def _remove(self, plugin: str) -> None:
        try:
            self._client.unregister_worker_plugin(plugin)
        except Exception:  # at a lost worker Dask stops before it reaches the others
            with suppress(Exception):
                self._client.run(remove_plugin, plugin, on_error="ignore")

    def _check_connection(self) -> None:
        if self._client.status not in ("running", "connecting"):
            raise PocketGenreError(_DISCONNECTED)


@dataclass(frozen=True)
class _Task:
    job: Any
    number: int
    attempt: int = 1


class _Tasks(Iterator[_Task]):
    """Iterator over the jobs as tasks, followed by the tasks to try again."""

    def __init__(self, jobs: Iterable[Any]) -> None:
        self._new = (_Task(job, number) for number, job in enumerate(jobs))
        self._retries: deque[_Task] = deque()
        self._alone: deque[_Task] = deque()

    def retry(self, task: _Task) -> None:
        """Queue a task again; its last attempt comes after all others."""
        task = replace(task, attempt=task.attempt + 1)
        (self._retries if task.attempt < MAX_ATTEMPTS else self._alone).append(task)

    def next_alone(self) -> list[_Task]:
        """Return the next task for its last attempt, to run on its own; empty if there is none."""
        return [self._alone.popleft()] if self._alone else []

    def __next__(self) -> _Task:
        task = next(self._new, None)
        if task is None and not self._retries:
            raise StopIteration
        return task or self._retries.popleft()


class _ResultFetcher:
    """Fetch results from the workers, several at a time.

    Dask takes half a minute to detect a worker that is lost before its result is fetched; the other
    results don't wait for it.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_FETCH_THREADS)
        self._results: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()

    def fetch(self, future: Future) -> None:
        """Fetch the result of a finished task in the background."""
        with suppress(RuntimeError):  # closed
            self._threads.submit(self._fetch, future)

    def wait(self, seconds: float) -> tuple[str, Any] | None:
        """Return the key of a task and its result; None after a timeout.

        Raises
        ------
        PocketGenreError
            if a worker can't process jobs.
        """
        try:
            key, result = self._results.get(timeout=seconds)
        except queue.Empty:
            return None
        if isinstance(result, BaseException):
            raise _explain(result) from result
        return key, result

    def close(self) -> None:
        """Stop fetching results."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _fetch(self, future: Future) -> None:
        try:
            result = future.result()
        except KilledWorker:
            result = _LOST
        except BaseException as error:  # raised in wait()
            result = error
        self._results.put((future.key, result))


class _ThreadCount:
    """Number of threads of a cluster, which changes; it is queried every two seconds."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._count = 1
        self._until = 0.0

    def count(self) -> int:
        """Return the number of threads, at least 1 since a worker may connect."""
        if time.monotonic() > self._until:
            with suppress(OSError, TimeoutError):  # the client reconnects
                self._count = max(1, sum(self._client.nthreads().values()))
            self._until = time.monotonic() + _THREAD_COUNT_SECONDS
        return self._count


def _abandoned_plugins(dask_scheduler: Scheduler) -> list[str]:
    """Return the plug-ins whose clients are gone."""
    plugins = [name for name in dask_scheduler.worker_plugins if name.startswith(_PLUGIN_PREFIX)]
    clients = dask_scheduler.clients
    return [n for n in plugins if n.removeprefix(_PLUGIN_PREFIX).split("/")[0] not in clients]


def _explain(error: BaseException) -> PocketGenreError:
    if isinstance(error, PocketGenreError):
        return error
    if isinstance(error, CancelledError | OSError):  # of Dask: no job raises these
        return PocketGenreError(_DISCONNECTED)
    return PocketGenreError(
        f"A worker of the cluster cannot process jobs ({type(error).__name__}: {error}); install"
        " pocketgenre and its extra cluster there, the same version as here."
    )
