"""The whole line: audio, data set, run, TFLite file, labels of a library."""

import json
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.training.data.songs import DataError
from pocketgenre.training.runs import Run
from tests.conftest import Command

pytestmark = pytest.mark.slow

PREPARE = "pocketgenre.training.cli.prepare_dataset"
TRAIN = "pocketgenre.training.cli.train_model"
SCAN = "pocketgenre.cli.scan_library"


def succeed(result) -> None:
    assert result.returncode == 0, result.stderr


def test_a_run_folder_holds_all_that_training_leaves_behind(trained_run: Path) -> None:
    run = Run.load(trained_run / "run")
    assert run.labels == ("bass", "flute", "noise")
    assert run.config.folds == 2
    assert run.config.seed == 1
    assert len(run.normalization["mean"]) == 13
    assert run.command.startswith("train-model ")
    history = json.loads((trained_run / "run" / "history.json").read_text())
    assert len(history["loss"]) == 60
    metrics = run.metrics()
    assert metrics["songs"] == 18
    assert len(metrics["by_fold"]) == 2
    parts = run.heldout()
    assert sorted(np.concatenate([part.segments for part in parts])) == list(range(36))
    assert all(part.model.exists() for part in parts)
    assert not (trained_run / "run.unfinished").exists()


def test_genres_that_anyone_can_tell_apart_are_told_apart(trained_run: Path) -> None:
    assert Run.load(trained_run / "run").metrics()["song_accuracy"] >= 0.8


def test_the_scanner_labels_a_library_with_it(trained_run: Path, run_command: Command) -> None:
    result = run_command(
        SCAN, trained_run / "audio", "--model", trained_run / "model.tflite", "--format", "json"
    )
    songs = json.loads(result.stdout)
    assert len(songs) == 18
    assert sum(song["genre"] == song["path"].split("/")[0] for song in songs) >= 16


def test_the_same_seed_trains_the_same_network(trained_run: Path, run_command: Command) -> None:
    for name in ("one", "two"):
        succeed(
            run_command(
                TRAIN,
                trained_run / "data",
                "--out",
                trained_run / name,
                "--epochs",
                2,
                "--model",
                "ann-regularized",
                "--seed",
                7,
            )
        )
    one, two = (
        np.load(trained_run / name / "heldout.npz")["probabilities"] for name in ("one", "two")
    )
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("module", "arguments", "sentence"),
    [
        (TRAIN, ["{folder}/nowhere", "--out", "{folder}/new"], "not a finished data set"),
        (TRAIN, ["{folder}/data", "--out", "{folder}/run"], "exists already"),
        (TRAIN, ["{folder}/data", "--out", "{folder}/new", "--model", "x"], "--model must be one"),
        (TRAIN, ["{folder}/data", "--out", "{folder}/new", "--folds", "1"], "--folds 1"),
        (TRAIN, ["{folder}/data", "--out", "{folder}/new", "--folds", "19"], "take fewer folds"),
    ],
)
def test_a_mistake_is_answered_in_one_sentence(
    trained_run: Path, run_command: Command, module: str, arguments: list[str], sentence: str
) -> None:
    result = run_command(module, *(a.format(folder=trained_run) for a in arguments))
    assert result.returncode == 1
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert not (trained_run / "new").exists()


def test_a_run_that_lost_its_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a finished run"):
        Run.load(tmp_path)
