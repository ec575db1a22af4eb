"""What a person reads of an export: pages and cards, whatever the songs are called."""

from pathlib import Path

import numpy as np
import pytest

from pocketgenre.export.cards import training_of
from pocketgenre.export.export_report import ExportReport
from pocketgenre.export.measurements import RuntimeProbe
from pocketgenre.export.prediction_parity import compare_features, compare_labels
from pocketgenre.export.variant_table import Comparison
from pocketgenre.export.variants import Form
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.mfcc_songs import MfccSongs
from pocketgenre.training.data.songs import DataError
from tests.training.fabricated import fabricate_dataset, fabricate_run

pytestmark = pytest.mark.slow  # since the cards' module imports TensorFlow

ODD = "odd \udcff byte | and pipe"
SAID = [[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9]]


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return fabricate_dataset(tmp_path / "data", {"jazz": [1, 1], "rock": [1, 1]})


def report(data: Dataset) -> ExportReport:
    said = np.array(SAID, np.float32)
    features = np.zeros((1, 130, 13), np.float32)
    return ExportReport(
        model="cnn",
        sha256="0" * 64,
        size=1,
        form=Form(),
        ops=["SOFTMAX"],
        calibration="none",
        probes=[
            RuntimeProbe("litert", "x86_64", {"1": 1.0, "2": 1.0}, 1024, [0]),
            RuntimeProbe("another", error=ODD),
        ],
        features={"NumPy": compare_features([ODD], features, features)},
        labels=[compare_labels("all", data, np.arange(4), said, said)],
    )


def test_names_that_are_no_utf_8_or_hold_a_pipe_leave_pages_and_their_tables_whole(
    data: Dataset,
) -> None:
    of_data = report(data)
    assert of_data.to_json().encode()
    reports = {f"{ODD}.tflite": of_data, "other.tflite": DataError(f"{ODD} is gone.")}
    for page in (of_data.to_markdown(f"{ODD}.tflite"), Comparison("cnn", reports).to_markdown()):
        assert "odd \\udcff byte \\| and pipe" in page.encode().decode()
        tables = [part for part in page.split("\n\n") if part.startswith("|")]
        assert tables
        for table in tables:
            cells = {row.replace("\\|", "").count("|") for row in table.splitlines()}
            assert len(cells) == 1, table


def test_a_card_is_utf_8_whatever_the_folder_is_called(tmp_path: Path) -> None:
    data = fabricate_dataset(tmp_path / ODD, {"jazz": [1, 1], "rock": [1, 1]})
    training = training_of(fabricate_run(tmp_path / "run", data, SAID), data, 1.0)
    assert training["data"].encode().decode().startswith("odd \\udcff byte | and pipe: 4 songs")


def test_a_card_tells_of_epochs_where_there_were_any(tmp_path: Path, data: Dataset) -> None:
    for model, has_epochs in (("cnn", True), ("residual", True), ("musicnn", False)):
        run = fabricate_run(tmp_path / model, data, SAID, model=model)
        assert ("epochs" in training_of(run, data, 1.0)) is has_epochs


def test_a_card_counts_the_songs_known_by_their_mfcc_that_were_learned_from(
    tmp_path: Path, data: Dataset
) -> None:
    kin = np.array([[position, data.songs[0].group] for position in (0, 1)])
    MfccSongs(np.zeros((5, 60, 13), np.float32), np.zeros(5, np.int64), kin).save(data.folder)

    def told(name: str, **config: object) -> str:
        run = fabricate_run(tmp_path / name, data, SAID, **{"model": "residual", **config})
        return training_of(run, data, 1.0)["data"]

    own = "data: 4 songs, 4 segments"
    known = "songs known by their MFCC, which may include them"
    assert told("cnn", model="cnn") == own
    # After the folds, the network that is kept learns from everything.
    assert told("folds", fold=[1, 1, 2, 2]) == f"{own}; 5 {known}"
    assert told("without", fold=[1, 1, 2, 2], leave_out=("jazz/0",)) == f"{own}; 3 {known}"
    assert told("other", fold=[1, 1, 2, 2], leave_out=("jazz/1",)) == f"{own}; 5 {known}"
    assert told("judged") == f"{own}; 3 {known}"
    (data.folder / "mfcc_songs.npz").unlink()
    assert told("none", fold=[1, 1, 2, 2]) == own
