"""A worker: a process that does jobs, one after the other; a scan's listens to files.

A decoder that crashes or hangs on a hostile file takes its process with it and nothing else.
A worker is started as ``python -m pocketgenre.jobs.worker_process FD``; FD is one end of a pipe, on
which come what sets it up and then jobs, and go answers.
"""

import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketgenre.audio.decoding import UnreadableError
from pocketgenre.classifier import Classifier
from pocketgenre.errors import AudioError
from pocketgenre.library.catalog import InferenceResult
from pocketgenre.library.file_hash import hash_file
from pocketgenre.models.model_card import ModelCard

Listen = Callable[[Path, int], NDArray[np.floating]]
"""From a file and how many segments (0: all) to their probabilities [shape=(segments, genres)]."""

ModelFactory = Callable[[], Listen]
"""Makes, in the worker, what listens. It is pickled on its way there."""

JobSetup = Callable[[], Callable[[Any], Any]]
"""Makes, in the worker, what answers jobs, and has an answer for every one. It is pickled on its
way there. A job is anything that can be pickled and has ``seconds``, after which it is given up."""

READY = "ready"

_MOST_MEMORY = 3 << 30  # bytes a worker may ask for, lest a hostile file takes the machine's


@dataclass(frozen=True)
class ModelEar:
    """The ear of a scan: a model with its card, whose content was read once for all workers."""

    model: bytes
    card: ModelCard

    def __call__(self) -> Listen:
        """Start a runtime.

        Raises
        ------
        ModelError
            none can run the model.
        """
        return Classifier(self.model, self.card).segment_probabilities


@dataclass(frozen=True)
class Job:
    """A file to listen to.

    Attributes
    ----------
    segments : how many, spread over the song; 0 for all of them
    seconds : after so long the worker is stopped
    """

    path: str
    segments: int
    seconds: float


def hear(listen: Listen, job: Job) -> InferenceResult:
    """Listen to one file; whatever is wrong with it is an answer."""
    path = Path(job.path)
    try:
        table = listen(path, job.segments)
        return InferenceResult(hash_file(path), table.astype(np.float16))
    except UnreadableError as error:
        return InferenceResult(None, None, str(error), passing=True)
    except OSError as error:
        return InferenceResult(
            None, None, f"cannot be read: {error.strerror or error}", passing=True
        )
    except AudioError as error:
        return InferenceResult(None, None, str(error))
    except MemoryError:
        return InferenceResult(None, None, "it needs more memory than there is", passing=True)
    except Exception as error:  # of one song in a hundred thousand must not end the scan
        return InferenceResult(None, None, f"it cannot be judged ({type(error).__name__}: {error})")


@dataclass(frozen=True)
class InferenceSetup:
    """Sets up a worker of a scan: its jobs are each a :class:`Job`, its answers :class:`InferenceResult`."""

    open_ear: ModelFactory

    def __call__(self) -> Callable[[Job], InferenceResult]:
        """Open the ear."""
        return partial(hear, self.open_ear())


def serve(connection: Any) -> None:
    """Answer jobs until the other end is closed."""
    try:
        answer = connection.recv()()
    except Exception as error:  # to be raised at the other end, where it can be read
        connection.send(error)
        return
    connection.send(READY)
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        # The kernel ends a process that never comes back from a decoder's loop.
        signal.setitimer(signal.ITIMER_REAL, job.seconds)
        answered = answer(job)
        signal.setitimer(signal.ITIMER_REAL, 0)
        connection.send(answered)


def main() -> None:
    """Run as a process of its own."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected, its picture isn't
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    if most == resource.RLIM_INFINITY or most > _MOST_MEMORY:
        resource.setrlimit(resource.RLIMIT_DATA, (_MOST_MEMORY, most))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # even if the scan's parent ignores it
    with Connection(int(sys.argv[1])) as connection:
        try:
            serve(connection)
        except (BrokenPipeError, ConnectionResetError):  # the scan was ended
            return


if __name__ == "__main__":
    main()
