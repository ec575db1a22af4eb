"""Check the pretrained models of the package."""

import json
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.classifier import GenreClassifier
from pocketgenre.constants import NOT_MUSIC, UNCERTAIN
from pocketgenre.demo.synthetic import write_audio
from pocketgenre.errors import ModelError
from pocketgenre.models.model_card import read_model
from pocketgenre.models.pretrained import PRETRAINED, PRETRAINED_WAVEFORM, find_model
from pocketgenre.models.tflite_model import TFLiteModel
from tests.conftest import GENRES, REPOSITORY, invoke, tone

SCAN = "pocketgenre.cli.scan_library"


@pytest.mark.parametrize("name", PRETRAINED)
def test_waveform_model_is_at_most_a_megabyte(name: str) -> None:
    assert (
        len(PRETRAINED[name].read_bytes())
        < len(PRETRAINED_WAVEFORM[name].read_bytes())
        <= 1_000_000
    )


@pytest.mark.parametrize("path", [*PRETRAINED.values(), *PRETRAINED_WAVEFORM.values()])
def test_model_has_a_card_and_a_report(path: Path) -> None:
    _, card = read_model(path)
    has_not_music = path.stem.startswith("best")
    assert card.labels == ((*GENRES, NOT_MUSIC) if has_not_music else GENRES)
    assert 0.5 < card.accuracy["song_accuracy_tflite"] < 1
    report = json.loads(path.with_suffix(".report.json").read_text())
    assert report["parity_holds"]
    assert report["sha256"] == card.sha256


def test_readme_has_the_numbers_of_the_reports() -> None:
    rows = [
        [cell.strip(" *") for cell in line.split("|")[1:-1]]
        for line in (REPOSITORY / "README.md").read_text().splitlines()
        if line.startswith("|")
    ]
    table = {
        row[0]: dict(zip(("best", "standard"), row[1:3], strict=True))
        for row in rows
        if len(row) == 4
    }
    for name, path in PRETRAINED.items():
        report = json.loads(path.with_suffix(".report.json").read_text())
        _, heldout = report["labels"]
        agreement = f"{heldout['segment_agreement']:.1%}".replace("%", " % agree")
        assert table["segment labels, int8 against Keras"][name] == agreement
        accuracy = f"{heldout['tflite_accuracy']:.1%}".replace("%", " %")
        assert table["songs correct, int8 files"][name] == accuracy
        bound = float(table["features against librosa's"][name].removeprefix("within "))
        assert report["features"]["NumPy, all of the data set"]["largest_difference"] < bound


def test_licence_of_musicnn_is_in_the_package() -> None:
    assert read_model(PRETRAINED["standard"])[1].licence == "Apache-2.0"
    assert read_model(PRETRAINED["best"])[1].licence == "Apache-2.0 AND ISC"
    licence = PRETRAINED["best"].with_name("LICENSE-musicnn.txt").read_text()
    assert "Universitat Pompeu Fabra" in licence


@pytest.mark.parametrize("name", PRETRAINED)
def test_waveform_model_equals_the_features_model(name: str) -> None:
    by_features, by_graph = (
        TFLiteModel.load(path) for path in (PRETRAINED[name], PRETRAINED_WAVEFORM[name])
    )
    size = by_features.card.feature_config.segment_samples
    rng = np.random.default_rng(1)
    for samples in (tone(440.0, 4.0)[:size, 0], rng.normal(0, 0.1, size).astype(np.float32)):
        outputs = [model.predict_segment(samples) for model in (by_features, by_graph)]
        np.testing.assert_allclose(*outputs, atol=0.1)
        assert outputs[0].sum() == pytest.approx(1, abs=1e-3)


def test_best_model_does_not_depend_on_volume(tmp_path: Path) -> None:
    classifier = GenreClassifier("best")
    rng = np.random.default_rng(2)
    music = tone(220.0, 6.5) + rng.normal(0, 0.05, (143_325, 1)).astype(np.float32)
    loud, quiet = tmp_path / "loud.wav", tmp_path / "quiet.wav"
    write_audio(loud, music, 22_050)
    write_audio(quiet, music * 0.1, 22_050)
    np.testing.assert_allclose(
        classifier.analyze(loud).probabilities, classifier.analyze(quiet).probabilities, atol=0.05
    )


def test_model_is_found_by_name_or_path() -> None:
    assert find_model("best") == PRETRAINED["best"]
    assert find_model("best_waveform") == PRETRAINED_WAVEFORM["best"]
    assert find_model("best.tflite") == Path("best.tflite")
    with pytest.raises(ModelError, match="no model 'bset'; choose standard, best, standard_wave"):
        find_model("bset")


@pytest.mark.parametrize("name", PRETRAINED)
def test_library_is_scanned_with_each_model(name: str, library: Path) -> None:
    result = invoke(SCAN, library, "--model", name, "--format", "json")
    assert result.returncode == 0, result.stderr
    labels = {*GENRES, UNCERTAIN, NOT_MUSIC}
    assert all(song["genre"] in labels for song in json.loads(result.stdout))
