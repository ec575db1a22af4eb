"""Set up workers with a fake model that kills processes as a file's name requests."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pocketgenre.inference import InferenceJob, InferenceResult, run_inference
from pocketgenre.prediction import SongAnalysis
from tests.library.fake_models import predict_by_name


@dataclass(frozen=True)
class KillingSetup:
    """Classify files by name, log each attempt, and kill processes.

    Attributes
    ----------
    log : file with one line per attempt
    """

    log: Path

    def __call__(self) -> Callable[[InferenceJob], InferenceResult]:
        return partial(run_inference, self._predict)

    def _predict(self, path: Path, segments: int) -> SongAnalysis:
        with open(self.log, "a") as file:
            file.write(f"{path.name}\n")
        if "kill_parent" in path.name:  # the parent is the Dask worker
            os.kill(os.getppid(), signal.SIGKILL)
        if "kill_self" in path.name:  # as the system does if memory is short
            os.kill(os.getpid(), signal.SIGKILL)
        return predict_by_name(path, segments)
