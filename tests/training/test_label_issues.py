"""``find-mislabelled``: doubts that can be worked out by hand."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.songs import DataError, read_song_names
from pocketgenre.training.evaluation.label_issues import (
    NOBODY,
    Suspect,
    find_mislabelled,
    suggest_labels,
    suspects_csv,
)
from pocketgenre.training.runs import Run
from tests.conftest import Command
from tests.training.fabricated import fabricate_dataset, fabricate_run

FIND = "pocketgenre.training.cli.find_mislabelled"

# jazz/0, jazz/1 | rock/0, rock/1, the last one jazz in truth; (jazz, rock) of each segment:
SEED_1 = [[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.1, 0.9], [0.9, 0.1], [0.9, 0.1], [0.4, 0.6]]
SEED_2 = [[0.9, 0.1], [0.8, 0.2], [0.8, 0.2], [0.3, 0.7], [0.9, 0.1], [0.3, 0.7], [0.3, 0.7]]


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return fabricate_dataset(tmp_path / "data", {"jazz": [2, 1], "rock": [1, 3]})


@pytest.fixture
def runs(tmp_path: Path, data: Dataset) -> list[Run]:
    return [
        fabricate_run(tmp_path / "seed1", data, SEED_1, seed=1),
        fabricate_run(tmp_path / "seed2", data, SEED_2, seed=2),
    ]


def test_a_genre_is_meant_where_it_is_as_probable_as_in_its_own_songs() -> None:
    labels = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [0.7, 0.3]])
    # The thresholds are 0.7 and 0.55: the last song just reaches that of genre 0.
    assert suggest_labels(labels, probabilities).tolist() == [NOBODY, NOBODY, NOBODY, 0]
    probabilities[3] = [0.69, 0.31]
    assert suggest_labels(labels, probabilities).tolist() == [NOBODY] * 4


def test_of_several_genres_that_reach_their_threshold_the_most_probable_is_suggested() -> None:
    labels = np.array([0, 0, 1, 2])
    probabilities = np.array([[0.9, 0.1, 0.0], [0.1, 0.4, 0.5], [0.7, 0.3, 0.0], [0.3, 0.3, 0.4]])
    # The thresholds are 0.5, 0.3 and 0.4.
    assert suggest_labels(labels, probabilities).tolist() == [NOBODY, 2, 0, NOBODY]


def test_a_song_that_is_plainly_called_its_label_is_never_suspected() -> None:
    labels = np.array([0, 0, 0, 1])
    probabilities = np.array([[1.0, 0.0], [1.0, 0.0], [0.8, 0.2], [0.9, 0.1]])
    # Genre 1 is hardly known: 0.1 is its threshold, and 0.8 does not reach that of genre 0.
    assert suggest_labels(labels, probabilities)[2] == NOBODY


def test_a_genre_without_songs_is_suggested_for_none() -> None:
    labels = np.array([0, 0])
    probabilities = np.array([[0.3, 0.0, 0.7], [0.4, 0.0, 0.6]])
    assert suggest_labels(labels, probabilities).tolist() == [NOBODY, NOBODY]


def test_a_suspect_comes_with_what_speaks_against_its_label(runs: list[Run], data: Dataset) -> None:
    suspicions = find_mislabelled(runs[:1], data)
    (suspect,) = suspicions.suspects
    assert (suspect.song, suspect.label, suspect.suggested) == ("rock/1", "rock", "jazz")
    assert suspect.suggested_probability == pytest.approx((0.9 + 0.9 + 0.4) / 3)
    assert suspect.label_probability == pytest.approx((0.1 + 0.1 + 0.6) / 3)
    assert suspect.share == pytest.approx(2 / 3)
    assert (suspect.runs_agreeing, suspect.runs) == (1, 1)
    assert suspicions.accuracy == pytest.approx(3 / 4)
    assert suspicions.accuracy_of_rest == 1.0


def test_runs_are_heard_together(runs: list[Run], data: Dataset) -> None:
    # Of the second run alone rock/1 is no suspect, and both together doubt it less.
    assert find_mislabelled(runs[1:], data).suspects == ()
    suspicions = find_mislabelled(runs, data)
    assert suspicions.runs == 2
    assert suspicions.accuracy == pytest.approx((3 / 4 + 1) / 2)
    # A third has never liked jazz much, but hears it in rock/1.
    said = [[0.55, 0.45], [0.55, 0.45], [0.52, 0.48], [0.3, 0.7], *[[0.95, 0.05]] * 3]
    third = fabricate_run(runs[0].folder.with_name("seed3"), data, said, seed=3)
    (suspect,) = find_mislabelled([*runs, third], data).suspects
    assert (suspect.runs_agreeing, suspect.runs) == (2, 3)
    assert suspect.share == pytest.approx((2 / 3 + 1 / 3 + 1) / 3)
    jazz = ((0.9 + 0.9 + 0.4) / 3 + (0.9 + 0.3 + 0.3) / 3 + 0.95) / 3
    assert suspect.suggested_probability == pytest.approx(jazz)


def test_a_run_without_folds_speaks_of_the_songs_that_it_judged(
    runs: list[Run], data: Dataset, tmp_path: Path
) -> None:
    judged = fabricate_run(tmp_path / "half", data, SEED_1, seed=4)
    there = np.flatnonzero(np.isin(data.segment_songs, [0, 3]))
    said = np.array(SEED_1)[there]
    np.savez(judged.folder / "heldout.npz", fold=there * 0 + 1, segment=there, probabilities=said)
    metrics = {"song_accuracy": 1 / 2, "segment_accuracy": 3 / 5}
    (judged.folder / "metrics.json").write_text(json.dumps(metrics))
    alone = find_mislabelled([judged], data)
    assert alone.songs == 2
    together = find_mislabelled([runs[0], judged], data)
    assert together.songs == 4
    assert [suspect.runs for suspect in together.suspects] == [2]


def test_the_most_doubtful_label_comes_first(tmp_path: Path) -> None:
    data = fabricate_dataset(tmp_path / "data", {"jazz": [1] * 4, "rock": [1] * 4})
    right, doubtful, wrong = [0.95, 0.05], [0.2, 0.8], [0.1, 0.9]
    said = [right, right, doubtful, wrong] + [row[::-1] for row in (right, right, right, right)]
    run = fabricate_run(tmp_path / "run", data, [*said[:7], [0.4, 0.6]])
    suspects = find_mislabelled([run], data).suspects
    assert [suspect.song for suspect in suspects] == ["jazz/3"]
    said = [right, right, doubtful, wrong] + [[0.5, 0.5]] * 4
    run = fabricate_run(tmp_path / "other", data, said)
    suspects = find_mislabelled([run], data).suspects
    assert [suspect.song for suspect in suspects] == ["jazz/3", "jazz/2"]
    assert [suspect.margin for suspect in suspects] == pytest.approx([0.8, 0.6])


def test_it_prints_a_table_and_writes_a_list_that_train_model_takes(
    runs: list[Run], tmp_path: Path, run_command: Command
) -> None:
    out = tmp_path / "suspects.csv"
    result = run_command(FIND, runs[0].folder, "--out", out)
    assert result.returncode == 0, result.stderr
    cells = "| rock/1 | rock  | jazz      |    26.7% |        73.3% |      67% | 1 of 1 |"
    assert result.stdout.splitlines()[2] == cells
    assert "75.0% of all, 100.0% of the 3 others" in result.stderr
    assert "raises the figure by construction" in result.stderr
    (row,) = csv.DictReader(out.read_text().splitlines())
    assert (row["song"], row["suggested"], row["margin"]) == ("rock/1", "jazz", "0.4667")
    assert read_song_names(out) == ["rock/1"]
    assert list(tmp_path.glob(".*")) == []


def test_nothing_suspected_is_said_and_leaves_an_empty_list(
    runs: list[Run], tmp_path: Path, run_command: Command
) -> None:
    result = run_command(FIND, runs[1].folder, "--out", tmp_path / "none.csv")
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    assert "None of 4 songs is suspected." in result.stderr
    assert len((tmp_path / "none.csv").read_text().splitlines()) == 1


def test_odd_names_come_back_from_the_list(tmp_path: Path) -> None:
    names = ['comma, "quote"', "odd \udcff byte", "new\nline"]
    suspects = [Suspect(name, "rock", "jazz", 0.1, 0.9, 1.0, 1, 1) for name in names]
    (tmp_path / "odd.csv").write_bytes(suspects_csv(suspects))
    assert read_song_names(tmp_path / "odd.csv") == names


def test_a_list_of_songs_may_be_a_name_a_line(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("rock/1\r\n\n jazz, the first \n", newline="")
    assert read_song_names(tmp_path / "names.txt") == ["rock/1", "jazz, the first"]
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(DataError, match="names no song"):
        read_song_names(tmp_path / "empty.txt")
    with pytest.raises(DataError, match="cannot be read"):
        read_song_names(tmp_path / "nowhere.txt")


def test_runs_that_prove_nothing_or_do_not_belong_together_are_refused(
    runs: list[Run], data: Dataset, tmp_path: Path, run_command: Command
) -> None:
    leaky = fabricate_run(tmp_path / "leaky", data, SEED_1, protocol="segments")
    with pytest.raises(DataError, match="have heard parts of the songs they judge"):
        find_mislabelled([runs[0], leaky], data)
    with pytest.raises(DataError, match="named twice"):
        find_mislabelled([runs[0], runs[0]], data)
    elsewhere = fabricate_dataset(tmp_path / "more", {"jazz": [2, 1], "rock": [1, 3]})
    other = fabricate_run(tmp_path / "other", elsewhere, SEED_1)
    result = run_command(FIND, runs[0].folder, other.folder)
    assert result.returncode == 1
    assert "name runs of one data set" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
