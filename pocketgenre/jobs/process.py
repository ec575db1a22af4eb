"""Run jobs in a worker process: the side of the parent."""

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pocketgenre.errors import PocketGenreError
from pocketgenre.jobs.worker import READY, STOP_SIGNALS

_ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
START_TIMEOUT = 60.0  # seconds
# Time beyond a job's timeout after which the parent kills a process that should have ended itself.
_GRACE = 5.0  # seconds


class Job(Protocol):
    """A picklable description of work."""

    @property
    def timeout(self) -> float:
        """Time after which the worker is killed [s]."""


JobSetup = Callable[[], Callable[[Any], Any]]
"""Picklable object that is called in the worker and returns the function that processes a job.

The function must return a result for every job."""


@dataclass(frozen=True)
class JobFailure:
    """Result of a job that could not be processed.

    Attributes
    ----------
    reason : sentence without a full stop that continues after the job's name
    is_transient : True if another attempt may succeed
    kind : ``error`` if the job failed by itself; ``timeout``, ``crash`` or ``killed`` if its
        process ended (``killed`` from outside: by a person, or because memory was short)
    """

    reason: str
    is_transient: bool = False
    kind: Literal["error", "timeout", "crash", "killed"] = "error"


class WorkerStartError(PocketGenreError):
    """A worker process cannot be started."""


class WorkerProcess:
    """A worker process, started but not yet ready.

    Parameters
    ----------
    setup : see :data:`JobSetup`

    Raises
    ------
    WorkerStartError
        if the system can't start the process.
    """

    def __init__(self, setup: JobSetup) -> None:
        self.is_ready = False
        self._setup = setup
        self._timed_out = False
        try:
            self._process = _start_process()
        except OSError as error:
            reason = error.strerror or error
            raise WorkerStartError(f"A worker process cannot be started: {reason}.") from error
        self._jobs, self._results = self._process.stdin, self._process.stdout

    @property
    def is_running(self) -> bool:
        """True until the process has ended."""
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Set the process up, if that has not been done.

        Raises
        ------
        WorkerStartError
            if the process ends before it is ready.
        Exception
            the error that the setup raised in the worker.
        """
        if self.is_ready:
            return
        self._send(self._setup)
        try:
            answer = self._receive(START_TIMEOUT)
        except (EOFError, OSError, pickle.UnpicklingError):
            status = self._end()
            raise WorkerStartError(
                f"A worker process cannot be started (exit status {status})."
            ) from None
        if answer != READY:
            self.kill()
            raise answer
        self.is_ready = True

    def run(self, job: Job) -> Any:
        """Process a job: return its result, or a :class:`JobFailure` if the process ended.

        Raises
        ------
        Exception
            if the job or its result can't be pickled or unpickled.
        """
        self._send(job)
        try:
            return self._receive(job.timeout + _GRACE)
        except (EOFError, OSError, pickle.UnpicklingError):
            return self._failure(self._end(), job)

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._jobs, self._results):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]

    def _send(self, message: Any) -> None:
        content = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
        # A process that has ended is noticed by the read that follows.
        with suppress(OSError, ValueError):
            self._jobs.write(content)  # type: ignore[union-attr]
            self._jobs.flush()  # type: ignore[union-attr]

    def _receive(self, timeout: float) -> Any:
        timer = threading.Timer(timeout, self._kill_late)
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError as error:
            self.kill()  # the next read would return this result
            raise WorkerStartError(f"A worker process cannot be watched: {error}.") from error
        try:
            return pickle.load(self._results)  # type: ignore[arg-type]  # noqa: S301
        except (EOFError, OSError, pickle.UnpicklingError):
            raise
        except ValueError as error:  # the pipe was closed by kill()
            raise EOFError from error
        except BaseException:  # the next read would return the rest of this result
            self.kill()
            raise
        finally:
            timer.cancel()

    def _kill_late(self) -> None:
        self._timed_out = True
        self._process.kill()

    def _end(self) -> int:
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # it closed its pipe and still runs
            status = 0
        self.kill()
        return status

    def _failure(self, status: int, job: Job) -> JobFailure:
        name = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        if self._timed_out or name == "SIGALRM":
            return JobFailure(f"it took longer than {round(job.timeout, 1):g} s", kind="timeout")
        if name == "SIGKILL":
            reason = "its worker process was killed from outside"
            return JobFailure(reason, is_transient=True, kind="killed")
        return JobFailure(f"it crashes its decoder ({name})", kind="crash")


def _absolute(places: Iterable[str]) -> Iterator[str]:
    for place in places:
        with suppress(FileNotFoundError):  # the working directory was removed
            yield os.path.abspath(place)  # noqa: PTH100


def _start_process() -> "subprocess.Popen[bytes]":
    modules = os.pathsep.join(_absolute(sys.path))
    # A process group of its own: Ctrl-C interrupts the parent, which ends its workers.
    group: dict[str, Any] = {"process_group": 0}
    if sys.platform == "win32":
        group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    with _stop_signals_blocked():
        return subprocess.Popen(  # this interpreter and our module
            [sys.executable, "-P", "-m", "pocketgenre.jobs.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | _ONE_THREAD | {"PYTHONPATH": modules},
            **group,
        )


@contextmanager
def _stop_signals_blocked() -> Iterator[None]:
    """Block signals in this thread, so that a new process has them blocked until it ignores them.

    A signal to this process is handled by another thread, or after this one unblocks it.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
