"""Run ``compare-runs``."""

import json
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.errors import DataError
from pocketgenre.training.evaluation.report_markdown import comparison_report
from pocketgenre.training.evaluation.run_comparison import (
    GTZAN_GENRES,
    PUBLISHED_VALIDATION_ACCURACY,
    compare,
    count_parameters,
)
from pocketgenre.training.runs import Run
from tests.conftest import Command, invoke
from tests.training.fabricated import fabricate_dataset, fabricate_run

COMPARE = "pocketgenre.training.cli.compare_runs"
CORRECT = [[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9]]
ONE_WRONG = [[0.9, 0.1], [0.1, 0.9], [0.1, 0.9], [0.1, 0.9]]


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return fabricate_dataset(tmp_path / "data", {"jazz": [1, 1], "rock": [1, 1]})


@pytest.fixture
def runs(tmp_path: Path, data: Dataset) -> list[Run]:
    """Two seeds of one network, and another network with the published split protocol."""
    return [
        fabricate_run(tmp_path / "one", data, CORRECT, seed=1),
        fabricate_run(tmp_path / "two", data, ONE_WRONG, seed=2),
        fabricate_run(tmp_path / "leaky", data, CORRECT, model="lstm", protocol="segments"),
    ]


def test_published_accuracies_are_unchanged() -> None:
    assert PUBLISHED_VALIDATION_ACCURACY == {
        "ann": 0.6198,
        "ann-regularized": 0.68,
        "cnn": 0.7397,
        "lstm": 0.666,
    }


def test_run_has_its_own_metrics(runs: list[Run]) -> None:
    one, two, _ = compare(runs).runs
    assert (one.run, one.model, one.seed) == ("one", "cnn", 1)
    assert one.metrics["song_accuracy"] == 1.0
    assert two.metrics["song_accuracy"] == 0.75
    assert two.metrics["song_mean_recall"] == 0.75
    assert one.parameters is None  # the fabricated file contains no network


def test_published_accuracy_is_for_its_genres(runs: list[Run], tmp_path: Path) -> None:
    genres = fabricate_dataset(tmp_path / "gtzan", dict.fromkeys(GTZAN_GENRES, (1,)))
    same = fabricate_run(tmp_path / "same", genres, np.eye(10).tolist(), model="lstm")
    assert compare([same]).runs[0].published == 0.666
    assert [run.published for run in compare(runs).runs] == [None] * 3


def test_seeds_of_one_configuration_are_summarised(runs: list[Run]) -> None:
    (group,) = compare(runs).across_seeds
    assert group.runs == ("one", "two")
    assert group.seeds == (1, 2)
    accuracy = group.seed_statistics["song_accuracy"]
    assert accuracy.mean == pytest.approx(0.875)
    assert accuracy.standard_deviation == pytest.approx(0.25 / math.sqrt(2))
    assert "87.5% ± 17.7%" in comparison_report(compare(runs))


@pytest.mark.parametrize("other", [{"epochs": 4}, {"seed": 1}, {"model": "ann"}])
def test_other_runs_are_not_summarised(
    tmp_path: Path, data: Dataset, other: dict[str, object]
) -> None:
    one = fabricate_run(tmp_path / "one", data, CORRECT, seed=1)
    two = fabricate_run(tmp_path / "two", data, CORRECT, **{"seed": 2, **other})
    assert compare([one, two]).across_seeds == ()


def test_leaking_split_and_second_dataset_give_warnings(runs: list[Run], tmp_path: Path) -> None:
    assert "LEAKS" in compare(runs).warnings[0]
    assert "| segments (LEAKS) |" in comparison_report(compare(runs))
    assert compare(runs[:2]).warnings == ()
    elsewhere = fabricate_dataset(tmp_path / "more", {"jazz": [1, 1], "rock": [1, 1]})
    other = fabricate_run(tmp_path / "other", elsewhere, CORRECT, seed=3)
    assert compare([runs[0], other]).warnings == (
        "The runs were trained and evaluated on different data sets.",
    )
    assert compare([runs[0], other]).across_seeds == ()


def test_equal_names_become_paths_and_duplicates_fail(
    tmp_path: Path, data: Dataset, runs: list[Run]
) -> None:
    twin = fabricate_run(tmp_path / "deeper" / "one", data, CORRECT)
    assert [row.run for row in compare([runs[0], twin]).runs] == [
        str(tmp_path / "one"),
        str(tmp_path / "deeper" / "one"),
    ]
    with pytest.raises(DataError, match="named twice"):
        compare([runs[0], runs[0]])


def test_command_writes_report_and_picture(
    runs: list[Run], tmp_path: Path, run_command: Command
) -> None:
    out = tmp_path / "out"
    result = run_command(COMPARE, *(run.folder for run in runs), "--out", out)
    assert result.returncode == 0, result.stderr
    names = {"comparison.json", "comparison.md", "comparison.png"}
    assert {file.name for file in out.iterdir()} == names
    assert result.stdout.strip() in (out / "comparison.md").read_text()
    assert "LEAKS" in result.stderr
    assert (out / "comparison.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    values = json.loads((out / "comparison.json").read_text())
    assert [row["run"] for row in values["runs"]] == ["one", "two", "leaky"]
    assert values["runs"][1]["figures"]["song_accuracy"] == 0.75
    assert values["across_seeds"][0]["spread"]["song_accuracy"] == {
        "mean": 0.875,
        "deviation": pytest.approx(0.25 / math.sqrt(2)),
        "lowest": 0.75,
        "highest": 1.0,
    }
    assert "split by segment" in values["published_conditions"]


def test_damaged_metrics_are_an_error(runs: list[Run], tmp_path: Path) -> None:
    (runs[0].folder / "metrics.json").write_text("{")
    result = invoke(COMPARE, runs[0].folder, "--out", tmp_path / "out")
    assert result.returncode == 1
    assert "metrics.json" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_oversized_weights_are_not_unpacked(runs: list[Run], tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(runs[0].folder / "model.keras", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("model.weights.h5", "w") as file,
    ):
        for _ in range(257):
            file.write(bytes(1 << 20))
    result = invoke(COMPARE, runs[0].folder, "--out", tmp_path / "out")
    assert result.returncode == 1
    assert "model.keras unpack to 257 MB" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_parameter_count_equals_keras(tmp_path: Path) -> None:
    import keras

    from pocketgenre.training.models.networks import build_network

    network = build_network("cnn", (130, 13), 10, np.zeros(13), np.ones(13))
    network.compile("adam", "sparse_categorical_crossentropy")
    network.fit(np.zeros((2, 130, 13)), np.zeros(2), verbose=0)  # now Adam has a state
    keras.saving.save_model(network, tmp_path / "model.keras")
    assert count_parameters(tmp_path / "model.keras") == network.count_params()
