"""``export-tflite``: files that run anywhere, checked, with a report of what they cost."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.classifier import Classifier
from pocketgenre.export.measurements import require_runtime
from pocketgenre.export.pipeline import Exporter
from pocketgenre.export.representative_data import calibration_segments
from pocketgenre.export.variants import family
from pocketgenre.models.interpreter import create_interpreter
from pocketgenre.models.model_card import read_model
from pocketgenre.training.data.dataset import load_dataset
from pocketgenre.training.data.songs import DataError
from pocketgenre.training.evaluation.metrics import compute_metrics
from tests.conftest import Command
from tests.training.fabricated import fabricate_dataset, fabricate_run

pytestmark = pytest.mark.slow

EXPORT = "pocketgenre.export.cli"
SCAN = "pocketgenre.cli.scan_library"


def succeed(result) -> None:
    assert result.returncode == 0, result.stderr


def test_the_file_is_int8_inside_and_float32_at_both_ends_with_built_in_ops(
    trained_run: Path,
) -> None:
    report = json.loads((trained_run / "model.report.json").read_text())
    assert report["parity_holds"] is True
    assert not [op for op in report["ops"] if op.startswith("Flex") or op == "CUSTOM"]
    assert report["ops"][:3] == ["SUB", "MUL", "QUANTIZE"]
    assert report["ops"][-3:] == ["DEQUANTIZE", "ADD", "SOFTMAX"]
    assert "float32" in (trained_run / "model.report.md").read_text()
    model, card = read_model(trained_run / "model.tflite")
    interpreter = create_interpreter(model, delegates=False)  # XNNPACK would hide the operations
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
    assert card.accuracy["song_accuracy_tflite"] >= 0.8


def test_int8_at_both_ends_leaves_the_standardisation_to_the_caller(
    trained_run: Path, run_command: Command
) -> None:
    out = trained_run / "int8.tflite"
    succeed(run_command(EXPORT, trained_run / "run", "--out", out, "--io", "int8"))
    model, card = read_model(out)
    interpreter = create_interpreter(model, delegates=False)  # XNNPACK would hide the operations
    assert interpreter.get_input_details()[0]["dtype"] is np.int8
    assert interpreter.get_output_details()[0]["dtype"] is np.int8
    assert card.standardization is not None
    song = trained_run / "audio" / "bass" / "0.wav"
    assert Classifier.load(out).label(song).genre == "bass"


def test_the_same_run_gives_the_same_bytes(trained_run: Path, run_command: Command) -> None:
    again = trained_run / "again.tflite"
    succeed(run_command(EXPORT, trained_run / "run", "--out", again, "--representative", 30))
    assert again.read_bytes() == (trained_run / "model.tflite").read_bytes()


def test_a_broken_parity_is_an_error_and_leaves_no_model(
    trained_run: Path, run_command: Command
) -> None:
    shutil.copytree(trained_run / "run", trained_run / "tampered")
    with np.load(trained_run / "tampered" / "heldout.npz") as arrays:
        saved = dict(arrays)
    saved["probabilities"] = np.roll(saved["probabilities"], 1, axis=1)
    np.savez(trained_run / "tampered" / "heldout.npz", **saved)
    said = compute_metrics(
        load_dataset(trained_run / "data"), saved["segment"], saved["probabilities"]
    )
    (trained_run / "tampered" / "metrics.json").write_text(json.dumps(said.to_dict()))
    out = trained_run / "tampered.tflite"
    result = run_command(EXPORT, trained_run / "tampered", "--out", out)
    assert result.returncode == 1
    assert "Parity is broken" in result.stderr
    assert not out.exists()
    report = json.loads(out.with_suffix(".report.json").read_text())
    assert report["parity_holds"] is False
    assert {"CONV_2D", "FULLY_CONNECTED"} <= {layer["operation"] for layer in report["layers"]}
    assert "in int8 steps" in out.with_suffix(".report.md").read_text()


def test_all_forms_are_written_with_one_table(trained_run: Path, run_command: Command) -> None:
    out = trained_run / "family"
    succeed(run_command(EXPORT, trained_run / "run", "--all", "--out", out, "--representative", 30))
    table = json.loads((out / "comparison.json").read_text())
    assert [row["file"] for row in table["files"]] == [f"cnn_{f.name}.tflite" for f in family()]
    for row in table["files"]:
        assert row["written"], row
        assert (out / row["file"]).stat().st_size == row["bytes"]
        assert row["segment_agreement"] >= 0.98
        assert row["milliseconds"]
        assert row["arena"] > 0
        Classifier.load(out / row["file"])
    page = (out / "comparison.md").read_text()
    assert all(row["file"] in page for row in table["files"])


def test_the_scanner_takes_a_waveform_file_as_well(trained_run: Path, run_command: Command) -> None:
    out = trained_run / "waveform.tflite"
    succeed(run_command(EXPORT, trained_run / "run", "--input", "waveform", "--out", out))
    report = json.loads(out.with_suffix(".report.json").read_text())
    assert report["features"]["in the graph, all of the data set"]["largest_difference"] < 1e-3
    by_samples, by_features = (
        run_command(SCAN, trained_run / "audio", "--model", model, "--format", "json").stdout
        for model in (out, trained_run / "model.tflite")
    )
    assert len(json.loads(by_samples)) == 18
    assert [(s["path"], s["genre"]) for s in json.loads(by_samples)] == [
        (s["path"], s["genre"]) for s in json.loads(by_features)
    ]


def test_the_report_tells_of_each_runtime(trained_run: Path, run_command: Command) -> None:
    out = trained_run / "two.tflite"
    arguments = ["--out", out, "--other-python", sys.executable]
    succeed(run_command(EXPORT, trained_run / "run", *arguments))
    report = json.loads(out.with_suffix(".report.json").read_text())
    assert [probe["runtime"].split()[0] for probe in report["probes"]] == ["ai-edge-litert"] * 2
    assert report["runtimes_agree"] is True
    for probe in report["probes"]:
        assert 0 < probe["milliseconds"]["1"] < 1000
    assert "| ai-edge-litert" in out.with_suffix(".report.md").read_text()


def test_calibration_segments_are_drawn_evenly_by_genre(trained_run: Path) -> None:
    dataset = load_dataset(trained_run / "data")
    everything = np.arange(len(dataset.segment_songs))
    drawn = calibration_segments(dataset, everything, 15, seed=1)
    assert np.bincount(dataset.segment_targets[drawn]).tolist() == [5, 5, 5]
    assert np.array_equal(drawn, calibration_segments(dataset, everything, 15, seed=1))
    assert not np.array_equal(drawn, calibration_segments(dataset, everything, 15, seed=2))
    with pytest.raises(DataError, match="no segments to calibrate"):
        calibration_segments(dataset, everything[:0], 15, seed=1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["{folder}/data", "--out", "{folder}/x.tflite"], "not a finished run"),
        (["{folder}/run", "--out", "{folder}/x.bin"], "must end in .tflite"),
        (["{folder}/run", "--out", "/no/such/x.tflite"], "not a folder"),
        (["{folder}/run", "--all", "--out", "{folder}/model.tflite"], "is not a folder"),
        (["{folder}/run", "--out", "{folder}/x.tflite", "--io", "int8", "--input", "waveform"],
         "--io int8 goes with"),
        (["{folder}/run", "--out", "{folder}/x.tflite", "--dataset", "{folder}"],
         "not a finished data set"),
        (["{folder}/run", "--out", "{folder}/x.tflite", "--other-python", "/no/python"],
         "/no/python cannot be started"),
        (["{folder}/run", "--out", "{folder}/x.tflite", "--other-python", "/bin/true"],
         "/bin/true is no Python that has pocketgenre and a TFLite runtime"),
    ],
)  # fmt: skip
def test_a_mistake_is_answered_in_one_sentence(
    trained_run: Path, run_command: Command, arguments: list[str], sentence: str
) -> None:
    result = run_command(EXPORT, *(a.format(folder=trained_run) for a in arguments))
    assert result.returncode == 1
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert not (trained_run / "x.tflite").exists()


def test_only_a_python_with_a_runtime_is_asked(tmp_path: Path) -> None:
    require_runtime(Path(sys.executable))
    bare = tmp_path / "python"
    bare.write_text('#!/bin/sh\necho "No module named pocketgenre" >&2; exit 1\n')
    bare.chmod(0o755)
    with pytest.raises(
        DataError, match=r"\(No module named pocketgenre\); install pocketgenre and"
    ):
        require_runtime(bare)


def test_another_data_set_of_the_same_genres_is_an_error_before_any_work(tmp_path: Path) -> None:
    genres = {"jazz": [2, 1], "rock": [1, 2]}
    run = fabricate_run(
        tmp_path / "run", fabricate_dataset(tmp_path / "data", genres), [[0.9, 0.1]] * 6
    )
    for name, others in (("fewer", {"jazz": [2], "rock": [1]}),
                         ("other", {"jazz": [1], "rock": [3, 2]})):  # fmt: skip
        with pytest.raises(DataError, match=r"is not the one that .* was trained on, or has"):
            Exporter(run, fabricate_dataset(tmp_path / name, others))


def test_a_data_set_of_other_genres_is_an_error(
    trained_run: Path, tmp_path: Path, run_command: Command
) -> None:
    shutil.copytree(trained_run / "audio", tmp_path / "audio")
    (tmp_path / "audio" / "bass").rename(tmp_path / "audio" / "tuba")
    succeed(run_command("pocketgenre.training.cli.prepare_dataset", tmp_path / "audio", "--out",
                        tmp_path / "data"))  # fmt: skip
    arguments = ["--dataset", tmp_path / "data", "--out", tmp_path / "x.tflite"]
    result = run_command(EXPORT, trained_run / "run", *arguments)
    assert result.returncode == 1
    assert "holds the genres flute, noise, tuba, but the run" in result.stderr
    assert not (tmp_path / "x.tflite").exists()
