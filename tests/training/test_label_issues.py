"""Run ``find-mislabelled`` on label issues that can be computed by hand."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.labelled_songs import read_song_names
from pocketgenre.training.data.near_duplicates import NearDuplicate, write_near_duplicates
from pocketgenre.training.data.storage import FolderStore
from pocketgenre.training.errors import DataError
from pocketgenre.training.evaluation.label_issues import (
    NO_SUGGESTION,
    LabelIssue,
    find_label_issues,
    label_issues_csv,
    suggest_labels,
)
from pocketgenre.training.runs import Run
from tests.conftest import Command, invoke
from tests.training.fabricated import fabricate_dataset, fabricate_run

FIND = "pocketgenre.training.cli.find_mislabelled"

# Probabilities (jazz, rock) of the segments of jazz/0, jazz/1, rock/0 and rock/1. In truth,
# rock/1 is jazz.
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


def test_genre_at_its_threshold_is_suggested() -> None:
    labels = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [0.7, 0.3]])
    # The thresholds are 0.7 and 0.55: the last song just reaches the threshold of genre 0.
    assert suggest_labels(labels, probabilities).tolist() == [
        NO_SUGGESTION,
        NO_SUGGESTION,
        NO_SUGGESTION,
        0,
    ]
    probabilities[3] = [0.69, 0.31]
    assert suggest_labels(labels, probabilities).tolist() == [NO_SUGGESTION] * 4


def test_most_probable_genre_above_threshold_is_suggested() -> None:
    labels = np.array([0, 0, 1, 2])
    probabilities = np.array([[0.9, 0.1, 0.0], [0.1, 0.4, 0.5], [0.7, 0.3, 0.0], [0.3, 0.3, 0.4]])
    # The thresholds are 0.5, 0.3 and 0.4.
    assert suggest_labels(labels, probabilities).tolist() == [NO_SUGGESTION, 2, 0, NO_SUGGESTION]


def test_most_probable_label_is_never_an_issue() -> None:
    labels = np.array([0, 0, 0, 1])
    probabilities = np.array([[1.0, 0.0], [1.0, 0.0], [0.8, 0.2], [0.9, 0.1]])
    # The threshold of genre 1 is only 0.1, and 0.8 does not reach the threshold of genre 0.
    assert suggest_labels(labels, probabilities)[2] == NO_SUGGESTION


def test_genre_without_songs_is_never_suggested() -> None:
    labels = np.array([0, 0])
    probabilities = np.array([[0.3, 0.0, 0.7], [0.4, 0.0, 0.6]])
    assert suggest_labels(labels, probabilities).tolist() == [NO_SUGGESTION, NO_SUGGESTION]


def test_issue_has_probabilities_and_votes(runs: list[Run], data: Dataset) -> None:
    found = find_label_issues(runs[:1], data)
    (issue,) = found.issues
    assert (issue.song, issue.label, issue.suggested) == ("rock/1", "rock", "jazz")
    assert issue.suggested_probability == pytest.approx((0.9 + 0.9 + 0.4) / 3)
    assert issue.label_probability == pytest.approx((0.1 + 0.1 + 0.6) / 3)
    assert issue.vote_share == pytest.approx(2 / 3)
    assert (issue.runs_agreeing, issue.runs) == (1, 1)
    assert found.accuracy == pytest.approx(3 / 4)
    assert found.accuracy_without_issues == 1.0


def test_predictions_of_runs_are_averaged(runs: list[Run], data: Dataset) -> None:
    # With the second run, or with both, rock/1 is no label issue.
    assert find_label_issues(runs[1:], data).issues == ()
    found = find_label_issues(runs, data)
    assert found.issues == ()
    assert found.runs == 2
    assert found.accuracy == pytest.approx((3 / 4 + 1) / 2)
    # A third run gives jazz low probabilities except for rock/1.
    probabilities = [[0.55, 0.45], [0.55, 0.45], [0.52, 0.48], [0.3, 0.7], *[[0.95, 0.05]] * 3]
    third = fabricate_run(runs[0].folder.with_name("seed3"), data, probabilities, seed=3)
    (issue,) = find_label_issues([*runs, third], data).issues
    assert (issue.runs_agreeing, issue.runs) == (2, 3)
    assert issue.vote_share == pytest.approx((2 / 3 + 1 / 3 + 1) / 3)
    jazz = ((0.9 + 0.9 + 0.4) / 3 + (0.9 + 0.3 + 0.3) / 3 + 0.95) / 3
    assert issue.suggested_probability == pytest.approx(jazz)


def test_run_without_folds_covers_its_heldout_songs(
    runs: list[Run], data: Dataset, tmp_path: Path
) -> None:
    half = fabricate_run(tmp_path / "half", data, SEED_1, seed=4)
    segments = np.flatnonzero(np.isin(data.segment_songs, [0, 3]))
    np.savez(
        half.folder / "heldout.npz",
        fold=np.ones(len(segments), int),
        segment=segments,
        probabilities=np.array(SEED_1)[segments],
    )
    metrics = {"song_accuracy": 1 / 2, "segment_accuracy": 3 / 5}
    (half.folder / "metrics.json").write_text(json.dumps(metrics))
    assert find_label_issues([half], data).songs == 2
    both = find_label_issues([runs[0], half], data)
    assert both.songs == 4
    assert [issue.runs for issue in both.issues] == [2]


def test_issues_are_sorted_by_margin(tmp_path: Path) -> None:
    data = fabricate_dataset(tmp_path / "data", {"jazz": [1] * 4, "rock": [1] * 4})
    correct, doubtful, wrong = [0.95, 0.05], [0.2, 0.8], [0.1, 0.9]
    jazz = [correct, correct, doubtful, wrong]
    run = fabricate_run(tmp_path / "run", data, [*jazz, *[correct[::-1]] * 3, [0.4, 0.6]])
    issues = find_label_issues([run], data).issues
    assert [issue.song for issue in issues] == ["jazz/3"]
    run = fabricate_run(tmp_path / "other", data, jazz + [[0.5, 0.5]] * 4)
    issues = find_label_issues([run], data).issues
    assert [issue.song for issue in issues] == ["jazz/3", "jazz/2"]
    assert [issue.margin for issue in issues] == pytest.approx([0.8, 0.6])


def test_command_prints_table_and_writes_csv(
    runs: list[Run], tmp_path: Path, run_command: Command
) -> None:
    out = tmp_path / "issues.csv"
    result = run_command(FIND, runs[0].folder, "--out", out)
    assert result.returncode == 0, result.stderr
    cells = "| rock/1 | rock  | jazz      |    26.7% |        73.3% |      67% | 1 of 1 |"
    assert result.stdout.splitlines()[2] == cells
    assert "1 label issue in 4 songs." in result.stderr
    assert "1 run: 75.0% of all songs, 100.0% of the other 3." in result.stderr
    assert "always raises the accuracy" in result.stderr
    (row,) = csv.DictReader(out.read_text().splitlines())
    assert (row["song"], row["suggested"], row["margin"]) == ("rock/1", "jazz", "0.4667")
    assert read_song_names(out) == ["rock/1"]
    assert list(tmp_path.glob(".*")) == []


def test_no_issues_give_an_empty_csv(runs: list[Run], tmp_path: Path) -> None:
    result = invoke(FIND, runs[1].folder, "--out", tmp_path / "none.csv")
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    assert "No label issues in 4 songs." in result.stderr
    assert len((tmp_path / "none.csv").read_text().splitlines()) == 1


def test_odd_names_survive_the_csv(tmp_path: Path) -> None:
    names = ['comma, "quote"', "odd \udcff byte", "new\nline"]
    issues = [LabelIssue(name, "rock", "jazz", 0.1, 0.9, 1.0, 1, 1) for name in names]
    (tmp_path / "odd.csv").write_bytes(label_issues_csv(issues))
    assert read_song_names(tmp_path / "odd.csv") == names


def test_song_list_may_have_one_name_per_line(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("rock/1\r\n\n jazz, the first \n", newline="")
    assert read_song_names(tmp_path / "names.txt") == ["rock/1", "jazz, the first"]
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(DataError, match="names no song"):
        read_song_names(tmp_path / "empty.txt")
    with pytest.raises(DataError, match="cannot be read"):
        read_song_names(tmp_path / "nowhere.txt")


def test_unsuitable_runs_are_refused(runs: list[Run], data: Dataset, tmp_path: Path) -> None:
    leaky = fabricate_run(tmp_path / "leaky", data, SEED_1, protocol="segments")
    with pytest.raises(DataError, match="trained on parts of the songs to evaluate"):
        find_label_issues([runs[0], leaky], data)
    with pytest.raises(DataError, match="named twice"):
        find_label_issues([runs[0], runs[0]], data)
    elsewhere = fabricate_dataset(tmp_path / "more", {"jazz": [2, 1], "rock": [1, 3]})
    other = fabricate_run(tmp_path / "other", elsewhere, SEED_1)
    result = invoke(FIND, runs[0].folder, other.folder)
    assert result.returncode == 1
    assert "name runs of one data set" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_near_duplicates_of_two_genres_are_named(runs: list[Run], data: Dataset) -> None:
    pairs = [NearDuplicate("jazz/0", "rock/1", 0.1), NearDuplicate("rock/0", "rock/1", 0.1)]
    write_near_duplicates(pairs, FolderStore(data.folder))
    message = "jazz/0 (jazz) and rock/1 (rock) are near duplicates with two genres"
    result = invoke(FIND, runs[0].folder)
    write_near_duplicates([], FolderStore(data.folder))
    assert message in result.stderr
    assert "rock/0 (rock)" not in result.stderr
