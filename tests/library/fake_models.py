"""Set up workers with a fake model, whose predictions and failures depend on the file's name."""

import ctypes
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from pocketgenre.errors import AudioError, ModelError
from pocketgenre.features.config import MFCC_CONFIG
from pocketgenre.inference import InferenceJob, InferenceResult, run_inference
from pocketgenre.jobs.executors import LocalExecutor
from pocketgenre.library.scan import ScanConfig
from pocketgenre.models.model_card import read_model
from pocketgenre.models.pretrained import PRETRAINED
from pocketgenre.prediction import SongAnalysis

GENRES = 10


def predict_by_name(path: Path, segments: int) -> SongAnalysis:
    """Return the analysis for a file's name, or fail as the name requests."""
    name = path.name
    if "segfault" in name:
        ctypes.string_at(0)
    if "abort" in name:
        os.abort()
    if "exit" in name:
        os._exit(3)
    if "hang" in name:
        while True:
            time.sleep(1)
    if "huge" in name:
        np.ones(1 << 34)
    if "bug" in name:
        raise KeyError(name)
    if "bad" in name:
        raise AudioError("it is bad")
    if "slow" in name:
        time.sleep(0.3)
    return SongAnalysis(probabilities_of(path, segments))


def probabilities_of(path: Path, segments: int) -> np.ndarray:
    """Return the probabilities that :func:`predict_by_name` predicts."""
    rng = np.random.default_rng(sum(path.name.encode("utf-8", "surrogateescape")))
    return rng.dirichlet(np.ones(GENRES), size=segments or 5)


@dataclass(frozen=True)
class FakeSetup:
    """Classify files by :func:`predict_by_name`."""

    def __call__(self) -> Callable[[InferenceJob], InferenceResult]:
        return partial(run_inference, predict_by_name)


@dataclass(frozen=True)
class WaitingSetup:
    """Wait with files named ``wait`` until the folder holds a file ``continue``.

    Meanwhile the folder holds a file named after the process.
    """

    folder: Path

    def __call__(self) -> Callable[[InferenceJob], InferenceResult]:
        return self._classify

    def _classify(self, job: InferenceJob) -> InferenceResult:
        if "wait" in Path(job.path).name:
            (self.folder / str(os.getpid())).touch()
            while not (self.folder / "continue").exists():
                time.sleep(0.01)
        return run_inference(predict_by_name, job)


@dataclass(frozen=True)
class FailingSetup:
    """Raise an error, as a model does that no runtime can run."""

    def __call__(self) -> Callable[[InferenceJob], InferenceResult]:
        raise ModelError("No runtime can run this model.")


@dataclass(frozen=True)
class ExitingSetup:
    """End the worker's process before it is ready."""

    def __call__(self) -> Callable[[InferenceJob], InferenceResult]:
        os._exit(7)


def scan_config(workers: int = 2, **changes: object) -> ScanConfig:
    """Return the configuration of a scan with a fake model."""
    card = read_model(PRETRAINED["standard"])[1]
    assert card.feature_config == MFCC_CONFIG
    defaults = {"setup": FakeSetup(), "executor": LocalExecutor(workers)}
    return ScanConfig(card, **(defaults | changes))
