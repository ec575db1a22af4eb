"""``train-model``: what a trainer expects."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.splits import hold_out_validation, split_segments
from pocketgenre.training.models.checkpoints import best_epoch, has_lost_patience
from pocketgenre.training.runs import Run
from tests.conftest import REPOSITORY, Command
from tests.training.fabricated import in_shards, three_genres

TRAIN = "pocketgenre.training.cli.train_model"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return three_genres(tmp_path_factory.mktemp("features") / "data")


def weights(run: Path) -> list[np.ndarray]:
    return keras.models.load_model(run / "model.keras").get_weights()


def assert_same_run(one: Path, two: Path) -> None:
    for a, b in zip(weights(one), weights(two), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (one / "history.json").read_text() == (two / "history.json").read_text()


def test_list_shows_the_networks(run_command: Command) -> None:
    result = run_command(TRAIN, "--list")
    assert result.returncode == 0
    names = [line.split()[0] for line in result.stdout.splitlines()]
    assert names == ["ann", "ann-regularized", "cnn", "lstm", "musicnn", "residual"]


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_and_ends_with_the_same_network(
    dataset: Dataset, tmp_path: Path, run_command: Command
) -> None:
    options = [dataset.folder, "--model", "ann-regularized", "--epochs", 30, "--batch-size", 8]
    assert run_command(TRAIN, *options, "--out", tmp_path / "whole").returncode == 0

    command = [sys.executable, "-m", TRAIN, *map(str, options), "--out", str(tmp_path / "killed")]
    rng = np.random.default_rng(0)
    kills = 0
    for _ in range(3):
        checkpoint = tmp_path / "killed.unfinished" / "checkpoints" / "last.keras"
        process = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL)
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        while process.poll() is None:
            if checkpoint.exists() and checkpoint.stat().st_mtime_ns != before:
                break
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills
    assert not (tmp_path / "killed").exists()
    result = run_command(TRAIN, *options, "--out", tmp_path / "killed")
    assert result.returncode == 0, result.stderr
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.slow
def test_early_stopping_keeps_the_best_epoch_and_never_looks_at_the_judged_songs(
    tmp_path: Path, run_command: Command
) -> None:
    dataset = three_genres(tmp_path / "data", difference=0.0)  # nothing to learn but by heart
    options = ["--model", "ann", "--epochs", 60, "--early-stopping", 3, "--learning-rate", 0.001]
    result = run_command(
        TRAIN, dataset.folder, *options, "--tensorboard", "--out", tmp_path / "run"
    )
    assert result.returncode == 0, result.stderr
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    epochs = len(history["val_loss"])
    assert epochs < 60
    assert best_epoch(history) == epochs - 1 - 3
    assert list((tmp_path / "run" / "logs").rglob("events.out.tfevents.*"))
    split = hold_out_validation(dataset, split_segments(dataset, "songs", 5, 1)[0], "songs", 1)
    groups = dataset.song_groups[dataset.segment_songs]
    for one, other in (("train", "test"), ("train", "validation"), ("validation", "test")):
        assert not set(groups[getattr(split, one)]) & set(groups[getattr(split, other)])
    assert len(split.validation)


def test_patience_counts_epochs_since_the_best() -> None:
    history = {"val_loss": [3.0, 2.0, 2.5, 2.0]}
    assert best_epoch(history) == 1
    assert has_lost_patience(history, 2)
    assert not has_lost_patience(history, 3)
    assert not has_lost_patience(history, 0)


@pytest.mark.slow
@pytest.mark.parametrize("form", [pytest.param("one piece", marks=pytest.mark.long), "shards"])
def test_two_workers_train_one_network(dataset: Dataset, tmp_path: Path, form: str) -> None:
    data = dataset if form == "one piece" else in_shards(dataset, tmp_path / "data", 3)
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    options = ["--model", "ann", "--epochs", "25", "--batch-size", "8", "--learning-rate", "0.001",
               "--strategy", "multi-worker", "--out", tmp_path / "run"]  # fmt: skip
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", TRAIN, data.folder, *options],
            cwd=REPOSITORY,
            env=os.environ
            | {
                "TF_CONFIG": json.dumps(
                    {"cluster": cluster, "task": {"type": "worker", "index": i}}
                )
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]
    try:
        output = [worker.communicate(timeout=200)[1] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0, 0], output
    run = Run.load(tmp_path / "run")
    assert run.metrics()["song_accuracy"] >= 0.8
    assert not (tmp_path / "run.unfinished").exists()


MIRRORED = """
import sys
import tensorflow as tf
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
original = tf.distribute.MirroredStrategy
tf.distribute.MirroredStrategy = lambda: original(["CPU:0", "CPU:1"])
from pocketgenre.training.cli.train_model import main
main()
"""


@pytest.mark.long
def test_two_replicas_on_one_host_train_one_network(dataset: Dataset, tmp_path: Path) -> None:
    options = ["--model", "ann", "--epochs", "25", "--batch-size", "8", "--learning-rate", "0.001"]
    subprocess.run(
        [sys.executable, "-c", MIRRORED, dataset.folder, *options, "--strategy", "mirrored",
         "--out", tmp_path / "run"],
        cwd=REPOSITORY,
        check=True,
    )  # fmt: skip
    assert Run.load(tmp_path / "run").metrics()["song_accuracy"] >= 0.8


@pytest.mark.slow
def test_a_data_set_of_another_front_end_is_an_error(tmp_path: Path, run_command: Command) -> None:
    dataset = three_genres(tmp_path / "data")
    head = json.loads((tmp_path / "data" / "dataset.json").read_text())
    head["front_end"]["top_db"] = 60.0
    (tmp_path / "data" / "dataset.json").write_text(json.dumps(head))
    result = run_command(TRAIN, dataset.folder, "--out", tmp_path / "run")
    assert result.returncode == 1
    assert "another front end (top_db 60.0, not 80.0)" in result.stderr


@pytest.mark.long
def test_all_trains_each_network_by_both_protocols(
    dataset: Dataset, tmp_path: Path, run_command: Command
) -> None:
    options = ["--model", "all", "--epochs", 1, "--out", tmp_path / "all"]
    result = run_command(TRAIN, dataset.folder, *options)
    assert result.returncode == 0, result.stderr
    names = {path.name for path in (tmp_path / "all").iterdir()}
    assert names == {
        f"{network}-{protocol}"
        for network in ("ann", "ann-regularized", "cnn", "lstm")
        for protocol in ("songs", "segments")
    }
    assert "LEAKS" in result.stderr
    leaky = json.loads((tmp_path / "all" / "cnn-segments" / "metrics.json").read_text())
    assert "LEAKS" in leaky["protocol_meaning"]


@pytest.mark.slow
def test_a_full_disk_is_an_error_and_nothing_that_looks_whole(
    dataset: Dataset, tmp_path: Path
) -> None:
    limit = "ulimit -f 100; trap '' XFSZ; "  # files of at most 50 to 100 KB: writing fails
    command = (
        f"{sys.executable} -m {TRAIN} {dataset.folder} --model ann --epochs 2 --out {tmp_path}/run"
    )
    result = subprocess.run(
        ["bash", "-c", limit + command], capture_output=True, text=True, cwd=REPOSITORY, check=False
    )
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert not (tmp_path / "run").exists()
    assert not list(tmp_path.rglob("*.keras"))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--strategy", "multi-worker"], "needs the environment variable TF_CONFIG"),
        (["--strategy", "telepathy"], "--strategy must be one of"),
        ([], "with --out a folder"),
        (["--out", "new", "--leave-out", "nowhere.csv"], "The list of songs nowhere.csv cannot be"),
    ],
)
def test_a_mistake_is_answered_in_one_sentence(
    dataset: Dataset, run_command: Command, options: list[str], sentence: str
) -> None:
    result = run_command(TRAIN, dataset.folder, *options)
    assert result.returncode == 1
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
