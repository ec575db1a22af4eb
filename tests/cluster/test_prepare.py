"""A data set computed on a cluster equals a local one, even if workers are killed."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.training.data.dataset import load_dataset
from tests.cluster.conftest import Cluster
from tests.conftest import REPOSITORY, until, write_genres
from tests.training.commands import PREPARE, refuse, succeed


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_genres(tmp_path_factory.mktemp("audio"), songs=5)
    (folder / "bass" / "broken.mp3").write_text("no music")
    return folder


@pytest.fixture(scope="module")
def local_dataset(audio: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("home") / "data"
    # In a worker process, as on the cluster: the last digits depend on the number of threads.
    succeed(PREPARE, audio, "--out", out, "--shards", 4, "--workers", 1)
    return out


def content(dataset: Path) -> dict[str, bytes]:
    files = (path for path in dataset.rglob("*") if path.is_file())
    return {path.relative_to(dataset).as_posix(): path.read_bytes() for path in files}


def test_dataset_equals_a_local_one(
    cluster: Cluster, audio: Path, local_dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "data"
    options = ["--shards", 4, "--cluster", cluster.address]
    result = succeed(PREPARE, audio, "--out", f"file://{out}", *options)
    assert "Left out bass/broken.mp3: not audio" in result.stderr
    assert content(out) == content(local_dataset)
    load_dataset(out).check()


def test_killed_command_continues_with_stored_features(
    cluster: Cluster, audio: Path, local_dataset: Path, tmp_path: Path
) -> None:
    """The command is killed in the middle, and a worker while the next command runs."""
    out = tmp_path / "data"
    options = [audio, "--out", out, "--shards", 4, "--cluster", cluster.address]
    command = [sys.executable, "-m", PREPARE, *map(str, options)]
    process = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL)
    until(lambda: len(list(out.glob("parts/*.npy"))) >= 4, 300)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stored = {path: path.stat().st_mtime_ns for path in out.glob("parts/*.npy")}
    assert stored
    assert not (out / "dataset.json").exists()
    abandoned = cluster.plugins()
    assert abandoned

    process = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)

    def kill_worker() -> None:
        until(lambda: cluster.plugins() - abandoned or process.poll() is not None, 300)
        cluster.kill_at_random(np.random.default_rng(5))

    killer = threading.Thread(target=kill_worker)
    killer.start()
    kept = set()
    while process.poll() is None:
        kept |= {path for path, when in stored.items() if _time(path) == when}
        time.sleep(0.02)
    killer.join()
    assert process.returncode == 0, process.communicate()[1]
    assert kept == set(stored)  # not computed again
    assert content(out) == content(local_dataset)
    assert not cluster.plugins()  # those of the killed command are removed as well


def _time(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def test_only_missing_or_damaged_shards_are_computed(
    cluster: Cluster, audio: Path, local_dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "data"
    shutil.copytree(local_dataset, out)
    first, second, *_ = sorted(out.glob("shards/*.npy"))
    first.write_bytes(os.urandom(first.stat().st_size))
    second.unlink()
    options = ["--shards", 4, "--cluster", cluster.address]
    result = succeed(PREPARE, audio, "--out", out, *options)
    assert "Found 2 intact shards of 4" in result.stderr
    assert "Computing segments of 8 songs" in result.stderr
    assert content(out) == content(local_dataset)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--cluster", "tcp://127.0.0.1:9", "--workers", 1], "leave it out with --cluster"),
        (["--shards", 4, "--spectra"], "in one file"),
    ],
)
def test_invalid_options_are_refused(
    audio: Path, tmp_path: Path, options: list[str], sentence: str
) -> None:
    assert sentence in refuse(PREPARE, audio, "--out", tmp_path / "data", *options)
    assert not (tmp_path / "data").exists()
