"""Workers over the cores, each replaced when a file kills it."""

import os
import pickle
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Pipe, wait
from typing import Any

from mobile_demo.errors import PocketGenreError
from mobile_demo.scanner.catalog import Heard
from mobile_demo.scanner.worker import READY, Hearing, Job, OpenEar, SetUp, hear

# Jobs a worker has in hand: the one it is at, and the next, so that it need not wait for us.
_IN_HAND = 2
_PATIENCE = 0.2  # seconds between two looks at whether the scan was interrupted
_ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}

Answers = Generator[tuple[Job, Heard], None, None]


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def listen_to(
    jobs: Iterable[Job], open_ear: OpenEar, workers: int, interrupted: Callable[[], bool]
) -> Answers:
    """Answer jobs, in the order in which they are done.

    Parameters
    ----------
    jobs : taken as they are needed, a few more than there are workers at a time
    open_ear : makes what listens
    workers : processes; 0 to listen in this one, where a decoder's crash is the scan's
    interrupted : asked often; once it says so, work is dropped and the answers end

    Raises
    ------
    PocketGenreError
        no worker can be started, or its ear not be opened.
    """
    if workers == 0:
        return _listen_here(jobs, open_ear, interrupted)
    return _listen_elsewhere(iter(jobs), open_ear, workers, interrupted)


def _listen_here(
    jobs: Iterable[Job], open_ear: OpenEar, interrupted: Callable[[], bool]
) -> Answers:
    listen = open_ear()
    for job in jobs:
        if interrupted():
            return
        yield job, hear(listen, job)


def _listen_elsewhere(
    jobs: Iterator[Job], open_ear: OpenEar, count: int, interrupted: Callable[[], bool]
) -> Answers:
    handed_back: deque[Job] = deque()
    workers: list[Worker] = []
    try:
        while True:
            for worker in workers:
                while len(worker.jobs) < _IN_HAND and (job := _next(handed_back, jobs)):
                    worker.give(job)
            # Only as many as there is work for.
            while len(workers) < count and (job := _next(handed_back, jobs)):
                workers.append(Worker(Hearing(open_ear), "--workers 0 does without."))
                workers[-1].give(job)
            busy = {worker.connection: worker for worker in workers if worker.jobs}
            if not busy or interrupted():
                return
            for connection in wait(list(busy), timeout=_PATIENCE):
                worker = busy[connection]  # type: ignore[index]
                answer = worker.answer()
                if answer is None:
                    continue
                job, heard = answer
                yield job, _epitaph(heard.status, job) if isinstance(heard, Death) else heard
                if worker.dead:
                    handed_back.extend(worker.jobs)
                    workers.remove(worker)
    finally:
        for worker in workers:
            worker.stop()


def _next(handed_back: deque[Job], jobs: Iterator[Job]) -> Job | None:
    return handed_back.popleft() if handed_back else next(jobs, None)


@dataclass(frozen=True)
class Death:
    """In place of an answer: the process has died of the job.

    Attributes
    ----------
    status : as :mod:`subprocess` has it: a negative one is the signal that ended it
    """

    status: int


class Worker:
    """One process, the pipe to it, and the jobs that it has in hand.

    Parameters
    ----------
    set_up : makes, in the process, what answers jobs; pickled on its way there
    otherwise : what to do where no process can be started, added to the error
    """

    def __init__(self, set_up: SetUp, otherwise: str = "") -> None:
        self.jobs: deque[Any] = deque()
        self.connection, theirs = Pipe()
        self.dead = False
        self.ready = False
        self._otherwise = otherwise
        modules = os.pathsep.join(os.path.abspath(place) for place in sys.path)  # noqa: PTH100
        # A group of its own: Ctrl-C is for the scan, which ends its workers itself.
        self._process = subprocess.Popen(  # noqa: S603  # this interpreter, our module
            [sys.executable, "-P", "-m", "mobile_demo.scanner.worker", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # decoders print what nobody should read
            stderr=subprocess.DEVNULL,
            env=os.environ | _ONE_THREAD | {"PYTHONPATH": modules},
            process_group=0,
        )
        theirs.close()
        self._send(set_up)

    def give(self, job: Any) -> None:
        """Hand over a job; if the process is gone, that is found out at the next answer."""
        self.jobs.append(job)
        self._send(job)

    def answer(self) -> tuple[Any, Any] | None:
        """What came: a job with its answer, or None if it was only a greeting.

        A process that is gone has died of the job that it was at: a :class:`Death`.

        Raises
        ------
        PocketGenreError
            it can't be started, or set up.
        """
        try:
            message = self.connection.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            return self._obituary()
        if isinstance(message, Exception):
            self.stop()
            raise message
        if message == READY:
            self.ready = True
            return None
        return self.jobs.popleft(), message

    def stop(self) -> None:
        """End the process, whatever it is at; what it has not answered is not lost."""
        self.dead = True
        self._process.kill()
        self._process.wait()
        self.connection.close()

    def _obituary(self) -> tuple[Any, Death]:
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # it closed its pipe and lives on
            status = 0
        self.stop()
        if not self.ready:
            message = f"A worker process could not start (exit status {status})"
            raise PocketGenreError("; ".join(filter(None, [message, self._otherwise])))
        return self.jobs.popleft(), Death(status)

    def _send(self, message: Any) -> None:
        with suppress(OSError):
            self.connection.send(message)


def _epitaph(status: int, job: Job) -> Heard:
    if status == -signal.SIGALRM:
        return Heard(None, None, f"it was given up after {job.seconds:.0f} s")
    if status == -signal.SIGKILL:  # not its own doing: the system was out of memory, or a person
        return Heard(None, None, "its worker process was killed from outside", passing=True)
    name = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    return Heard(None, None, f"it crashes its decoder ({name})")
