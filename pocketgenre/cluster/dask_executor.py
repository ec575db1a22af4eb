"""A Dask cluster as an engine: jobs go out a few at a time, and come back as they are done."""

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

from pocketgenre.cluster.dask_worker import TRIES, JobPlugin, do, put_away
from pocketgenre.cluster.fsspec_files import list_address
from pocketgenre.errors import PocketGenreError
from pocketgenre.jobs.pool import Answers, JobFailure
from pocketgenre.jobs.worker_process import JobSetup
from pocketgenre.library.discovery import FolderListing, is_address, list_songs

_ADDRESS = re.compile(r"(tcp|tls)://.+:\d+|inproc://.+")  # the last within one process

_IN_HAND = 3
"""Jobs for each thread of the cluster: the one it is at, and some, so that it need not wait for us.

Not all of them at once: the scheduler holds what it was given in its memory.
"""

_NAME = "pocketgenre/"
"""Of a bench; behind it, whose it is."""

LOST = object()
"""In place of an answer: Dask has given the job up."""

_SET_ASIDE = JobFailure(
    f"it was tried {TRIES} times, and its worker of the cluster was lost each time"
)
_GONE = "The Dask scheduler is gone; what is done is kept, and the same command goes on."
_PATIENCE = 0.2  # seconds between two looks at whether the work was interrupted
_CONNECTING = 5.0  # seconds
_JOINING = 30.0  # seconds that workers may take
_FETCHED_AT_ONCE = 8
_COUNTING = 2.0  # seconds between two looks at how many threads there are


