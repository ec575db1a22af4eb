"""Run ``train-model``: train, resume, stop early, use several devices, and refuse options."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from pocketgenre.features.config import LOG_MEL_CONFIG, MFCC_CONFIG
from pocketgenre.training.data.dataset import Dataset, load_dataset
from pocketgenre.training.data.splits import hold_out_validation, split_segments
from pocketgenre.training.errors import DataError
from pocketgenre.training.models.checkpoints import best_epoch, is_patience_exhausted
from pocketgenre.training.runs import Run, TrainingConfig
from tests.conftest import REPOSITORY, Command
from tests.training.commands import TRAIN, refuse, succeed
from tests.training.event_logs import logged_scalars
from tests.training.fabricated import fabricate_run, in_shards, three_genres


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return three_genres(tmp_path_factory.mktemp("features") / "data")


def assert_same_run(one: Path, two: Path) -> None:
    weights = [keras.models.load_model(run / "model.keras").get_weights() for run in (one, two)]
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (one / "history.json").read_text() == (two / "history.json").read_text()


def test_option_list_prints_every_trainer(run_command: Command) -> None:
    result = run_command(TRAIN, "--list")
    assert result.returncode == 0
    names = [line.split()[0] for line in result.stdout.splitlines()]
    assert names == ["ann", "ann-regularized", "cnn", "lstm", "musicnn", "residual"]


@pytest.mark.parametrize("option", ["--help", "--list"])
def test_help_and_list_do_not_import_tensorflow(option: str) -> None:
    code = f"import sys; sys.argv[1:] = [{option!r}]\n"
    code += f"from {TRAIN} import main\ntry: main()\nexcept SystemExit: pass\n"
    code += "sys.exit('tensorflow' in sys.modules or 'sklearn' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True, capture_output=True)


@pytest.mark.slow
def test_killed_training_resumes_to_same_network(dataset: Dataset, tmp_path: Path) -> None:
    options = [dataset.folder, "--model", "ann-regularized", "--epochs", 12, "--batch-size", 8]
    succeed(TRAIN, *options, "--out", tmp_path / "whole")

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
    succeed(TRAIN, *options, "--out", tmp_path / "killed")
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.slow
def test_early_stopping_restores_best_epoch(tmp_path: Path) -> None:
    dataset = three_genres(tmp_path / "data", difference=0.0)  # noise, so it can only overfit
    options = ["--model", "ann", "--epochs", 60, "--early-stopping", 3, "--learning-rate", 0.001]
    succeed(TRAIN, dataset.folder, *options, "--tensorboard", "--out", tmp_path / "run")
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    epochs = len(history["val_loss"])
    assert epochs < 60
    assert best_epoch(history) == epochs - 1 - 3
    logged = logged_scalars(tmp_path / "run" / "logs" / "model")
    assert set(logged) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    for name, values in logged.items():
        assert values == pytest.approx(history[name], rel=1e-6)


def test_early_stopping_validates_on_separate_songs(dataset: Dataset) -> None:
    split = hold_out_validation(dataset, split_segments(dataset, "songs", 5, 1)[0], "songs", 1)
    groups = dataset.song_groups[dataset.segment_songs]
    for one, other in (("train", "test"), ("train", "validation"), ("validation", "test")):
        assert not set(groups[getattr(split, one)]) & set(groups[getattr(split, other)])
    assert len(split.validation)


def test_patience_counts_epochs_since_best() -> None:
    history = {"val_loss": [3.0, 2.0, 2.5, 2.0]}
    assert best_epoch(history) == 1
    assert is_patience_exhausted(history, 2)
    assert not is_patience_exhausted(history, 3)
    assert not is_patience_exhausted(history, 0)


@pytest.mark.slow
@pytest.mark.parametrize("form", [pytest.param("one piece", marks=pytest.mark.long), "shards"])
def test_two_workers_train_one_network(tmp_path: Path, form: str) -> None:
    distinct = three_genres(tmp_path / "distinct", difference=2.0)
    data = distinct if form == "one piece" else in_shards(distinct, tmp_path / "data", 3)
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    options = ["--model", "ann", "--epochs", "4", "--batch-size", "8", "--learning-rate", "0.001",
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
def test_two_replicas_train_one_network(dataset: Dataset, tmp_path: Path) -> None:
    options = ["--model", "ann", "--epochs", "25", "--batch-size", "8", "--learning-rate", "0.001"]
    subprocess.run(
        [sys.executable, "-c", MIRRORED, dataset.folder, *options, "--strategy", "mirrored",
         "--out", tmp_path / "run"],
        cwd=REPOSITORY,
        check=True,
    )  # fmt: skip
    assert Run.load(tmp_path / "run").metrics()["song_accuracy"] >= 0.8


@pytest.mark.long
def test_model_all_trains_networks_by_both_protocols(dataset: Dataset, tmp_path: Path) -> None:
    result = succeed(
        TRAIN, dataset.folder, "--model", "all", "--epochs", 1, "--out", tmp_path / "all"
    )
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
def test_full_disk_leaves_no_finished_files(dataset: Dataset, tmp_path: Path) -> None:
    limit = "ulimit -f 100; trap '' XFSZ; "  # limits files to 50 or 100 KB, so that writing fails
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


@pytest.mark.slow
@pytest.mark.parametrize("model", ["ann", "cnn", "lstm"])
def test_published_network_takes_shape_from_dataset(model: str, tmp_path: Path) -> None:
    config = replace(MFCC_CONFIG, segment_samples=22_050, n_mfcc=20, top_db=60.0)
    dataset = three_genres(tmp_path / "data", config=config)
    options = ["--model", model, "--epochs", 1, "--out", tmp_path / "run"]
    succeed(TRAIN, dataset.folder, *options)
    network = keras.models.load_model(tmp_path / "run" / "model.keras")
    assert network.input_shape == (None, 44, 20)


@pytest.mark.slow
def test_published_network_trains_on_log_mel(tmp_path: Path) -> None:
    dataset = three_genres(tmp_path / "data", config=LOG_MEL_CONFIG)
    options = ["--model", "lstm", "--epochs", 1, "--out", tmp_path / "run"]
    succeed(TRAIN, dataset.folder, *options)
    network = keras.models.load_model(tmp_path / "run" / "model.keras")
    assert network.input_shape == (None, 188, 96)


@pytest.mark.parametrize(
    ("model", "config", "message"),
    [
        (
            "cnn",
            replace(MFCC_CONFIG, n_mfcc=10),
            "cnn needs segments of at least 11 frames and 11 coefficients;",
        ),
        (
            "cnn",
            replace(MFCC_CONFIG, segment_samples=9 * 512),
            "cnn needs segments of at least 11 frames and 11 coefficients;",
        ),
        (
            "residual",
            replace(MFCC_CONFIG, segment_samples=20 * 512),
            "residual needs segments of at least 22 frames",
        ),
        ("residual", LOG_MEL_CONFIG, "residual needs mfcc features, but"),
        ("musicnn", MFCC_CONFIG, "musicnn needs log-mel features, but"),
        ("musicnn", replace(LOG_MEL_CONFIG, level=10.0), "musicnn: level is 10.0, not 3000.0;"),
    ],
)
def test_unsuitable_features_are_refused(
    tmp_path: Path, model: str, config: object, message: str
) -> None:
    dataset = three_genres(tmp_path / "data", config=config)
    assert message in refuse(TRAIN, dataset.folder, "--model", model, "--out", tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.slow
def test_smallest_segments_fit_cnn(tmp_path: Path) -> None:
    config = replace(MFCC_CONFIG, segment_samples=10 * 512, n_mfcc=11)
    dataset = three_genres(tmp_path / "data", config=config)
    succeed(TRAIN, dataset.folder, "--epochs", 1, "--out", tmp_path / "run")
    assert Run.load(tmp_path / "run").feature_config.shape == (11, 11)


@pytest.mark.slow
def test_interrupted_run_keeps_its_configuration(dataset: Dataset, tmp_path: Path) -> None:
    options = [dataset.folder, "--model", "ann", "--out", tmp_path / "run"]
    succeed(TRAIN, *options, "--epochs", 1)
    (tmp_path / "run").rename(tmp_path / "run.unfinished")
    assert "interrupted run of another configuration" in refuse(TRAIN, *options, "--epochs", 2)


@pytest.mark.slow
def test_failed_start_leaves_no_folder(tmp_path: Path) -> None:
    data = three_genres(tmp_path / "data", config=LOG_MEL_CONFIG)
    options = ["--model", "musicnn", "--pretrained", tmp_path / "nowhere"]
    assert "nowhere" in refuse(TRAIN, data.folder, *options, "--out", tmp_path / "run")
    assert list(tmp_path.iterdir()) == [data.folder]


@pytest.mark.slow
def test_start_without_progress_keeps_no_name(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "run.unfinished").mkdir()
    (tmp_path / "run.unfinished" / "run.json").write_text("{}")
    options = [dataset.folder, "--model", "ann", "--epochs", 1, "--out", tmp_path / "run"]
    succeed(TRAIN, *options)
    assert list(tmp_path.iterdir()) == [tmp_path / "run"]


@pytest.mark.slow
def test_interrupted_run_keeps_its_song_groups(dataset: Dataset, tmp_path: Path) -> None:
    """With other groups, the remaining folds would train on songs that were held out before."""
    shutil.copytree(dataset.folder, tmp_path / "data")
    options = [tmp_path / "data", "--model", "ann", "--epochs", 1, "--out", tmp_path / "run"]
    succeed(TRAIN, *options)
    run, unfinished = tmp_path / "run", tmp_path / "run.unfinished"
    shutil.copytree(run, unfinished)
    songs = load_dataset(tmp_path / "data").index_file
    songs.write_text(songs.read_text().replace("jazz,,1,", "jazz,,0,"))
    run.rename(tmp_path / "elsewhere")
    message = refuse(TRAIN, *options)
    assert "interrupted run of another configuration, data set" in message
    before = Run.load(tmp_path / "elsewhere")
    assert before.is_of(dataset)  # although the folder has another name
    assert not before.is_of(load_dataset(tmp_path / "data"))


@pytest.mark.parametrize(
    ("model", "option"),
    [
        ("musicnn", ("--epochs", 7)),
        ("musicnn", ("--early-stopping", 2)),
        ("musicnn", ("--no-balance-genres",)),
        ("residual", ("--early-stopping", 2)),
        ("cnn", ("--members", 2)),
        ("all", ("--pretrained", "x")),
    ],
)
def test_unused_option_is_refused(
    dataset: Dataset, tmp_path: Path, model: str, option: tuple
) -> None:
    message = refuse(TRAIN, dataset.folder, "--model", model, *option, "--out", tmp_path / "run")
    assert f"{model} takes no {option[0].replace('no-', '')};" in message
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_model_all_refuses_run_of_another_dataset(dataset: Dataset, tmp_path: Path) -> None:
    options = ["--model", "all", "--epochs", 1, "--out", tmp_path / "all"]
    done = tmp_path / "all" / "ann-songs"
    config = TrainingConfig(model="ann", epochs=1)
    fabricate_run(
        done, dataset, np.full((len(dataset.segment_songs), 3), 1 / 3), epochs=1, model="ann"
    )
    assert Run.load(done).config == config
    other = three_genres(tmp_path / "other", difference=0.5)
    message = refuse(TRAIN, other.folder, *options)
    assert "ann-songs is a run of another configuration or data set" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--strategy", "multi-worker"], "needs the environment variable TF_CONFIG"),
        (["--strategy", "telepathy"], "--strategy must be one of"),
        (["--protocol", "x"], "--protocol must be one of songs, segments, not 'x'"),
        (["--model", "x"], "--model must be one of ann, "),
        (["--folds", 1], "--folds 1"),
        (["--folds", 25], "take fewer folds"),
        (["--out", "."], "exists already"),
        (["--leave-out", "nowhere.csv"], "The list of songs nowhere.csv cannot be"),
    ],
)
def test_wrong_option_is_refused(
    dataset: Dataset, tmp_path: Path, options: list, message: str
) -> None:
    assert message in refuse(TRAIN, dataset.folder, "--out", tmp_path / "run", *options)
    assert not list(tmp_path.iterdir())


def test_missing_out_option_is_refused(dataset: Dataset) -> None:
    assert "with --out a folder" in refuse(TRAIN, dataset.folder)


def test_missing_dataset_is_refused(tmp_path: Path) -> None:
    assert "not a finished data set" in refuse(
        TRAIN, tmp_path / "nowhere", "--out", tmp_path / "run"
    )
    assert not list(tmp_path.iterdir())


def test_command_prints_error_without_traceback(dataset: Dataset, run_command: Command) -> None:
    result = run_command(TRAIN, dataset.folder)
    assert result.returncode == 1
    assert "with --out a folder" in result.stderr
    assert "Traceback" not in result.stderr


def test_folder_without_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a finished run"):
        Run.load(tmp_path)
