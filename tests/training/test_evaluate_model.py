"""``evaluate-model``: figures that can be checked by hand."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.songs import DataError
from pocketgenre.training.data.splits import PROTOCOLS
from pocketgenre.training.evaluation.evaluation import evaluate_heldout, evaluate_on
from pocketgenre.training.evaluation.evaluation_page import full_page
from pocketgenre.training.evaluation.figures import calibration_of, figures_of, worst_songs
from pocketgenre.training.evaluation.label_issues import find_mislabelled
from pocketgenre.training.plots.curves import plot_curves
from pocketgenre.training.runs import Run
from tests.conftest import REPOSITORY, Command
from tests.training.fabricated import fabricate_dataset, fabricate_run

EVALUATE = "pocketgenre.training.cli.evaluate_model"
WRITTEN = {"evaluation.json", "evaluation.md", "confusion.png", "reliability.png", "curves.png"}
PNG = b"\x89PNG\r\n\x1a\n"

# Two genres, two songs of each, ten segments. What the network says of each, (jazz, rock):
JAZZ_0 = [[0.9, 0.1], [0.9, 0.1], [0.2, 0.8]]  # jazz by 2 votes of 3: right
JAZZ_1 = [[0.3, 0.7], [0.4, 0.6]]  # rock by 2 of 2, mean probability 65 %: wrong
ROCK_0 = [[0.1, 0.9], [0.1, 0.9], [0.1, 0.9], [0.1, 0.9]]  # right
ROCK_1 = [[0.95, 0.05]]  # jazz by 1 of 1, at 95 %: wrong
SAID = JAZZ_0 + JAZZ_1 + ROCK_0 + ROCK_1


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return fabricate_dataset(tmp_path / "data", {"jazz": [3, 2], "rock": [4, 1]})


@pytest.fixture
def run(tmp_path: Path, data: Dataset) -> Run:
    return fabricate_run(tmp_path / "run", data, SAID)


def test_songs_are_judged_by_vote_and_segments_one_by_one(run: Run, data: Dataset) -> None:
    evaluation = evaluate_heldout(run, data)
    assert evaluation.songs.judged == 4
    assert evaluation.songs.accuracy == pytest.approx(2 / 4)
    assert evaluation.songs.confusion == ((1, 1), (1, 1))
    assert evaluation.segments.judged == 10
    assert evaluation.segments.accuracy == pytest.approx(6 / 10)
    assert evaluation.segments.confusion == ((2, 3), (1, 4))
    assert evaluation.warnings == ()


def test_each_genre_has_precision_recall_f1_and_support(run: Run, data: Dataset) -> None:
    segments = evaluate_heldout(run, data).segments
    jazz, rock = segments.genres
    assert (jazz.genre, jazz.support) == ("jazz", 5)
    assert jazz.precision == pytest.approx(2 / 3)
    assert jazz.recall == pytest.approx(2 / 5)
    assert jazz.f1 == pytest.approx(2 * 2 / (3 + 5))
    assert rock.precision == pytest.approx(4 / 7)
    assert rock.recall == pytest.approx(4 / 5)
    assert segments.mean_recall == pytest.approx((2 / 5 + 4 / 5) / 2)
    assert segments.macro_f1 == pytest.approx((4 / 8 + 8 / 12) / 2)


def test_a_genre_that_was_not_there_to_be_judged_counts_in_no_mean() -> None:
    level = figures_of(np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1]), ("a", "b", "c"))
    assert level.mean_recall == pytest.approx((1 / 2 + 1) / 2)
    assert level.genres[2].support == 0


def test_probabilities_that_come_true_as_often_as_they_say_have_no_calibration_error() -> None:
    confidence = np.repeat([0.75, 0.5], [8, 4])
    right = np.array([True] * 6 + [False] * 2 + [True] * 2 + [False] * 2)
    calibration = calibration_of(confidence, right)
    assert calibration.ece == pytest.approx(0.0)
    assert [b.segments for b in calibration.bins] == [4, 8]
    assert [b.accuracy for b in calibration.bins] == pytest.approx([0.5, 0.75])


def test_the_calibration_error_of_a_boaster_is_what_it_promises_too_much() -> None:
    right = np.array([True, False, False, False])
    assert calibration_of(np.full(4, 0.95), right).ece == pytest.approx(0.95 - 0.25)
    mixed = calibration_of(np.array([0.95] * 4 + [0.55] * 4), np.tile(right, 2))
    assert mixed.ece == pytest.approx((4 * (0.95 - 0.25) + 4 * (0.55 - 0.25)) / 8)


def test_a_probability_on_the_edge_of_two_bins_or_past_one_is_counted_once() -> None:
    calibration = calibration_of(
        np.array([0.1, 0.3, 0.5, 0.7, 1.0, 1.0 + 1e-7]), np.ones(6, dtype=bool)
    )
    assert sum(b.segments for b in calibration.bins) == 6


def test_the_most_confidently_wrong_songs_come_first_with_their_votes(data: Dataset) -> None:
    said = np.array([[0.4, 0.6], [0.4, 0.6], [0.9, 0.1], *JAZZ_1, *ROCK_0, *ROCK_1])
    wrong = worst_songs(data, np.arange(10), said)
    assert [song.song for song in wrong] == ["jazz/1", "rock/1", "jazz/0"]
    first, second, third = wrong
    assert first.confidence == second.confidence == 1.0  # but by two votes, and by one
    assert (first.genre, first.called, first.votes) == ("jazz", "rock", {"rock": 2})
    assert first.probability == pytest.approx(0.65)
    assert second.probability == pytest.approx(0.95)
    assert third.confidence == pytest.approx(2 / 3)
    assert list(third.votes.items()) == [("rock", 2), ("jazz", 1)]


def test_folds_are_judged_together_and_their_spread_is_told(tmp_path: Path, data: Dataset) -> None:
    fold = [1] * 3 + [2] * 2 + [1] * 4 + [2]  # the right songs in one, the wrong in the other
    evaluation = evaluate_heldout(fabricate_run(tmp_path / "folds", data, SAID, fold), data)
    assert evaluation.songs.accuracy == pytest.approx(0.5)
    spread = evaluation.spread["song_accuracy"]
    assert (spread.mean, spread.lowest, spread.highest) == (0.5, 0.0, 1.0)
    assert spread.deviation == pytest.approx(np.sqrt(0.5))
    assert "Spread over 2 folds" in full_page(evaluation)


def test_it_writes_figures_and_pictures_and_prints_a_table(run: Run, run_command: Command) -> None:
    result = run_command(EVALUATE, run.folder)
    assert result.returncode == 0, result.stderr
    out = run.folder / "evaluation"
    assert {file.name for file in out.iterdir()} == WRITTEN
    assert all(file.read_bytes().startswith(PNG) for file in out.glob("*.png"))
    values = json.loads((out / "evaluation.json").read_text())
    assert values["songs"]["accuracy"] == 0.5
    assert values["worst_songs"][0]["song"] == "jazz/1"
    assert re.search(r"^\| songs by vote +\| +4 \| +50\.0% \|", result.stdout, re.MULTILINE)
    page = (out / "evaluation.md").read_text()
    assert result.stdout.splitlines()[0] in page
    assert "| rock/1 | rock  | jazz   | jazz 1 |       100% |              95% |" in page
    assert "LEAKS" not in page + result.stdout + result.stderr


def test_the_same_run_gives_the_same_bytes_again(
    run: Run, tmp_path: Path, run_command: Command
) -> None:
    for out in (tmp_path / "one", tmp_path / "two", tmp_path / "two"):
        assert run_command(EVALUATE, run.folder, "--out", out).returncode == 0
    for name in WRITTEN:
        one, two = (tmp_path / out / name for out in ("one", "two"))
        assert one.read_bytes() == two.read_bytes(), name


def test_a_split_that_leaks_is_named_wherever_its_figures_are(
    tmp_path: Path, data: Dataset, run_command: Command
) -> None:
    run = fabricate_run(tmp_path / "leaky", data, SAID, protocol="segments")
    warning = PROTOCOLS["segments"]
    result = run_command(EVALUATE, run.folder)
    assert warning in result.stdout
    assert warning in result.stderr
    assert warning in (run.folder / "evaluation" / "evaluation.md").read_text()
    values = json.loads((run.folder / "evaluation" / "evaluation.json").read_text())
    assert warning in values["warnings"][0]
    assert warning in values["protocol_meaning"]


def test_the_pictures_of_a_split_that_leaks_say_so_in_their_titles(
    tmp_path: Path, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.figure import Figure

    from pocketgenre.training.plots.evaluation import plot_confusion, plot_reliability

    titles = []
    monkeypatch.setattr(Figure, "suptitle", lambda self, text: titles.append(text))
    run = fabricate_run(tmp_path / "leaky", data, SAID, protocol="segments")
    evaluation = evaluate_heldout(run, data)
    plot_confusion(evaluation, tmp_path / "a.png")
    plot_reliability(evaluation, tmp_path / "b.png")
    plot_curves(run, tmp_path / "c.png", evaluation.warnings)
    assert len(titles) == 3
    assert all("LEAKS" in title for title in titles)


def test_curves_show_validation_where_it_was_recorded(tmp_path: Path, data: Dataset) -> None:
    plain = fabricate_run(tmp_path / "plain", data, SAID)
    watched = fabricate_run(tmp_path / "watched", data, SAID, validation_curves=True)
    plot_curves(plain, tmp_path / "plain.png")
    plot_curves(watched, tmp_path / "watched.png")
    assert (tmp_path / "plain.png").read_bytes() != (tmp_path / "watched.png").read_bytes()


def test_held_out_predictions_are_judged_without_tensorflow(run: Run) -> None:
    script = (
        "import sys\n"
        "from pocketgenre.training.cli.evaluate_model import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script, run.folder], check=True, cwd=REPOSITORY)


def test_another_data_set_must_have_the_runs_genres_and_front_end(
    run: Run, data: Dataset, tmp_path: Path
) -> None:
    other = fabricate_dataset(tmp_path / "other", {"polka": [1], "rock": [1]})
    with pytest.raises(DataError, match="holds the genres polka, rock, but"):
        evaluate_on(run, other)
    head = json.loads((data.folder / "dataset.json").read_text())
    head["front_end"]["n_mels"] = 64
    (data.folder / "dataset.json").write_text(json.dumps(head))
    from pocketgenre.training.data.dataset import load_dataset

    with pytest.raises(DataError, match="another front end"):
        evaluate_on(run, load_dataset(data.folder))


def test_a_data_set_that_changed_since_the_training_is_an_error(
    run: Run, data: Dataset, tmp_path: Path
) -> None:
    shorter = fabricate_dataset(tmp_path / "shorter", {"jazz": [3], "rock": [4, 1]})
    with pytest.raises(DataError, match="has changed since"):
        evaluate_heldout(run, shorter)
    reordered = fabricate_dataset(tmp_path / "reordered", {"rock": [4, 1], "jazz": [3, 2]})
    with pytest.raises(DataError, match="has changed since"):
        evaluate_heldout(run, reordered)


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        ("run.json", "not a finished run"),
        ("history.json", "history.json cannot be read"),
        ("heldout.npz", "No such file"),
    ],
)
def test_a_run_that_lost_a_file_is_answered_in_one_sentence(
    run: Run, run_command: Command, broken: str, sentence: str
) -> None:
    (run.folder / broken).unlink()
    result = run_command(EVALUATE, run.folder)
    assert result.returncode == 1
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "content", ["{}", "[]", '{"song_accuracy": null}', '{"song_accuracy": NaN}', "{"]
)
def test_a_run_without_its_figures_is_an_error(run: Run, data: Dataset, content: str) -> None:
    (run.folder / "metrics.json").write_text(content)
    for judge in (evaluate_heldout, lambda run, data: find_mislabelled([run], data)):
        with pytest.raises(DataError, match=r"metrics\.json (is damaged|holds)"):
            judge(run, data)


@pytest.mark.slow
def test_a_network_of_which_a_byte_is_wrong_is_an_error(tmp_path: Path) -> None:
    from pocketgenre.training.models.checkpoints import load_network

    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("metadata.json", "config.json"):
            archive.writestr(name, "{}")
    path.write_bytes(path.read_bytes().replace(b"{}", b"[]"))
    with pytest.raises(DataError, match="is not a Keras model"):
        load_network(path)


@pytest.mark.slow
def test_a_data_set_is_judged_by_the_network_that_was_kept(
    run: Run, data: Dataset, tmp_path: Path, run_command: Command
) -> None:
    import keras

    from pocketgenre.training.models.networks import build_network

    result = run_command(EVALUATE, run.folder, data.folder)
    assert result.returncode == 1
    assert "not a Keras model" in result.stderr
    network = build_network("ann", (130, 13), 2, np.zeros(13), np.ones(13))
    network.layers[-1].set_weights([np.zeros((64, 2)), np.array([0.0, 9.0])])  # always rock
    keras.saving.save_model(network, run.folder / "model.keras")
    shutil.copytree(data.folder, tmp_path / "elsewhere")

    other = run_command(EVALUATE, run.folder, tmp_path / "elsewhere")
    assert other.returncode == 0, other.stderr
    assert re.search(r"^\| songs by vote +\| +4 \| +50\.0% \|", other.stdout, re.MULTILINE)
    assert "was trained on" not in other.stderr + other.stdout
    own = run_command(EVALUATE, run.folder, data.folder)
    assert own.returncode == 0
    assert "these figures say nothing about other music" in own.stderr
    assert "these figures say nothing about other music" in own.stdout