@contextmanager
def open_cluster(address: str) -> Iterator["DaskExecutor"]:
    """Connect with the scheduler of a cluster.

    Raises
    ------
    PocketGenreError
        there is none, or it has no workers.
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
    # Its log is for who runs a cluster; what a person must know of here is raised.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = Client(address, timeout=_CONNECTING, set_as_default=False, name="pocketgenre")
    except (OSError, TimeoutError, ValueError) as error:
        raise PocketGenreError(
            f"No Dask scheduler answers at {address}; start one by: dask scheduler"
        ) from error
    try:
        with suppress(TimeoutError):
            client.wait_for_workers(1, timeout=_JOINING)
        if not client.nthreads():
            raise PocketGenreError(
                f"The cluster at {address} has no workers; start some by: dask worker {address}"
            )
        yield DaskExecutor(client)
    finally:
        with suppress(Exception):  # a scheduler that is gone is no news any more
            client.close()


class DaskExecutor:
    """Does jobs on a cluster.

    A worker that is lost costs what it was at. Dask lets others do that again, and gives a job up
    that too many lost workers had in hand (the scheduler's ``allowed-failures``). Whether the job
    is to blame, or only was where workers died, it can't know: so it is tried again behind all
    others, and a last time alone, before it is set aside.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def list_songs(self, folder: Path) -> FolderListing:
        """Find the songs below a folder that all workers see, or at an address.

        Raises
        ------
        PocketGenreError
            it can't be listed.
        """
        return list_address(folder) if is_address(folder) else list_songs(folder)

    def answer(
        self, jobs: Iterable[Any], set_up: JobSetup, interrupted: Callable[[], bool]
    ) -> Answers:
        """Answer jobs, in the order in which they are done.

        Raises
        ------
        PocketGenreError
            the workers can't do them, or the scheduler is lost.
        """
        bench = f"{_NAME}{self._client.id}/{uuid.uuid4().hex}"
        out: dict[str, tuple[Future, _Task]] = {}
        tasks = _Tasks(jobs)
        fetching = _Fetching()
        threads = _Threads(self._client)
        try:
            self._clear()
            self._set_up(bench, set_up)
            while not interrupted():
                some = list(islice(tasks, max(0, _IN_HAND * threads.count() - len(out))))
                if not some and not out:
                    some = tasks.last()
                for task in some:
                    key = f"{bench}-{task.number}-{task.tries}"
                    future = self._client.submit(do, bench, task.job, key=key, pure=False)
                    out[key] = future, task
                    future.add_done_callback(fetching.begin)
                if not out:
                    return
                if fetched := fetching.wait(_PATIENCE):
                    key, answer = fetched
                    _, task = out.pop(key)
                    if answer is LOST and task.tries < TRIES:
                        tasks.again(task)
                    else:
                        yield task.job, _SET_ASIDE if answer is LOST else answer
                else:
                    self._check()
        finally:
            fetching.end()
            with suppress(Exception):  # the scheduler is gone, say
                self._client.cancel([future for future, _ in out.values()], force=True)
            self._put_away(bench)

    def _set_up(self, bench: str, set_up: JobSetup) -> None:
        try:
            self._client.register_plugin(JobPlugin(set_up), name=bench)
        except PocketGenreError:
            raise
        except Exception as error:  # whatever keeps a worker from it
            raise PocketGenreError(
                f"The cluster's workers cannot be set up ({type(error).__name__}: {error}); install"
                " pocketgenre[cluster] for them, the same version as here."
            ) from error

    def _clear(self) -> None:
        """Put away what scans that were killed left on the workers."""
        with suppress(Exception):  # the scheduler has no pocketgenre, say
            for bench in self._client.run_on_scheduler(_forsaken):
                self._put_away(bench)

    def _put_away(self, bench: str) -> None:
        try:
            self._client.unregister_worker_plugin(bench)
        except Exception:  # a worker was lost just now, say, and so Dask didn't tell the others
            with suppress(Exception):
                self._client.run(put_away, bench, on_error="ignore")

    def _check(self) -> None:
        if self._client.status not in ("running", "connecting"):
            raise PocketGenreError(_GONE)


@dataclass(frozen=True)
class _Task:
    job: Any
    number: int
    tries: int = 1


class _Tasks(Iterator[_Task]):
    """Jobs as tasks; at their end, those that are to be tried again, which may come later."""

    def __init__(self, jobs: Iterable[Any]) -> None:
        self._fresh = (_Task(job, number) for number, job in enumerate(jobs))
        self._again: deque[_Task] = deque()
        self._alone: deque[_Task] = deque()

    def again(self, task: _Task) -> None:
        """Put a task behind all others; one that has a single try left, behind those."""
        task = replace(task, tries=task.tries + 1)
        (self._again if task.tries < TRIES else self._alone).append(task)

    def last(self) -> list[_Task]:
        """One that has a single try left, to be alone with it, or none."""
        return [self._alone.popleft()] if self._alone else []

    def __next__(self) -> _Task:
        task = next(self._fresh, None)
        if task is None and not self._again:
            raise StopIteration
        return task or self._again.popleft()


class _Fetching:
    """Brings answers here from the workers, several at a time.

    Of one whose worker is lost before that, Dask takes half a minute to find out; the others
    shouldn't wait for it.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_FETCHED_AT_ONCE)
        self._here: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()

    def begin(self, future: Future) -> None:
        """Fetch the answer of a task that is done."""
        with suppress(RuntimeError):  # it is all over
            self._threads.submit(self._fetch, future)

    def wait(self, seconds: float) -> tuple[str, Any] | None:
        """The key of a task and its answer, or None if there is none in that time.

        Raises
        ------
        PocketGenreError
            a worker can't do its work.
        """
        try:
            key, answer = self._here.get(timeout=seconds)
        except queue.Empty:
            return None
        if isinstance(answer, BaseException):
            raise _explained(answer) from answer
        return key, answer

    def end(self) -> None:
        """Fetch no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _fetch(self, future: Future) -> None:
        try:
            answer = future.result()
        except KilledWorker:
            answer = LOST
        except BaseException as error:  # raised by who waits
            answer = error
        self._here.put((future.key, answer))


class _Threads:
    """How many threads a cluster has, which changes, and is not asked for each job."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._count = 1
        self._until = 0.0

    def count(self) -> int:
        """At least one: while there is no worker, one may come."""
        if time.monotonic() > self._until:
            with suppress(OSError, TimeoutError):  # the client connects again
                self._count = max(1, sum(self._client.nthreads().values()))
            self._until = time.monotonic() + _COUNTING
        return self._count


def _forsaken(dask_scheduler: Scheduler) -> list[str]:
    """Benches whose clients are gone."""
    benches = [name for name in dask_scheduler.worker_plugins if name.startswith(_NAME)]
    there = dask_scheduler.clients
    return [name for name in benches if name.removeprefix(_NAME).split("/")[0] not in there]


def _explained(error: BaseException) -> PocketGenreError:
    if isinstance(error, PocketGenreError):
        return error
    if isinstance(error, CancelledError | OSError):  # Dask's own: no task raises any
        return PocketGenreError(_GONE)
    return PocketGenreError(
        f"A worker of the cluster cannot do its work ({type(error).__name__}: {error}); install"
        " pocketgenre[cluster] there, the same version as here."
    )
