"""Where jobs are done: in processes of this machine, or wherever a plug-in brings them.

What listens to a library, or computes the features of a data set, hands its jobs to an engine and
takes the answers as they come. It doesn't know which engine that is.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pocketgenre.jobs.pool import Answers, usable_cores, work_through
from pocketgenre.jobs.worker_process import JobSetup
from pocketgenre.library.discovery import FolderListing, list_songs
from pocketgenre.plugins import load_plugin

PLUGINS = "pocketgenre.executors"
"""Entry points that are called with an address and give a context manager of an engine."""


class Executor(Protocol):
    """Does jobs."""

    def list_songs(self, folder: Path) -> FolderListing:
        """Find the songs below a folder, or at an address that the engine understands.

        Raises
        ------
        PocketGenreError
            it can't be listed.
        """

    def answer(
        self, jobs: Iterable[object], set_up: JobSetup, interrupted: Callable[[], bool]
    ) -> Answers:
        """Answer jobs, in the order in which they are done, each of them once.

        Parameters
        ----------
        jobs : taken as they are needed. They are pickled, and have ``seconds`` after which they are
            given up; a ``path``, if they have one, is a file, and can be read where they are done
        set_up : makes, where the jobs are done, what answers them
        interrupted : asked often; once it says so, work is dropped and the answers end

        Yields
        ------
        job, answer
            the answer is a :class:`~pocketgenre.jobs.pool.JobFailure` where there is none.

        Raises
        ------
        PocketGenreError
            the jobs can't be done at all.
        """


@dataclass(frozen=True)
class LocalExecutor:
    """So many processes here; with 0 all is done in this one."""

    workers: int = 1

    def list_songs(self, folder: Path) -> FolderListing:
        """Find the songs below a folder."""
        return list_songs(folder)

    def answer(
        self, jobs: Iterable[object], set_up: JobSetup, interrupted: Callable[[], bool]
    ) -> Answers:
        """Answer jobs, in the order in which they are done."""
        return work_through(jobs, set_up, self.workers, interrupted)


ONE_PROCESS = LocalExecutor()


@contextmanager
def open_executor(cluster: str | None, workers: int | None) -> Iterator[Executor]:
    """The cluster's engine, or that of this machine.

    Parameters
    ----------
    cluster : address of a Dask scheduler; None for this machine
    workers : processes of this machine; None for as many as there are cores

    Raises
    ------
    PocketGenreError
        what a cluster needs is not installed, or it can't be reached.
    """
    if cluster is None:
        yield LocalExecutor(usable_cores() if workers is None else workers)
        return
    with load_plugin(PLUGINS, "dask", "--cluster")(cluster) as engine:
        yield engine
