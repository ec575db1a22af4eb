"""A Dask cluster as an engine: jobs go out a few at a time, and come back as they are done."""

import queue
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

from distributed import Client, Future, KilledWorker

from cluster.addresses import list_address, local_path
from cluster.worker import Bench, do
from mobile_demo.errors import PocketGenreError
from mobile_demo.scanner.finding import Listing, is_address, list_songs
from mobile_demo.scanner.pool import Answers, NoAnswer
from mobile_demo.scanner.worker import SetUp

_ADDRESS = re.compile(r"(tcp|tls)://.+:\d+|(ws|wss|inproc|ucx)://.+")

_IN_HAND = 3
"""Jobs for each thread of the cluster: the one it is at, and some, so that it need not wait for us.

Not all of them at once: the scheduler holds what it was given in its memory.
"""

_PATIENCE = 0.2  # seconds between two looks at whether the work was interrupted
_CONNECTING = 5.0  # seconds
_JOINING = 30.0  # seconds that workers may take
_FETCHED_AT_ONCE = 8
_COUNTING = 2.0  # seconds between two looks at how many threads there are


@contextmanager
def open_cluster(address: str) -> Iterator["DaskEngine"]:
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
        yield DaskEngine(client)
    finally:
        with suppress(Exception):  # a scheduler that is gone is no news any more
            client.close()


class DaskEngine:
    """Does jobs on a cluster.

    A worker that is lost costs what it was at, which others do again. Dask counts how often that
    happens to a job, and gives it up when it is too often (its ``allowed-failures``).
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def list_songs(self, folder: Path) -> Listing:
        """Find the songs below a folder that all workers see, or at an address.

        Raises
        ------
        PocketGenreError
            it can't be listed.
        """
        folder = local_path(folder)
        return list_address(folder) if is_address(folder) else list_songs(folder)

    def answer(
        self, jobs: Iterable[Any], set_up: SetUp, interrupted: Callable[[], bool]
    ) -> Answers:
        """Answer jobs, in the order in which they are done.

        Raises
        ------
        PocketGenreError
            the workers can't do them, or the scheduler is lost.
        """
        bench = f"pocketgenre-{uuid.uuid4().hex}"
        out: dict[str, tuple[Future, Any]] = {}
        fetching = _Fetching()
        waiting = enumerate(jobs)
        threads = _Threads(self._client)
        try:
            self._set_up(bench, set_up)
            while not interrupted():
                for number, job in islice(waiting, max(0, _IN_HAND * threads.count() - len(out))):
                    future = self._client.submit(
                        do, bench, job, key=f"{bench}-{number}", pure=False
                    )
                    out[future.key] = future, job
                    future.add_done_callback(fetching.begin)
                if not out:
                    return
                if fetched := fetching.wait(_PATIENCE):
                    key, answer = fetched
                    yield out.pop(key)[1], answer
                else:
                    self._check()
        finally:
            with suppress(Exception):  # also where the scheduler is gone
                self._client.cancel([future for future, _ in out.values()], force=True)
                self._client.unregister_worker_plugin(bench)
            fetching.end()

    def _set_up(self, bench: str, set_up: SetUp) -> None:
        try:
            self._client.register_plugin(Bench(set_up), name=bench)
        except PocketGenreError:
            raise
        except Exception as error:  # whatever keeps a worker from it
            raise PocketGenreError(
                f"The cluster's workers cannot be set up ({type(error).__name__}: {error}); install"
                " pocketgenre[cluster] for them, the same version as here."
            ) from error

    def _check(self) -> None:
        if self._client.status not in ("running", "connecting"):
            raise PocketGenreError(
                "The Dask scheduler is gone; what is done is kept, and the same command goes on."
            )


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
        except KilledWorker as error:
            count = error.allowed_failures + 1
            answer = NoAnswer(f"{count} workers of the cluster were lost while at it")
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


def _explained(error: BaseException) -> PocketGenreError:
    if isinstance(error, PocketGenreError):
        return error
    return PocketGenreError(
        f"A worker of the cluster cannot do its work ({type(error).__name__}: {error}); install"
        " pocketgenre[cluster] there, the same version as here."
    )
