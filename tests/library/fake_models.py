"""Ears to listen with that misbehave where a file's name says so; handed to real workers."""

import ctypes
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pocketgenre.errors import AudioError, ModelError
from pocketgenre.features.config import MFCC_CONFIG
from pocketgenre.jobs.executors import LocalExecutor
from pocketgenre.library.scan import ScanConfig
from pocketgenre.models.model_card import read_model
from pocketgenre.models.pretrained import PRETRAINED

GENRES = 10


def predict_by_name(path: Path, segments: int) -> np.ndarray:
    """Probabilities that depend on the file's name alone, or a misfortune that does."""
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
    return verdict(path, segments)


def verdict(path: Path, segments: int) -> np.ndarray:
    """What :func:`predict_by_name` says in the end."""
    name = path.name
    rng = np.random.default_rng(sum(name.encode("utf-8", "surrogateescape")))
    return rng.dirichlet(np.ones(GENRES), size=segments or 5)


@dataclass(frozen=True)
class Ear:
    """Opens :func:`predict_by_name`."""

    def __call__(self) -> Callable[[Path, int], np.ndarray]:
        return predict_by_name


@dataclass(frozen=True)
class DeafEar:
    """Cannot be opened."""

    def __call__(self) -> Callable[[Path, int], np.ndarray]:
        raise ModelError("No runtime can run this model.")


@dataclass(frozen=True)
class DeadlyEar:
    """Kills its worker before it has heard anything."""

    def __call__(self) -> Callable[[Path, int], np.ndarray]:
        os._exit(7)


def listener(workers: int = 2, **changes: object) -> ScanConfig:
    """A scan with an ear that needs no music."""
    card = read_model(PRETRAINED["standard"])[1]
    assert card.feature_config == MFCC_CONFIG
    return ScanConfig(card, **({"open_ear": Ear(), "engine": LocalExecutor(workers)} | changes))
