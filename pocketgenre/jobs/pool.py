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

from pocketgenre.errors import PocketGenreError
from pocketgenre.jobs.worker_process import READY, JobSetup

# Jobs a worker has in hand: the one it is at, and the next, so that it need not wait for us.
_IN_HAND = 2
_PATIENCE = 0.2  # seconds between two looks at whether the scan was interrupted
_ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}

Answers = Generator[tuple[Any, Any], None, None]
"""Jobs and what came of them: what the set-up's function said, or a :class:`JobFailure`."""


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def work_through(
    jobs: Iterable[Any], set_up: JobSetup, workers: int, interrupted: Callable[[], bool]
) -> Answers:
    """Answer jobs, in the order in which they are done.

    Parameters
    ----------
    jobs : taken as they are needed, a few more than there are workers at a time
    set_up : makes what answers them
    workers : processes; 0 to do them in this one, where a decoder's crash is the caller's
    interrupted : asked often; once it says so, work is dropped and the answers end

    Raises
    ------
    PocketGenreError
        no worker can be started, or be set up.
    """
    if workers == 0:
        return _work_here(jobs, set_up, interrupted)
    return _work_elsewhere(iter(jobs), set_up, workers, interrupted)


def _work_here(jobs: Iterable[Any], set_up: JobSetup, interrupted: Callable[[], bool]) -> Answers:
    answer = set_up()
    for job in jobs:
        if interrupted():
            return
        yield job, answer(job)


def _work_elsewhere(
    jobs: Iterator[Any], set_up: JobSetup, count: int, interrupted: Callable[[], bool]
) -> Answers:
    handed_back: deque[Any] = deque()
    workers: list[Worker] = []
    try:
        while True:
            for worker in workers:
                while len(worker.jobs) < _IN_HAND and (job := _next(handed_back, jobs)):
                    worker.give(job)
            # Only as many as there is work for.
            while len(workers) < count and (job := _next(handed_back, jobs)):
                workers.append(Worker(set_up, "--workers 0 does without."))
                workers[-1].give(job)
            busy = {worker.connection: worker for worker in workers if worker.jobs}
            if not busy or interrupted():
                return
            for connection in wait(list(busy), timeout=_PATIENCE):
                worker = busy[connection]  # type: ignore[index]
                answered = worker.answer()
                if answered is None:
                    continue
                job, answer = answered
                yield job, answer.explained(job) if isinstance(answer, WorkerCrash) else answer
                if worker.dead:
                    handed_back.extend(worker.jobs)
                    workers.remove(worker)
    finally:
        for worker in workers:
            worker.stop()


def _next(handed_back: deque[Any], jobs: Iterator[Any]) -> Any:
    return handed_back.popleft() if handed_back else next(jobs, None)


@dataclass(frozen=True)
class JobFailure:
    """In place of an answer: why the job could not be done.

    Attributes
    ----------
    reason : a sentence without a full stop
    passing : whether it may pass by itself, and another try be worth while
    """

    reason: str
    passing: bool = False


@dataclass(frozen=True)
class WorkerCrash:
    """In place of an answer: the process has died of the job.

    Attributes
    ----------
    status : as :mod:`subprocess` has it: a negative one is the signal that ended it
    """

    status: int

    def explained(self, job: Any) -> JobFailure:
        """What there is to say of a job that ended so."""
        if self.status == -signal.SIGALRM:
            return JobFailure(f"it was given up after {job.seconds:.0f} s")
        if self.status == -signal.SIGKILL:  # the system was out of memory, or a person did it
            return JobFailure("its worker process was killed from outside", passing=True)
        name = f"exit status {self.status}"
        if self.status < 0:
            name = signal.Signals(-self.status).name
        return JobFailure(f"it crashes its decoder ({name})")


class Worker:
    """One process, the pipe to it, and the jobs that it has in hand.

    Parameters
    ----------
    set_up : makes, in the process, what answers jobs; pickled on its way there
    otherwise : what to do where no process can be started, added to the error

    Raises
    ------
    PocketGenreError
        the system starts no process.
    """

    def __init__(self, set_up: JobSetup, otherwise: str = "") -> None:
        self.jobs: deque[Any] = deque()
        self.dead = False
        self.ready = False
        self._otherwise = otherwise
        try:
            self.connection, theirs = Pipe()
            with theirs:
                self._process = _start(theirs.fileno())
        except OSError as error:  # the machine's fault, not the job's
            message = f"A worker process cannot be started: {error.strerror or error}."
            raise PocketGenreError(" ".join(filter(None, [message, otherwise]))) from error
        self._send(set_up)

    def give(self, job: Any) -> None:
        """Hand over a job; if the process is gone, that is found out at the next answer."""
        self.jobs.append(job)
        self._send(job)

    def answer(self) -> tuple[Any, Any] | None:
        """What came: a job with its answer, or None if it was only a greeting.

        A process that is gone has died of the job that it was at: a :class:`WorkerCrash`.

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

    def _obituary(self) -> tuple[Any, WorkerCrash]:
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # it closed its pipe and lives on
            status = 0
        self.stop()
        if not self.ready:
            message = f"A worker process could not start (exit status {status})"
            raise PocketGenreError("; ".join(filter(None, [message, self._otherwise])))
        return self.jobs.popleft(), WorkerCrash(status)

    def _send(self, message: Any) -> None:
        with suppress(OSError):
            self.connection.send(message)


def _start(pipe: int) -> "subprocess.Popen[bytes]":
    modules = os.pathsep.join(os.path.abspath(place) for place in sys.path)  # noqa: PTH100
    # A group of its own: Ctrl-C is for the scan, which ends its workers itself.
    return subprocess.Popen(  # noqa: S603  # this interpreter, our module
        [sys.executable, "-P", "-m", "pocketgenre.jobs.worker_process", str(pipe)],
        pass_fds=[pipe],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,  # decoders print what nobody should read
        stderr=subprocess.DEVNULL,
        env=os.environ | _ONE_THREAD | {"PYTHONPATH": modules},
        process_group=0,
    )
