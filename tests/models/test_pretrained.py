"""The models that come with the package."""

import json
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.classifier import Classifier
from pocketgenre.demo.synthetic import write_audio
from pocketgenre.errors import ModelError
from pocketgenre.models.model_card import read_model
from pocketgenre.models.pretrained import PRETRAINED, PRETRAINED_WAVEFORM, find_model
from tests.conftest import GENRES, REPOSITORY, Command, tone

SCAN = "pocketgenre.cli.scan_library"


@pytest.mark.parametrize("name", PRETRAINED)
def test_a_model_is_at_most_a_megabyte_with_its_front_end(name: str) -> None:
    assert (
        len(PRETRAINED[name].read_bytes())
        < len(PRETRAINED_WAVEFORM[name].read_bytes())
        <= 1_000_000
    )


@pytest.mark.parametrize("path", [*PRETRAINED.values(), *PRETRAINED_WAVEFORM.values()])
def test_a_model_says_what_it_is_worth_and_was_checked(path: Path) -> None:
    _, card = read_model(path)
    assert card.labels == GENRES
    assert 0.5 < card.accuracy["song_accuracy_tflite"] < 1
    report = json.loads(path.with_suffix(".report.json").read_text())
    assert report["parity_holds"]
    assert report["sha256"] == card.sha256


def test_the_readme_says_of_the_models_what_their_reports_say() -> None:
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
        agree = f"{heldout['segment_agreement']:.1%}".replace("%", " % agree")
        assert table["segment labels, int8 against Keras"][name] == agree
        right = f"{heldout['tflite_accuracy']:.1%}".replace("%", " %")
        assert table["the same songs right as int8 files"][name] == right
        bound = float(table["features against librosa's"][name].removeprefix("within "))
        assert report["features"]["NumPy, all of the data set"]["largest_difference"] < bound


def test_musicnns_licence_goes_with_its_weights() -> None:
    assert read_model(PRETRAINED["standard"])[1].licence == "Apache-2.0"
    assert read_model(PRETRAINED["best"])[1].licence == "Apache-2.0 AND ISC"
    licence = PRETRAINED["best"].with_name("LICENSE-musicnn.txt").read_text()
    assert "Universitat Pompeu Fabra" in licence


@pytest.mark.parametrize("name", PRETRAINED)
def test_the_waveform_file_says_what_the_features_file_says(name: str) -> None:
    by_features, by_graph = (
        Classifier.load(path) for path in (PRETRAINED[name], PRETRAINED_WAVEFORM[name])
    )
    size = by_features.card.feature_config.segment_samples
    rng = np.random.default_rng(1)
    for samples in (tone(440.0, 4.0)[:size, 0], rng.normal(0, 0.1, size).astype(np.float32)):
        said = [c.predict(c.prepare(samples)[np.newaxis])[0] for c in (by_features, by_graph)]
        np.testing.assert_allclose(*said, atol=0.1)
        assert said[0].sum() == pytest.approx(1, abs=1e-3)


def test_the_best_model_does_not_mind_the_volume(tmp_path: Path) -> None:
    classifier = Classifier.load(PRETRAINED["best"])
    rng = np.random.default_rng(2)
    music = tone(220.0, 6.5) + rng.normal(0, 0.05, (143_325, 1)).astype(np.float32)
    loud, quiet = tmp_path / "loud.wav", tmp_path / "quiet.wav"
    write_audio(loud, music, 22_050)
    write_audio(quiet, music * 0.1, 22_050)
    np.testing.assert_allclose(
        classifier.segment_probabilities(loud), classifier.segment_probabilities(quiet), atol=0.05
    )


def test_a_name_is_a_shipped_model_and_anything_else_a_file() -> None:
    assert find_model("best") == PRETRAINED["best"]
    assert find_model("best_waveform") == PRETRAINED_WAVEFORM["best"]
    assert find_model("best.tflite") == Path("best.tflite")
    with pytest.raises(ModelError, match="no model bset; there are standard, best, standard_wave"):
        find_model("bset")


@pytest.mark.parametrize("name", PRETRAINED)
def test_a_library_is_scanned_with_each(name: str, library: Path, run_command: Command) -> None:
    result = run_command(SCAN, library, "--model", name, "--format", "json")
    assert result.returncode == 0, result.stderr
    assert all(song["genre"] in GENRES for song in json.loads(result.stdout))
