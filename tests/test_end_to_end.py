"""Run all steps: from audio to a data set, a run, a TFLite file and the labels of a library."""

import json
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.training.runs import Run
from tests.conftest import EPOCHS, Command
from tests.training.commands import SCAN, TRAIN, succeed

pytestmark = pytest.mark.slow


def test_run_folder_is_complete(trained_run: Path) -> None:
    run = Run.load(trained_run / "run")
    assert run.labels == ("bass", "flute", "noise")
    assert run.config.folds == 2
    assert run.config.seed == 1
    assert len(run.normalization["mean"]) == 13
    assert run.command.startswith("train-model ")
    history = json.loads((trained_run / "run" / "history.json").read_text())
    assert len(history["loss"]) == EPOCHS
    metrics = run.metrics()
    assert metrics["songs"] == 18
    assert len(metrics["by_fold"]) == 2
    parts = run.heldout()
    assert sorted(np.concatenate([part.segments for part in parts])) == list(range(36))
    assert all(part.model.exists() for part in parts)
    assert not (trained_run / "run.unfinished").exists()


def test_network_learns_distinct_genres(trained_run: Path) -> None:
    assert Run.load(trained_run / "run").metrics()["song_accuracy"] >= 0.8


def test_exported_model_labels_library(trained_run: Path, run_command: Command) -> None:
    result = run_command(
        SCAN,
        trained_run / "audio",
        "--model",
        trained_run / "model.tflite",
        "--format",
        "json",
    )
    songs = json.loads(result.stdout)
    assert len(songs) == 18
    assert sum(song["genre"] == song["path"].split("/")[0] for song in songs) >= 16


def test_same_seed_trains_same_network(
    trained_run: Path, tmp_path: Path, run_command: Command
) -> None:
    """Train in this process and in a fresh one."""
    options = ["--epochs", 2, "--model", "ann-regularized", "--seed", 7]
    succeed(TRAIN, trained_run / "data", *options, "--out", tmp_path / "one")
    result = run_command(TRAIN, trained_run / "data", *options, "--out", tmp_path / "two")
    assert result.returncode == 0, result.stderr
    one, two = (
        np.load(tmp_path / name / "heldout.npz")["probabilities"] for name in ("one", "two")
    )
    np.testing.assert_array_equal(one, two)
