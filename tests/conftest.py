"""Fixtures and helpers that all tests share, and synthetic audio."""

import fcntl
import io
import os
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

import numpy as np
import psutil
import pytest
from hypothesis import settings

from pocketgenre.demo.synthetic import write_audio, write_synthetic_library

# The machine may be busy.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")

REPOSITORY = Path(__file__).parents[1]
GTZAN = REPOSITORY.parent / "shared" / "data" / "gtzan"

GENRES = (
    "blues",
    "classical",
    "country",
    "disco",
    "hiphop",
    "jazz",
    "metal",
    "pop",
    "reggae",
    "rock",
)
"""GTZAN's, in the order of the pretrained models' outputs."""

EPOCHS = 60
"""Number of epochs of ``trained_run``."""

Command = Callable[..., subprocess.CompletedProcess[str]]


def until(holds: Callable[[], object], seconds: float = 60) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"the condition does not hold after {seconds} s"
        time.sleep(0.01)


STANDARD = ("--model", "standard")
"""Options to scan synthesized songs, most of which ``best`` labels ``not-music``."""


def invoke(
    module: str, *arguments: object, errors: str = "strict"
) -> subprocess.CompletedProcess[str]:
    """Run a command in this process, with the results that a subprocess would have.

    Parameters
    ----------
    module : module with a function ``main``, for example ``pocketgenre.cli.list_songs``
    arguments : arguments of the command line
    errors : error handler that decodes bytes of the output that are not UTF-8
    """
    command = [module, *map(str, arguments)]
    output, messages = io.BytesIO(), io.BytesIO()
    stdout, stderr = (
        io.TextIOWrapper(stream, "utf-8", write_through=True) for stream in (output, messages)
    )
    status: object = 0
    with redirect_stdout(stdout), redirect_stderr(stderr), patch.object(sys, "argv", command):
        try:
            import_module(module).main()
        except SystemExit as end:
            status = end.code
        except Exception:
            traceback.print_exc()
            status = 1
    assert isinstance(status, int), status
    return subprocess.CompletedProcess(
        command,
        status,
        output.getvalue().decode("utf-8", errors),
        messages.getvalue().decode("utf-8", errors),
    )


def worker_processes() -> list[psutil.Process]:
    """List the job workers of this process."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "pocketgenre.jobs.worker" in child.cmdline()]


def write_once(factory: pytest.TempPathFactory, name: str, write: Callable[[Path], object]) -> Path:
    """Write a folder once for all processes of a test run; the first one that needs it does.

    Parameters
    ----------
    factory : factory of temporary folders
    name : name of the folder
    write : function that is called with the path of the folder, which does not exist yet
    """
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder, done = base / name, base / f"{name}.done"
    with open(base / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a process that failed
            write(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def gtzan() -> Path:
    if not (GTZAN / "index.csv").exists():
        pytest.skip("the real songs (../shared/data/gtzan) are not here")
    return GTZAN


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five synthetic songs in five formats, written an hour ago, so that they may be tagged."""
    folder = tmp_path_factory.mktemp("library")
    write_synthetic_library(folder, seconds=7.0)
    for song in folder.iterdir():
        make_older(song)
    return folder


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with audio, data set, run and exported model of three distinct genres."""
    return write_once(tmp_path_factory, "trained_run", write_trained_run)


def write_trained_run(folder: Path) -> None:
    from tests.training.commands import EXPORT, TRAIN, prepare, succeed

    write_genres(folder / "audio", songs=6)
    prepare(folder / "audio", "--out", folder / "data")
    options = ["--epochs", EPOCHS, "--learning-rate", 0.001, "--batch-size", 8, "--folds", 2]
    succeed(TRAIN, folder / "data", *options, "--out", folder / "run")
    succeed(EXPORT, folder / "run", "--representative", 30, "--out", folder / "model.tflite")


@pytest.fixture(autouse=True)
def own_catalog(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Give each test its own data folder, so that none uses the user's catalogue or settings."""
    folder = tmp_path_factory.mktemp("data")
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))


@pytest.fixture
def run_command() -> Command:
    """Run one of the project's modules as its command, as a user does."""

    def run(module: str, *arguments: object, **options) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", module, *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=REPOSITORY,
            timeout=800,
            check=False,
            **options,
        )

    return run


def tone(hz: float, seconds: float, rate: int = 22_050, channels: int = 1) -> np.ndarray:
    """A quiet sine, float32 (n, channels)."""
    wave = 0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)
    return np.repeat(wave[:, np.newaxis], channels, axis=1).astype(np.float32)


def make_older(path: Path, seconds: float = 3600.0) -> None:
    """Set the modification time of a file to a time ago."""
    past = time.time() - seconds
    os.utime(path, (past, past))


def write_tone(path: Path, seconds: float = 4.0, rate: int = 22_050, channels: int = 1) -> Path:
    """Write a file with a 440 Hz sine."""
    write_audio(path, tone(440.0, seconds, rate, channels), rate)
    return path


def write_genres(folder: Path, songs: int = 5, seconds: float = 6.5) -> Path:
    """Write a folder for each of three distinct "genres": low tones, high tones and noise."""
    rng = np.random.default_rng(3)
    for genre, hz in (("bass", 80.0), ("flute", 1_500.0), ("noise", 0.0)):
        (folder / genre).mkdir(parents=True)
        for number in range(songs):
            samples = tone(hz * (1 + 0.1 * number), seconds) if hz else tone(0.0, seconds)
            hiss = 0.2 if not hz else 0.003
            samples = samples + rng.normal(scale=hiss, size=samples.shape).astype(np.float32)
            write_audio(folder / genre / f"{number}.wav", samples, 22_050)
    return folder
