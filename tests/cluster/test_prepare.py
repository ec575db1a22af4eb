"""A data set made on a cluster is the one made at home, whatever happens to the workers."""

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
from tests.conftest import REPOSITORY, Command, until, write_genres

PREPARE = "pocketgenre.training.cli.prepare_dataset"


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_genres(tmp_path_factory.mktemp("audio"), songs=5)
    (folder / "bass" / "broken.mp3").write_text("no music")
    return folder


@pytest.fixture(scope="module")
def at_home(audio: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("home") / "data"
    command = [sys.executable, "-m", PREPARE, audio, "--out", out, "--shards", "4"]
    subprocess.run(command, check=True, cwd=REPOSITORY)
    return out


def content(dataset: Path) -> dict[str, bytes]:
    files = (path for path in dataset.rglob("*") if path.is_file())
    return {path.relative_to(dataset).as_posix(): path.read_bytes() for path in files}


def test_every_byte_is_that_of_a_data_set_made_at_home(
    cluster: Cluster, audio: Path, at_home: Path, tmp_path: Path, run_command: Command
) -> None:
    out = tmp_path / "data"
    options = ["--shards", 4, "--cluster", cluster.address]
    result = run_command(PREPARE, audio, "--out", f"file://{out}", *options)
    assert result.returncode == 0, result.stderr
    assert "Left out bass/broken.mp3: not audio" in result.stderr
    assert content(out) == content(at_home)
    load_dataset(out).check()


def test_killed_with_its_workers_it_goes_on_from_what_is_there(
    cluster: Cluster, audio: Path, at_home: Path, tmp_path: Path, run_command: Command
) -> None:
    """The command dies in the middle, workers die while the next one runs."""
    out = tmp_path / "data"
    options = [audio, "--out", out, "--shards", 4, "--cluster", cluster.address]
    command = [sys.executable, "-m", PREPARE, *map(str, options)]
    process = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL)
    until(lambda: len(list(out.glob("parts/*.npy"))) >= 4)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = {path: path.stat().st_mtime_ns for path in out.glob("parts/*.npy")}
    assert done
    assert not (out / "dataset.json").exists()
    assert cluster.benches()

    rng = np.random.default_rng(5)
    killer = threading.Timer(2.5, lambda: cluster.kill_at_random(rng))
    killer.start()
    process = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)
    kept = set()
    while process.poll() is None:
        kept |= {path for path, when in done.items() if _time(path) == when}
        time.sleep(0.02)
    killer.join()
    assert process.returncode == 0, process.communicate()[1]
    assert kept == set(done)  # what was there was not computed again
    assert content(out) == content(at_home)
    assert not cluster.benches()  # the killed command's are gone, too


def _time(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def test_only_what_is_missing_or_damaged_is_made_anew(
    cluster: Cluster, audio: Path, at_home: Path, tmp_path: Path, run_command: Command
) -> None:
    out = tmp_path / "data"
    shutil.copytree(at_home, out)
    first, second, *_ = sorted(out.glob("shards/*.npy"))
    first.write_bytes(os.urandom(first.stat().st_size))
    second.unlink()
    options = ["--shards", 4, "--cluster", cluster.address]
    result = run_command(PREPARE, audio, "--out", out, *options)
    assert result.returncode == 0, result.stderr
    assert "Found 2 intact shards of 4" in result.stderr
    assert "Computing segments of 8 songs" in result.stderr
    assert content(out) == content(at_home)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--cluster", "tcp://127.0.0.1:9", "--workers", 1], "leave it out with --cluster"),
        (["--shards", 4, "--spectra"], "in one file"),
    ],
)
def test_a_mistake_is_answered_in_one_sentence(
    audio: Path, tmp_path: Path, run_command: Command, options: list[str], sentence: str
) -> None:
    result = run_command(PREPARE, audio, "--out", tmp_path / "data", *options)
    assert result.returncode == 1
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "data").exists()
