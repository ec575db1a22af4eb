"""``compare-runs``: runs side by side, beside what was published."""

import json
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.songs import DataError
from pocketgenre.training.evaluation.published import PUBLISHED_VALIDATION_ACCURACY
from pocketgenre.training.evaluation.run_comparison import (
    compare,
    comparison_page,
    count_parameters,
)
from pocketgenre.training.runs import Run
from tests.conftest import Command
from tests.training.fabricated import fabricate_dataset, fabricate_run

COMPARE = "pocketgenre.training.cli.compare_runs"
RIGHT = [[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9]]
ONE_WRONG = [[0.9, 0.1], [0.1, 0.9], [0.1, 0.9], [0.1, 0.9]]


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return fabricate_dataset(tmp_path / "data", {"jazz": [1, 1], "rock": [1, 1]})


@pytest.fixture
def runs(tmp_path: Path, data: Dataset) -> list[Run]:
    """Two seeds of one network, and the published way of judging another."""
    return [
        fabricate_run(tmp_path / "one", data, RIGHT, seed=1),
        fabricate_run(tmp_path / "two", data, ONE_WRONG, seed=2),
        fabricate_run(tmp_path / "leaky", data, RIGHT, model="lstm", protocol="segments"),
    ]


def test_the_published_figures_are_these() -> None:
    assert PUBLISHED_VALIDATION_ACCURACY == {
        "ann": 0.6198,
        "ann-regularized": 0.68,
        "cnn": 0.7397,
        "lstm": 0.666,
    }


def test_a_run_is_a_row_with_its_own_figures_and_the_published_one(runs: list[Run]) -> None:
    one, two, leaky = compare(runs).runs
    assert (one.run, one.model, one.seed, one.published) == ("one", "cnn", 1, 0.7397)
    assert one.figures["song_accuracy"] == 1.0
    assert two.figures["song_accuracy"] == 0.75
    assert two.figures["song_mean_recall"] == 0.75
    assert (leaky.model, leaky.published) == ("lstm", 0.666)
    assert one.parameters is None  # the fabricated file holds no network


def test_runs_that_differ_in_their_seed_alone_are_summarised(runs: list[Run]) -> None:
    (group,) = compare(runs).across_seeds
    assert group.runs == ("one", "two")
    assert group.seeds == (1, 2)
    assert group.spread["song_accuracy"].mean == pytest.approx(0.875)
    assert group.spread["song_accuracy"].deviation == pytest.approx(0.25 / math.sqrt(2))
    assert "87.5% ± 17.7%" in comparison_page(compare(runs))


@pytest.mark.parametrize("other", [{"epochs": 4}, {"seed": 1}, {"model": "ann"}])
def test_runs_that_differ_otherwise_or_not_at_all_are_not(
    tmp_path: Path, data: Dataset, other: dict[str, object]
) -> None:
    one = fabricate_run(tmp_path / "one", data, RIGHT, seed=1)
    two = fabricate_run(tmp_path / "two", data, RIGHT, **{"seed": 2, **other})
    assert compare([one, two]).across_seeds == ()


def test_a_split_that_leaks_and_a_second_data_set_are_named(
    runs: list[Run], tmp_path: Path
) -> None:
    assert "LEAKS" in compare(runs).warnings[0]
    assert "| segments (LEAKS) |" in comparison_page(compare(runs))
    assert compare(runs[:2]).warnings == ()
    elsewhere = fabricate_dataset(tmp_path / "more", {"jazz": [1, 1], "rock": [1, 1]})
    other = fabricate_run(tmp_path / "other", elsewhere, RIGHT, seed=3)
    assert compare([runs[0], other]).warnings == (
        "The runs were trained and judged on different data sets.",
    )
    assert compare([runs[0], other]).across_seeds == ()


def test_runs_of_one_name_are_told_apart_and_one_named_twice_is_an_error(
    tmp_path: Path, data: Dataset, runs: list[Run]
) -> None:
    twin = fabricate_run(tmp_path / "deeper" / "one", data, RIGHT)
    assert [row.run for row in compare([runs[0], twin]).runs] == [
        str(tmp_path / "one"),
        str(tmp_path / "deeper" / "one"),
    ]
    with pytest.raises(DataError, match="named twice"):
        compare([runs[0], runs[0]])


def test_it_writes_a_table_and_a_picture(
    runs: list[Run], tmp_path: Path, run_command: Command
) -> None:
    out = tmp_path / "out"
    result = run_command(COMPARE, *(run.folder for run in runs), "--out", out)
    assert result.returncode == 0, result.stderr
    names = {"comparison.json", "comparison.md", "comparison.png"}
    assert {file.name for file in out.iterdir()} == names
    assert result.stdout.strip() in (out / "comparison.md").read_text()
    assert "LEAKS" in result.stderr
    values = json.loads((out / "comparison.json").read_text())
    assert [row["run"] for row in values["runs"]] == ["one", "two", "leaky"]
    assert "split by segment" in values["published_conditions"]


def test_damaged_figures_are_an_error_in_one_sentence(
    runs: list[Run], tmp_path: Path, run_command: Command
) -> None:
    (runs[0].folder / "metrics.json").write_text("{")
    result = run_command(COMPARE, runs[0].folder, "--out", tmp_path / "out")
    assert result.returncode == 1
    assert "metrics.json" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_weights_that_unpack_to_more_than_any_network_has_are_not_unpacked(
    runs: list[Run], tmp_path: Path, run_command: Command
) -> None:
    with (
        zipfile.ZipFile(runs[0].folder / "model.keras", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("model.weights.h5", "w") as file,
    ):
        for _ in range(257):
            file.write(bytes(1 << 20))
    result = run_command(COMPARE, runs[0].folder, "--out", tmp_path / "out")
    assert result.returncode == 1
    assert "model.keras unpacks to 257 MB" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_parameters_are_counted_as_keras_counts_them(tmp_path: Path) -> None:
    import keras

    from pocketgenre.training.models.networks import build_network

    network = build_network("cnn", (130, 13), 10, np.zeros(13), np.ones(13))
    network.compile("adam", "sparse_categorical_crossentropy")
    network.fit(np.zeros((2, 130, 13)), np.zeros(2), verbose=0)  # Adam has a memory now
    keras.saving.save_model(network, tmp_path / "model.keras")
    assert count_parameters(tmp_path / "model.keras") == network.count_params()
