"""Run jobs in a worker process: the side of the child.

Started as ``python -m pocketgenre.jobs.worker``. Pickled objects arrive on standard input:
first the setup, then the jobs. Standard output returns :data:`READY` or the exception that the
setup raised, then one result for each job. Other output of decoders goes to the null device.
"""

import os
import pickle
import select
import signal
import threading
from typing import Any, BinaryIO

READY = "ready"

STOP_SIGNALS = {
    getattr(signal, name) for name in ("SIGHUP", "SIGINT", "SIGTERM") if hasattr(signal, name)
}
"""Signals that ask a program to stop. Only the parent handles them: it decides which jobs end."""

_MAX_MEMORY = 3 << 30  # bytes of data, so that an untrusted file can't take all memory


def main() -> None:
    """Process jobs until standard input is closed."""
    _ignore_stop_signals()
    jobs, results = _take_standard_streams()
    _end_with_parent(results)
    _limit_resources()
    try:
        _run(jobs, results)
    except BrokenPipeError:  # the parent is gone
        os._exit(0)


def _run(jobs: BinaryIO, results: BinaryIO) -> None:
    try:
        process_job = pickle.load(jobs)()  # noqa: S301  # from the parent process
    except EOFError:
        return
    except Exception as error:  # raised again in the parent, where the user can read it
        _send(results, error)
        return
    _send(results, READY)
    while True:
        try:
            job = pickle.load(jobs)  # noqa: S301
        except EOFError:
            return
        _set_alarm(job.timeout)
        result = process_job(job)
        _set_alarm(0)
        _send(results, result)


def _send(file: BinaryIO, message: Any) -> None:
    pickle.dump(message, file, protocol=pickle.HIGHEST_PROTOCOL)
    file.flush()


def _take_standard_streams() -> tuple[BinaryIO, BinaryIO]:
    """Return the pipes to the parent, and connect standard input and output to the null device."""
    jobs, results = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(null, descriptor)
    return jobs, results


def _ignore_stop_signals() -> None:
    """Ignore the stop signals, which systemd sends to all processes: the parent handles them."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):  # the parent starts a worker with them blocked
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def _end_with_parent(results: BinaryIO) -> None:
    """End this process, also in the middle of a job, when nothing can read its results any more.

    Linux's PR_SET_PDEATHSIG would not do: it refers to the thread that started this process.
    """
    if not hasattr(select, "poll"):  # Windows: the process ends after its job
        return
    reader = select.poll()
    reader.register(results, 0)  # only errors: the other end is closed

    def wait() -> None:
        reader.poll()
        os._exit(0)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def _limit_resources() -> None:
    try:
        import resource
    except ModuleNotFoundError:  # on Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # crashes are expected: no core dumps
    _, limit = resource.getrlimit(resource.RLIMIT_DATA)
    if limit == resource.RLIM_INFINITY or limit > _MAX_MEMORY:
        resource.setrlimit(resource.RLIMIT_DATA, (_MAX_MEMORY, limit))


def _set_alarm(seconds: float) -> None:
    """Let the kernel end this process after a time, even in a decoder that never returns.

    Windows lacks that signal; there only the parent ends the process.
    """
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # the parent may ignore it
        signal.setitimer(signal.ITIMER_REAL, seconds)


if __name__ == "__main__":
    main()
