"""Run jobs in a worker process: the side of the child.

Started as ``python -m pocketgenre.jobs.worker``. Pickled objects arrive on standard input:
first the setup, then the jobs. Standard output returns :data:`READY` or the exception that the
setup raised, then one result for each job. Other output of decoders goes to the null device.
"""

import os
import pickle
import signal
from typing import Any, BinaryIO

READY = "ready"

_MAX_MEMORY = 3 << 30  # bytes of data, so that an untrusted file can't take all memory


def main() -> None:
    """Process jobs until standard input is closed."""
    jobs, results = _take_standard_streams()
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
