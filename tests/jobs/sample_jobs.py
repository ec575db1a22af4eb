"""Define jobs for the tests of the pool; workers import this module, so it imports little."""

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pocketgenre.errors import ModelError


@dataclass(frozen=True)
class SampleJob:
    """A job whose name selects its action.

    Attributes
    ----------
    name : ``wait`` waits for the file; ``kill once`` kills its process unless the file exists
    timeout : time after which the worker is killed [s]
    file : file that some jobs wait for or write
    """

    name: str
    timeout: float = 60.0
    file: Path = Path(os.devnull)


def run_job(job: SampleJob) -> object:
    if job.name in _ACTIONS:
        return _ACTIONS[job.name](job)
    return job.name


def _kill(signal_number: int) -> Callable[[SampleJob], None]:
    return lambda job: os.kill(os.getpid(), signal_number)


def _kill_once(job: SampleJob) -> str:
    if not job.file.exists():
        job.file.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return job.name


def _wait(job: SampleJob) -> str:
    while not job.file.exists():
        time.sleep(0.01)
    return job.name


def _hang(job: SampleJob) -> None:
    if job.file != Path(os.devnull):
        job.file.write_text(str(os.getpid()))
    time.sleep(600)


def _exhaust_memory(job: SampleJob) -> str:
    try:
        bytearray(4 << 30)
    except MemoryError:
        return "MemoryError"
    return "no error"


def _use_standard_streams(job: SampleJob) -> str:
    print("printed by a job", flush=True)
    os.write(1, b"written by a job")
    os.write(2, b"written by a job")
    return sys.stdin.read()


def _main_module(job: SampleJob) -> str:
    return str(sys.modules["__main__"].__file__)


_ACTIONS: dict[str, Callable[[SampleJob], object]] = {
    "segfault": _kill(signal.SIGSEGV),
    "kill": _kill(signal.SIGKILL),
    "kill once": _kill_once,
    "exit": lambda job: os._exit(3),
    "raise": lambda job: 1 // 0,
    "wait": _wait,
    "hang": _hang,
    "process": lambda job: os.getpid(),
    "exhaust memory": _exhaust_memory,
    "use standard streams": _use_standard_streams,
    "main module": _main_module,
}


@dataclass(frozen=True)
class Setup:
    """Set up a worker for :class:`SampleJob`."""

    def __call__(self) -> Callable[[SampleJob], object]:
        return run_job


@dataclass(frozen=True)
class SetupWithFile:
    """Set up a worker, if a file exists."""

    file: Path

    def __call__(self) -> Callable[[SampleJob], object]:
        if not self.file.exists():
            raise ModelError("No runtime can run this model.")
        return run_job


@dataclass(frozen=True)
class HangingSetup:
    """Write a file, and never return."""

    file: Path

    def __call__(self) -> Callable[[SampleJob], object]:
        self.file.touch()
        time.sleep(600)
        return run_job
