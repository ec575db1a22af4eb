"""The whole line: audio, data set, run, TFLite file, labels of a library."""

import json
from pathlib import Path

import numpy as np
import pytest

from mobile_demo.card import read_model
from mobile_demo.classifier import Classifier
from mobile_demo.runtime import new_interpreter
from tests.conftest import Command, write_genres
from training.runs import Run
from training.songs import DataError

pytestmark = pytest.mark.slow

PREPARE = "training.cli.prepare_dataset"
TRAIN = "training.cli.train_model"
EXPORT = "export.cli"
SCAN = "mobile_demo.cli.scan_library"


def succeed(result) -> None:
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_genres(tmp_path_factory.mktemp("audio"), songs=6)


@pytest.fixture(scope="module")
def workshop(audio: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, a run and an exported model of three genres that anyone can tell apart."""
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("workshop")

    def run(module: str, *arguments: object) -> None:
        command = [sys.executable, "-m", module, *map(str, arguments)]
        subprocess.run(command, check=True)

    run(PREPARE, audio, "--out", folder / "data")
    run(TRAIN, folder / "data", "--out", folder / "run", "--folds", 3, "--epochs", 100,
        "--learning-rate", 0.001, "--batch-size", 8)  # fmt: skip
    run(EXPORT, folder / "run", "--out", folder / "model.tflite", "--representative", 30)
    return folder


def test_a_run_folder_holds_all_that_training_leaves_behind(workshop: Path) -> None:
    run = Run.load(workshop / "run")
    assert run.labels == ("bass", "flute", "noise")
    assert run.config.folds == 3
    assert run.config.seed == 1
    assert len(run.normalization["mean"]) == 13
    assert run.command.startswith("train-model ")
    history = json.loads((workshop / "run" / "history.json").read_text())
    assert len(history["loss"]) == 100
    metrics = run.metrics()
    assert metrics["songs"] == 18
    assert len(metrics["by_fold"]) == 3
    parts = run.heldout()
    assert sorted(np.concatenate([part.segments for part in parts])) == list(range(36))
    assert all(part.model.exists() for part in parts)
    assert not (workshop / "run.unfinished").exists()


def test_genres_that_anyone_can_tell_apart_are_told_apart(workshop: Path) -> None:
    assert Run.load(workshop / "run").metrics()["song_accuracy"] >= 0.8


def test_the_file_is_int8_inside_and_float32_at_both_ends_with_built_in_ops(workshop: Path) -> None:
    report = json.loads((workshop / "model.report.json").read_text())
    assert report["parity_holds"] is True
    assert not [op for op in report["ops"] if op.startswith("Flex") or op == "CUSTOM"]
    assert report["ops"][:3] == ["SUB", "MUL", "QUANTIZE"]
    assert report["ops"][-1] == "DEQUANTIZE"
    assert "float32" in (workshop / "model.report.md").read_text()
    model, card = read_model(workshop / "model.tflite")
    interpreter = new_interpreter(model)
    assert interpreter.get_input_details()[0]["dtype"] is np.float32
    assert interpreter.get_output_details()[0]["dtype"] is np.float32
    types = {tensor["index"]: tensor["dtype"] for tensor in interpreter.get_tensor_details()}
    layers = [
        op
        for op in interpreter._get_ops_details()
        if op["op_name"] in {"CONV_2D", "FULLY_CONNECTED"}
    ]
    assert len(layers) == 5
    for layer in layers:  # what comes in, and the weights
        assert {types[index] for index in layer["inputs"][:2]} == {np.int8}
    assert card.accuracy["song_accuracy_int8"] >= 0.8


def test_the_scanner_labels_a_library_with_it(
    workshop: Path, audio: Path, run_command: Command
) -> None:
    result = run_command(SCAN, audio, "--model", workshop / "model.tflite", "--format", "json")
    songs = json.loads(result.stdout)
    assert len(songs) == 18
    assert sum(song["genre"] == song["path"].split("/")[0] for song in songs) >= 16


def test_int8_at_both_ends_leaves_the_standardisation_to_the_caller(
    workshop: Path, audio: Path, run_command: Command
) -> None:
    out = workshop / "int8.tflite"
    succeed(run_command(EXPORT, workshop / "run", "--out", out, "--io", "int8"))
    model, card = read_model(out)
    interpreter = new_interpreter(model)
    assert interpreter.get_input_details()[0]["dtype"] is np.int8
    assert interpreter.get_output_details()[0]["dtype"] is np.int8
    assert card.standardization is not None
    song = audio / "bass" / "0.wav"
    assert Classifier.load(out).label(song).genre == "bass"


def test_the_same_run_gives_the_same_bytes(workshop: Path, run_command: Command) -> None:
    again = workshop / "again.tflite"
    succeed(run_command(EXPORT, workshop / "run", "--out", again, "--representative", 30))
    assert again.read_bytes() == (workshop / "model.tflite").read_bytes()


def test_the_same_seed_trains_the_same_network(workshop: Path, run_command: Command) -> None:
    for name in ("one", "two"):
        succeed(
            run_command(
                TRAIN,
                workshop / "data",
                "--out",
                workshop / name,
                "--epochs",
                2,
                "--model",
                "ann-regularized",
                "--seed",
                7,
            )
        )
    one, two = (
        np.load(workshop / name / "heldout.npz")["probabilities"] for name in ("one", "two")
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
        (EXPORT, ["{folder}/data", "--out", "{folder}/x.tflite"], "not a finished run"),
        (EXPORT, ["{folder}/run", "--out", "{folder}/x.bin"], "must end in .tflite"),
        (EXPORT, ["{folder}/run", "--out", "/no/such/x.tflite"], "not a folder"),
    ],
)
def test_a_mistake_is_answered_in_one_sentence(
    workshop: Path, run_command: Command, module: str, arguments: list[str], sentence: str
) -> None:
    result = run_command(module, *(a.format(folder=workshop) for a in arguments))
    assert result.returncode == 1
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert not (workshop / "new").exists()


def test_a_broken_parity_is_an_error_and_leaves_no_model(
    workshop: Path, run_command: Command
) -> None:
    import shutil

    shutil.copytree(workshop / "run", workshop / "tampered")
    with np.load(workshop / "tampered" / "heldout.npz") as arrays:
        saved = dict(arrays)
    saved["probabilities"] = np.roll(saved["probabilities"], 1, axis=1)
    np.savez(workshop / "tampered" / "heldout.npz", **saved)
    out = workshop / "tampered.tflite"
    result = run_command(EXPORT, workshop / "tampered", "--out", out)
    assert result.returncode == 1
    assert "Parity is broken" in result.stderr
    assert not out.exists()
    assert json.loads(out.with_suffix(".report.json").read_text())["parity_holds"] is False


def test_a_run_that_lost_its_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a finished run"):
        Run.load(tmp_path)
