"""Test the pages and the cards of exports."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.export.cards import training_record
from pocketgenre.export.export_report import ExportReport, VariantTable
from pocketgenre.export.parity_checks import LabelParity, compare_features, compare_labels
from pocketgenre.export.runtime_results import RuntimeResult
from pocketgenre.export.variants import Variant
from pocketgenre.models.pretrained import PRETRAINED, PRETRAINED_WAVEFORM
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.mfcc_songs import MfccSongs
from pocketgenre.training.errors import DataError
from pocketgenre.training.models.trainers import licence_of
from tests.training.fabricated import fabricate_dataset, fabricate_run

pytestmark = pytest.mark.slow  # since the modules import TensorFlow

ODD_NAME = "odd \udcff byte | and pipe"
PROBABILITIES = [[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9]]


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return fabricate_dataset(tmp_path / "data", {"jazz": [1, 1], "rock": [1, 1]})


def make_report(data: Dataset) -> ExportReport:
    probabilities = np.array(PROBABILITIES, np.float32)
    features = np.zeros((1, 130, 13), np.float32)
    return ExportReport(
        model="cnn",
        sha256="0" * 64,
        size=1,
        variant=Variant(),
        ops=["SOFTMAX"],
        calibration="none",
        runtimes=[
            RuntimeResult("litert", "x86_64", {"1": 1.0, "2": 1.0}, 1024, [0]),
            RuntimeResult("another", error=ODD_NAME),
        ],
        features={"NumPy": compare_features([ODD_NAME], features, features, (1e-5, 1e-3))},
        labels=[compare_labels("all", data, np.arange(4), probabilities, probabilities)],
    )


def test_odd_names_keep_pages_and_tables_intact(data: Dataset) -> None:
    report = make_report(data)
    assert report.to_json().encode()
    reports = {f"{ODD_NAME}.tflite": report, "other.tflite": DataError(f"{ODD_NAME} is gone.")}
    pages = (
        report.to_markdown(f"{ODD_NAME}.tflite"),
        VariantTable("cnn", reports).to_markdown(),
    )
    for page in pages:
        assert "odd \\udcff byte \\| and pipe" in page.encode().decode()
        tables = [part for part in page.split("\n\n") if part.startswith("|")]
        assert tables
        for table in tables:
            cells = {row.replace("\\|", "").count("|") for row in table.splitlines()}
            assert len(cells) == 1, table


def test_report_survives_json(data: Dataset) -> None:
    report = make_report(data)
    assert ExportReport.from_json(report.to_json()) == report


@pytest.mark.parametrize("model", [*PRETRAINED.values(), *PRETRAINED_WAVEFORM.values()])
def test_pretrained_pages_equal_their_reports(model: Path) -> None:
    text = model.with_suffix(".report.json").read_text()
    report = ExportReport.from_json(text)
    assert report.to_json() == text
    page = model.with_suffix(".report.md").read_text()
    assert page == report.to_markdown(model.name)
    assert max(map(len, page.splitlines())) <= 120


def test_card_of_odd_folder_name_is_utf8(tmp_path: Path) -> None:
    data = fabricate_dataset(tmp_path / ODD_NAME, {"jazz": [1, 1], "rock": [1, 1]})
    training = training_record(fabricate_run(tmp_path / "run", data, PROBABILITIES), data, 1.0)
    assert training["data"].encode().decode().startswith("odd \\udcff byte | and pipe: 4 songs")


def test_card_has_epochs_if_trained_by_epochs(tmp_path: Path, data: Dataset) -> None:
    for model, has_epochs in (("cnn", True), ("residual", True), ("musicnn", False)):
        run = fabricate_run(tmp_path / model, data, PROBABILITIES, model=model)
        assert ("epochs" in training_record(run, data, 1.0)) is has_epochs


@pytest.mark.parametrize(
    ("agreeing", "segments", "holds"),
    [
        (31, 32, True),
        (23, 25, True),
        (22, 25, False),
        (290, 300, True),
        (287, 300, False),
        (9_800, 10_000, True),
        (9_700, 10_000, False),
    ],
)
def test_agreement_is_limited_by_its_confidence_bound(
    agreeing: int, segments: int, holds: bool
) -> None:
    parity = LabelParity("", segments, segments, agreeing / segments, 1.0, 0.5, 0.5)
    assert parity.holds is holds
    assert parity.is_within_limits is (agreeing / segments >= 0.98)


@pytest.mark.parametrize(
    ("lost", "songs", "holds"),
    [(0, 19, True), (1, 19, True), (2, 19, False), (7, 422, True), (9, 422, False), (-3, 19, True)],
)
def test_lost_songs_are_limited_by_their_confidence_bound(
    lost: int, songs: int, holds: bool
) -> None:
    parity = LabelParity("", songs, songs, 1.0, 1.0, 0.5, 0.5 - lost / songs)
    assert parity.holds is holds


def test_report_says_that_a_sample_is_small(data: Dataset) -> None:
    small = LabelParity("held-out songs", 32, 5, 31 / 32, 1.0, 0.4, 0.4)
    page = replace(make_report(data), labels=[small]).to_markdown("x.tflite")
    assert "Parity check passed." in page
    assert "The sample is too small to show" in page
    assert "too small" not in make_report(data).to_markdown("x.tflite")
    assert max(map(len, page.splitlines())) <= 120


@pytest.mark.parametrize(
    ("model", "own", "expected"),
    [
        ("cnn", None, "LicenseRef-unspecified"),
        ("cnn", "CC-BY-4.0", "CC-BY-4.0"),
        ("musicnn", None, "LicenseRef-unspecified AND ISC"),
        ("musicnn", "MIT OR 0BSD", "(MIT OR 0BSD) AND ISC"),
    ],
)
def test_licence_is_the_owners(
    tmp_path: Path, data: Dataset, model: str, own: str | None, expected: str
) -> None:
    run = fabricate_run(tmp_path / "run", data, PROBABILITIES, model=model)
    assert licence_of(run, own) == expected


def test_card_counts_mfcc_songs_of_training(tmp_path: Path, data: Dataset) -> None:
    related = np.array([[position, data.songs[0].group] for position in (0, 1)])
    MfccSongs(np.zeros((5, 60, 13), np.float32), np.zeros(5, np.int64), related).save(data.folder)

    def described(name: str, **config: object) -> str:
        run = fabricate_run(tmp_path / name, data, PROBABILITIES, **{"model": "residual", **config})
        return training_record(run, data, 1.0)["data"]

    own = "data: 4 songs, 4 segments"
    more = "songs known by their MFCC, which may include them"
    fold = [1, 1, 2, 2]
    assert described("cnn", model="cnn") == own
    # After cross-validation, the final network is trained on all songs.
    assert described("folds", fold=fold) == f"{own}; 5 {more}"
    assert described("without", fold=fold, leave_out=("jazz/0",)) == f"{own}; 3 {more}"
    assert described("other", fold=fold, leave_out=("jazz/1",)) == f"{own}; 5 {more}"
    assert described("split") == f"{own}; 3 {more}"
    (data.folder / "mfcc_songs.npz").unlink()
    assert described("none", fold=fold) == own
