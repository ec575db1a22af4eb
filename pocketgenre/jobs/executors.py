"""Select the executor of jobs: processes of this machine, or a plug-in."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pocketgenre.errors import PocketGenreError
from pocketgenre.jobs.pool import JobResults, map_jobs, usable_cores
from pocketgenre.jobs.process import JobSetup, WorkerStartError
from pocketgenre.library.discovery import FolderListing, list_songs
from pocketgenre.plugins import load_plugin

ENTRY_POINTS = "pocketgenre.executors"
"""Entry points that take an address and return a context manager of an executor."""


class Executor(Protocol):
    """Executor of jobs."""

    def list_songs(self, folder: Path) -> FolderListing:
        """List the songs below a folder, or at an address that the executor can read.

        Raises
        ------
        PocketGenreError
            if it can't be listed.
        """

    def map(
        self, jobs: Iterable[Any], setup: JobSetup, is_interrupted: Callable[[], bool]
    ) -> JobResults:
        """Process each job once.

        Parameters
        ----------
        jobs : iterable, consumed as needed. Jobs are pickled. Each has a ``timeout`` [s]; if it
            has a ``path``, that is a file that the worker can read
        setup : see :data:`pocketgenre.jobs.process.JobSetup`
        is_interrupted : polled; once it returns True the results end and running jobs are dropped

        Yields
        ------
        job, result
            in the order of completion; the result is a
            :class:`~pocketgenre.jobs.process.JobFailure` if the job could not be processed

        Raises
        ------
        PocketGenreError
            if the jobs can't be run at all.
        """


@dataclass(frozen=True)
class LocalExecutor:
    """Executor that runs jobs on this machine.

    Attributes
    ----------
    workers : number of processes; 0 to run in this process
    """

    workers: int = 1

    def list_songs(self, folder: Path) -> FolderListing:
        """List the songs below a folder."""
        return list_songs(folder)

    def map(
        self, jobs: Iterable[Any], setup: JobSetup, is_interrupted: Callable[[], bool]
    ) -> JobResults:
        """Process each job once; see :class:`Executor`."""
        try:
            yield from map_jobs(jobs, setup, self.workers, is_interrupted)
        except WorkerStartError as error:
            raise PocketGenreError(f"{error} --workers 0 runs without worker processes.") from error


@contextmanager
def open_executor(cluster: str | None, workers: int | None) -> Iterator[Executor]:
    """Connect to a cluster, or use this machine.

    Parameters
    ----------
    cluster : address of a Dask scheduler; None for this machine
    workers : number of processes on this machine; None for one per core

    Raises
    ------
    PocketGenreError
        if the extra for clusters is not installed, or the cluster can't be reached.
    """
    if cluster is None:
        yield LocalExecutor(usable_cores() if workers is None else workers)
        return
    with load_plugin(ENTRY_POINTS, "dask", "--cluster")(cluster) as executor:
        yield executor
