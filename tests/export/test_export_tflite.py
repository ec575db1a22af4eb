"""Test ``export-tflite``: the files, their checks and their reports."""

import json
import shutil
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import typer
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

from pocketgenre import GenreClassifier
from pocketgenre.cli.scan_library import scan_library
from pocketgenre.errors import PocketGenreError
from pocketgenre.export.cli import IOOption, QuantizationOption, export_tflite
from pocketgenre.export.pipeline import Exporter
from pocketgenre.export.runtime_results import require_runtime
from pocketgenre.export.variants import all_variants
from pocketgenre.models.interpreter import create_interpreter
from pocketgenre.models.model_card import read_model
from pocketgenre.models.tflite_model import TFLiteModel
from pocketgenre.training.data.dataset import Dataset, load_dataset
from pocketgenre.training.errors import DataError
from pocketgenre.training.evaluation.metrics import compute_metrics
from pocketgenre.training.models.networks import assemble_network
from pocketgenre.training.runs import Run
from tests.conftest import Command
from tests.training.fabricated import fabricate_dataset, fabricate_run

pytestmark = pytest.mark.slow

EXPORT = "pocketgenre.export.cli"


def as_app(command) -> typer.Typer:
    app = typer.Typer()
    app.command()(command)
    return app


@pytest.fixture(scope="module")
def small_run(trained_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run without folds, whose network has one narrow convolution and is quick to convert.

    The convolution is random. The last layer is fitted by logistic regression.
    """

    def hidden_layers(shape: tuple[int, int]) -> list[keras.Layer]:
        return [keras.layers.Conv1D(8, 3, activation="relu"), keras.layers.GlobalAveragePooling1D()]

    dataset = load_dataset(trained_run / "data")
    keras.utils.set_random_seed(1)
    features = np.asarray(dataset.features)
    moments = features.mean(axis=(0, 1)), features.var(axis=(0, 1))
    shape = dataset.feature_config.shape
    network = assemble_network(hidden_layers, shape, len(dataset.labels), *moments)
    hidden = features
    for layer in network.layers[:-1]:
        hidden = layer(hidden)
    head = LogisticRegression(C=100.0, max_iter=10_000).fit(hidden, dataset.segment_targets)
    network.layers[-1].set_weights([head.coef_.T, head.intercept_])
    probabilities = np.asarray(network(features))
    run = fabricate_run(
        tmp_path_factory.mktemp("small") / "run", dataset, probabilities, model="cnn"
    )
    network.save(run.folder / "model.keras")
    hold_out(run, dataset, np.flatnonzero(dataset.segment_songs % 3 == 0), probabilities)
    return run


def hold_out(run: Run, dataset: Dataset, segments: np.ndarray, probabilities: np.ndarray) -> None:
    """Let a run have held out some of its segments, not all."""
    held_out = probabilities[segments]
    fold = np.ones(len(segments), int)
    file = run.folder / "heldout.npz"
    np.savez(file, fold=fold, segment=segments, probabilities=held_out)
    metrics = compute_metrics(dataset, segments, held_out)
    (run.folder / "metrics.json").write_text(json.dumps(metrics.to_dict()))


def test_int8_file_has_float32_io_and_builtin_ops(trained_run: Path) -> None:
    report = json.loads((trained_run / "model.report.json").read_text())
    assert report["parity_holds"] is True
    assert not [op for op in report["ops"] if op.startswith("Flex") or op == "CUSTOM"]
    assert report["ops"][:3] == ["SUB", "MUL", "QUANTIZE"]
    assert report["ops"][-3:] == ["DEQUANTIZE", "FULLY_CONNECTED", "SOFTMAX"]
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
    *quantized, last = [{types[index] for index in layer["inputs"][:2]} for layer in layers]
    assert quantized == [{np.int8}] * 4  # activations and weights
    assert last == {np.float32}
    assert card.accuracy["song_accuracy_tflite"] >= 0.8


def test_int8_io_file_leaves_standardisation_to_caller(trained_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "int8.tflite"
    export_tflite(trained_run / "run", out, io=IOOption.int8)
    model, card = read_model(out)
    interpreter = create_interpreter(model, delegates=False)  # XNNPACK would hide the operations
    assert interpreter.get_input_details()[0]["dtype"] is np.int8
    assert interpreter.get_output_details()[0]["dtype"] is np.int8
    assert card.standardization is not None
    song = trained_run / "audio" / "bass" / "0.wav"
    assert GenreClassifier(out).classify(song).genre == "bass"


def test_export_is_reproducible(trained_run: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.tflite"
    export_tflite(trained_run / "run", again, representative=30)
    assert again.read_bytes() == (trained_run / "model.tflite").read_bytes()


def test_failed_parity_check_writes_no_model(
    trained_run: Path, small_run: Run, tmp_path: Path
) -> None:
    shutil.copytree(small_run.folder, tmp_path / "tampered")
    with np.load(tmp_path / "tampered" / "heldout.npz") as arrays:
        saved = dict(arrays)
    saved["probabilities"] = np.roll(saved["probabilities"], 1, axis=1)
    np.savez(tmp_path / "tampered" / "heldout.npz", **saved)
    metrics = compute_metrics(
        load_dataset(trained_run / "data"), saved["segment"], saved["probabilities"]
    )
    (tmp_path / "tampered" / "metrics.json").write_text(json.dumps(metrics.to_dict()))
    out = tmp_path / "tampered.tflite"
    with pytest.raises(DataError, match=r"int8 keeps the label of \d+ of 12 held-out segments"):
        export_tflite(tmp_path / "tampered", out, quantization=QuantizationOption.int8)
    with pytest.raises(DataError, match=r"int8 keeps the label of \d+ of 12 held-out segments"):
        export_tflite(
            tmp_path / "tampered", out, input="waveform", quantization=QuantizationOption.int8
        )
    with pytest.raises(DataError, match=r"No file passes the check: int8 keeps .*; float32 keeps"):
        export_tflite(tmp_path / "tampered", out)
    assert list(tmp_path.iterdir()) == [tmp_path / "tampered"]
    export_tflite(tmp_path / "tampered", out, accept_parity=True)
    _, card = read_model(out)
    assert card.accuracy["parity_accepted"] is True
    assert card.accuracy["segment_agreement"] < 0.9
    report = json.loads(out.with_suffix(".report.json").read_text())
    assert report["parity_holds"] is False
    assert report["calibration"] == "all 36 segments"
    assert {"CONV_2D", "MEAN"} <= {layer["operation"] for layer in report["layers"]}
    assert "in quantization steps" in out.with_suffix(".report.md").read_text()


def test_all_variants_are_written_with_one_table(small_run: Run, tmp_path: Path) -> None:
    out = tmp_path / "variants"
    export_tflite(small_run.folder, out, all_files=True, representative=30)
    table = json.loads((out / "comparison.json").read_text())
    names = [f"cnn_{variant.name}.tflite" for variant in all_variants()]
    assert [row["file"] for row in table["files"]] == names
    for row in table["files"]:
        assert row["written"], row
        assert (out / row["file"]).stat().st_size == row["bytes"]
        assert row["segment_agreement"] >= 0.98
        assert row["milliseconds"]
        assert row["arena"] > 0
        TFLiteModel.load(out / row["file"])
    page = (out / "comparison.md").read_text()
    assert all(row["file"] in page for row in table["files"])


def test_scan_accepts_a_waveform_file(trained_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "waveform.tflite"
    export_tflite(trained_run / "run", out, input="waveform")
    report = json.loads(out.with_suffix(".report.json").read_text())
    assert report["features"]["in the graph, all of the data set"]["largest_difference"] < 1e-3
    scans = []
    for model in (out, trained_run / "model.tflite"):
        arguments = [trained_run / "audio", "--model", model, "--format", "json"]
        result = CliRunner().invoke(as_app(scan_library), [str(a) for a in arguments])
        assert result.exit_code == 0, result.output
        scans.append({song["path"]: song["genre"] for song in json.loads(result.stdout)})
    assert len(scans[0]) == 18
    assert scans[0] == scans[1]


def test_report_has_results_of_each_runtime(small_run: Run, tmp_path: Path) -> None:
    out = tmp_path / "two.tflite"
    export_tflite(small_run.folder, out, other_python=Path(sys.executable))
    report = json.loads(out.with_suffix(".report.json").read_text())
    runtimes = [result["runtime"].split()[0] for result in report["probes"]]
    assert runtimes == ["ai-edge-litert"] * 2
    assert report["runtimes_agree"] is True
    for result in report["probes"]:
        assert 0 < result["milliseconds"]["1"] < 1000
    assert "| ai-edge-litert" in out.with_suffix(".report.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{folder}/data", "--out", "{folder}/x.tflite"], "not a finished run"),
        (["{folder}/run", "--out", "{folder}/x.bin"], r"must end in \.tflite"),
        (["{folder}/run", "--out", "/no/such/x.tflite"], "is not a folder"),
        (["{folder}/run", "--all", "--out", "{folder}/model.tflite"], "is not a folder"),
        (["{folder}/run", "--out", "{folder}/x.tflite", "--input", "log-mel"],
         "was trained on mfcc, not on log-mel"),
        (["{folder}/run", "--out", "{folder}/x.tflite", "--io", "int8", "--input", "waveform"],
         "--io int8 needs"),
        (["{folder}/run", "--out", "{folder}/x.tflite", "--dataset", "{folder}"],
         "not a finished data set"),
        (["{folder}/run", "--out", "{folder}/x.tflite", "--other-python", "/no/python"],
         "/no/python cannot be started"),
        (["{folder}/run", "--out", "{folder}/x.tflite", "--other-python", "/bin/true"],
         "/bin/true has no pocketgenre with a TFLite runtime"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused(trained_run: Path, arguments: list[str], message: str) -> None:
    command = [argument.format(folder=trained_run) for argument in arguments]
    with pytest.raises(PocketGenreError, match=message):
        CliRunner().invoke(as_app(export_tflite), command, catch_exceptions=False)
    assert not (trained_run / "x.tflite").exists()


def test_unknown_input_is_a_usage_error(tmp_path: Path) -> None:
    command = [str(tmp_path), "--out", str(tmp_path / "x.tflite"), "--input", "flac"]
    result = CliRunner().invoke(as_app(export_tflite), command)
    assert result.exit_code == 2
    assert "'flac' is not one of mfcc, log-mel, waveform" in result.output


def test_file_of_another_run_is_not_replaced(
    trained_run: Path, small_run: Run, tmp_path: Path
) -> None:
    for suffix in (".tflite", ".json"):
        shutil.copy(trained_run / f"model{suffix}", tmp_path)
    with pytest.raises(PocketGenreError, match=r"model of another run \(train-model .*--replace"):
        export_tflite(small_run.folder, tmp_path / "model.tflite")
    (tmp_path / "notes.tflite").write_text("not a model")
    with pytest.raises(PocketGenreError, match="is no model of this run"):
        export_tflite(small_run.folder, tmp_path / "notes.tflite")


def test_licence_must_be_an_spdx_expression(tmp_path: Path) -> None:
    command = [str(tmp_path), "--out", str(tmp_path / "x.tflite"), "--licence", "my\nown"]
    result = CliRunner().invoke(as_app(export_tflite), command)
    assert result.exit_code == 2
    assert "is no SPDX expression" in result.output


def test_command_fails_with_one_sentence(tmp_path: Path, run_command: Command) -> None:
    result = run_command(EXPORT, tmp_path, "--out", tmp_path / "x.bin")
    assert result.returncode == 1
    assert result.stderr == f"Error: {tmp_path / 'x.bin'} must end in .tflite.\n"
    assert not result.stdout


def test_python_without_pocketgenre_is_refused(tmp_path: Path) -> None:
    require_runtime(Path(sys.executable))
    bare = tmp_path / "python"
    bare.write_text('#!/bin/sh\necho "No module named pocketgenre" >&2; exit 1\n')
    bare.chmod(0o755)
    with pytest.raises(
        DataError, match=r"\(No module named pocketgenre\); install pocketgenre and"
    ):
        require_runtime(bare)


def test_other_data_set_is_refused_before_work(tmp_path: Path) -> None:
    genres = {"jazz": [2, 1], "rock": [1, 2]}
    run = fabricate_run(
        tmp_path / "run", fabricate_dataset(tmp_path / "data", genres), [[0.9, 0.1]] * 6
    )
    for name, others in (("fewer", {"jazz": [2], "rock": [1]}),
                         ("other", {"jazz": [1], "rock": [3, 2]})):  # fmt: skip
        with pytest.raises(DataError, match=r"is not the one that .* was trained on, or has"):
            Exporter(run, fabricate_dataset(tmp_path / name, others))


def test_data_set_of_other_genres_is_refused(tmp_path: Path) -> None:
    data = fabricate_dataset(tmp_path / "data", {"bass": [1], "flute": [1], "noise": [1]})
    other = fabricate_dataset(tmp_path / "other", {"flute": [1], "noise": [1], "tuba": [1]})
    run = fabricate_run(tmp_path / "run", data, [[0.8, 0.1, 0.1]] * 3)
    out = tmp_path / "x.tflite"
    with pytest.raises(DataError, match="holds the genres flute, noise, tuba, but the run"):
        export_tflite(run.folder, out, dataset=other.folder)
    assert not out.exists()
