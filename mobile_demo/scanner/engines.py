"""Where jobs are done: in processes of this machine, or wherever a plug-in brings them.

What listens to a library, or computes the features of a data set, hands its jobs to an engine and
takes the answers as they come. It doesn't know which engine that is.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mobile_demo.plugins import plug_in
from mobile_demo.scanner.finding import Listing, list_songs
from mobile_demo.scanner.pool import Answers, usable_cores, work_through
from mobile_demo.scanner.worker import SetUp

PLUGINS = "pocketgenre.engines"
"""Entry points that are called with an address and give a context manager of an engine."""


class Engine(Protocol):
    """Does jobs."""

    def list_songs(self, folder: Path) -> Listing:
        """Find the songs below a folder, or at an address that the engine understands.

        Raises
        ------
        PocketGenreError
            it can't be listed.
        """

    def answer(
        self, jobs: Iterable[object], set_up: SetUp, interrupted: Callable[[], bool]
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
            the answer is a :class:`~mobile_demo.scanner.pool.NoAnswer` where there is none.

        Raises
        ------
        PocketGenreError
            the jobs can't be done at all.
        """


@dataclass(frozen=True)
class ThisMachine:
    """So many processes here; with 0 all is done in this one."""

    workers: int = 1

    def list_songs(self, folder: Path) -> Listing:
        """Find the songs below a folder."""
        return list_songs(folder)

    def answer(
        self, jobs: Iterable[object], set_up: SetUp, interrupted: Callable[[], bool]
    ) -> Answers:
        """Answer jobs, in the order in which they are done."""
        return work_through(jobs, set_up, self.workers, interrupted)


ONE_PROCESS = ThisMachine()


@contextmanager
def open_engine(cluster: str | None, workers: int | None) -> Iterator[Engine]:
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
        yield ThisMachine(usable_cores() if workers is None else workers)
        return
    with plug_in(PLUGINS, "dask", "--cluster")(cluster) as engine:
        yield engine
