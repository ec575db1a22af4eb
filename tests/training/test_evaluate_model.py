"""Run ``evaluate-model`` on metrics that can be computed by hand."""

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
from pocketgenre.training.data.splits import PROTOCOLS
from pocketgenre.training.errors import DataError
from pocketgenre.training.evaluation.label_issues import find_label_issues
from pocketgenre.training.evaluation.metrics import (
    compute_calibration,
    compute_classification_metrics,
    find_worst_songs,
)
from pocketgenre.training.evaluation.report_markdown import evaluation_report
from pocketgenre.training.evaluation.run_evaluation import evaluate_dataset, evaluate_heldout
from pocketgenre.training.plots.curves import plot_curves
from pocketgenre.training.runs import Run
from tests.conftest import REPOSITORY, Command, invoke
from tests.training.commands import refuse, succeed
from tests.training.fabricated import fabricate_dataset, fabricate_run

EVALUATE = "pocketgenre.training.cli.evaluate_model"
OUTPUT_FILES = {
    "evaluation.json",
    "evaluation.md",
    "confusion.png",
    "reliability.png",
    "curves.png",
}
PNG = b"\x89PNG\r\n\x1a\n"

# Probabilities (jazz, rock) of ten segments: two songs each of two genres.
JAZZ_0 = [[0.9, 0.1], [0.9, 0.1], [0.2, 0.8]]  # jazz by 2 votes of 3: correct
JAZZ_1 = [[0.3, 0.7], [0.4, 0.6]]  # rock by 2 of 2, mean probability 65 %: wrong
ROCK_0 = [[0.1, 0.9], [0.1, 0.9], [0.1, 0.9], [0.1, 0.9]]  # correct
ROCK_1 = [[0.95, 0.05]]  # jazz by 1 of 1, at 95 %: wrong
PROBABILITIES = JAZZ_0 + JAZZ_1 + ROCK_0 + ROCK_1


def png_size(file: Path) -> tuple[int, int]:
    """Return width and height of a PNG file in pixels."""
    header = file.read_bytes()[16:24]
    return int.from_bytes(header[:4]), int.from_bytes(header[4:])


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return fabricate_dataset(tmp_path / "data", {"jazz": [3, 2], "rock": [4, 1]})


@pytest.fixture
def run(tmp_path: Path, data: Dataset) -> Run:
    return fabricate_run(tmp_path / "run", data, PROBABILITIES)


def test_songs_and_segments_are_counted_separately(run: Run, data: Dataset) -> None:
    evaluation = evaluate_heldout(run, data)
    assert evaluation.songs.count == 4
    assert evaluation.songs.accuracy == pytest.approx(2 / 4)
    assert evaluation.songs.confusion == ((1, 1), (1, 1))
    assert evaluation.segments.count == 10
    assert evaluation.segments.accuracy == pytest.approx(6 / 10)
    assert evaluation.segments.confusion == ((2, 3), (1, 4))
    assert evaluation.warnings == ()


def test_genre_has_precision_recall_f1_and_support(run: Run, data: Dataset) -> None:
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


def test_absent_genre_is_left_out_of_means() -> None:
    true, predicted = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    metrics = compute_classification_metrics(true, predicted, ("a", "b", "c"))
    assert metrics.mean_recall == pytest.approx((1 / 2 + 1) / 2)
    assert metrics.genres[2].support == 0


def test_calibrated_probabilities_have_no_calibration_error() -> None:
    confidence = np.repeat([0.75, 0.5], [8, 4])
    correct = np.array([True] * 6 + [False] * 2 + [True] * 2 + [False] * 2)
    calibration = compute_calibration(confidence, correct)
    assert calibration.ece == pytest.approx(0.0)
    assert [b.count for b in calibration.bins] == [4, 8]
    assert [b.accuracy for b in calibration.bins] == pytest.approx([0.5, 0.75])


def test_calibration_error_is_the_excess_confidence() -> None:
    correct = np.array([True, False, False, False])
    assert compute_calibration(np.full(4, 0.95), correct).ece == pytest.approx(0.95 - 0.25)
    mixed = compute_calibration(np.array([0.95] * 4 + [0.55] * 4), np.tile(correct, 2))
    assert mixed.ece == pytest.approx((4 * (0.95 - 0.25) + 4 * (0.55 - 0.25)) / 8)


def test_probability_on_bin_edge_is_counted_once() -> None:
    calibration = compute_calibration(
        np.array([0.1, 0.3, 0.5, 0.7, 1.0, 1.0 + 1e-7]), np.ones(6, dtype=bool)
    )
    assert sum(b.count for b in calibration.bins) == 6


def test_worst_songs_are_sorted_by_confidence(data: Dataset) -> None:
    probabilities = np.array([[0.4, 0.6], [0.4, 0.6], [0.9, 0.1], *JAZZ_1, *ROCK_0, *ROCK_1])
    wrong = find_worst_songs(data, np.arange(10), probabilities)
    assert [song.song for song in wrong] == ["jazz/1", "rock/1", "jazz/0"]
    first, second, third = wrong
    assert first.confidence == second.confidence == 1.0  # with two votes and with one vote
    assert (first.true_genre, first.predicted_genre, first.votes) == ("jazz", "rock", {"rock": 2})
    assert first.probability == pytest.approx(0.65)
    assert second.probability == pytest.approx(0.95)
    assert third.confidence == pytest.approx(2 / 3)
    assert list(third.votes.items()) == [("rock", 2), ("jazz", 1)]


def test_folds_are_evaluated_together_with_statistics(tmp_path: Path, data: Dataset) -> None:
    fold = [1] * 3 + [2] * 2 + [1] * 4 + [2]  # correct songs in fold 1, wrong ones in fold 2
    evaluation = evaluate_heldout(
        fabricate_run(tmp_path / "folds", data, PROBABILITIES, fold), data
    )
    assert evaluation.songs.accuracy == pytest.approx(0.5)
    accuracy = evaluation.fold_statistics["song_accuracy"]
    assert (accuracy.mean, accuracy.minimum, accuracy.maximum) == (0.5, 0.0, 1.0)
    assert accuracy.standard_deviation == pytest.approx(np.sqrt(0.5))
    assert "Statistics over 2 folds" in evaluation_report(evaluation)


def test_command_writes_files_and_prints_table(run: Run) -> None:
    result = invoke(EVALUATE, run.folder)
    assert result.returncode == 0, result.stderr
    out = run.folder / "evaluation"
    assert {file.name for file in out.iterdir()} == OUTPUT_FILES
    assert all(file.read_bytes().startswith(PNG) for file in out.glob("*.png"))
    values = json.loads((out / "evaluation.json").read_text())
    assert values["songs"]["accuracy"] == 0.5
    assert values["songs"]["judged"] == 4
    worst = values["worst_songs"][0]
    assert (worst["song"], worst["genre"], worst["called"]) == ("jazz/1", "jazz", "rock")
    assert re.search(r"^\| songs by vote +\| +4 \| +50\.0% \|", result.stdout, re.MULTILINE)
    report = (out / "evaluation.md").read_text()
    assert result.stdout.splitlines()[0] in report
    assert "| rock/1 | rock  | jazz      | jazz 1 |       100% |              95% |" in report
    assert "LEAKS" not in report + result.stdout + result.stderr


@pytest.mark.parametrize("count", [2, 25])
def test_pictures_hold_with_long_names(tmp_path: Path, count: int) -> None:
    genres = [f"{'a genre with a long name ' * 6}{i}" for i in range(count)]
    data = fabricate_dataset(tmp_path / "data", dict.fromkeys(genres, (1,)))
    order = [genres.index(label) for label in data.labels]
    run = fabricate_run(tmp_path / "run", data, np.eye(count)[order][:, order].tolist())
    succeed(EVALUATE, run.folder)
    for name in ("confusion.png", "curves.png"):
        width, height = png_size(run.folder / "evaluation" / name)
        assert 500 < width < 6_500
        assert 500 < height < 3_500


def test_epochs_are_whole_numbers(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    ticks: list[float] = []
    save = Figure.savefig

    def record_ticks(figure: Figure, *arguments, **options) -> None:
        ticks.extend(figure.axes[0].get_xticks())
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", record_ticks)
    plot_curves(run, run.folder / "curves.png")
    assert ticks
    assert all(tick == round(tick) for tick in ticks)


def test_moved_dataset_is_named(run: Run, data: Dataset, tmp_path: Path) -> None:
    moved = data.folder.rename(tmp_path / "moved")
    message = refuse(EVALUATE, run.folder)
    assert f"is not at {run.dataset}; if it has moved, name its folder with --dataset" in message
    succeed(EVALUATE, run.folder, "--dataset", moved)
    assert (run.folder / "evaluation" / "evaluation.md").exists()


def test_output_files_are_reproducible(run: Run, tmp_path: Path, run_command: Command) -> None:
    assert run_command(EVALUATE, run.folder, "--out", tmp_path / "one").returncode == 0
    for _ in range(2):  # the second time over existing files
        assert invoke(EVALUATE, run.folder, "--out", tmp_path / "two").returncode == 0
    for name in OUTPUT_FILES:
        one, two = (tmp_path / out / name for out in ("one", "two"))
        assert one.read_bytes() == two.read_bytes(), name


def test_leaking_split_gives_warnings_everywhere(tmp_path: Path, data: Dataset) -> None:
    run = fabricate_run(tmp_path / "leaky", data, PROBABILITIES, protocol="segments")
    warning = PROTOCOLS["segments"]
    result = invoke(EVALUATE, run.folder)
    assert warning in result.stdout
    assert warning in result.stderr
    assert warning in (run.folder / "evaluation" / "evaluation.md").read_text()
    values = json.loads((run.folder / "evaluation" / "evaluation.json").read_text())
    assert warning in values["warnings"][0]
    assert warning in values["protocol_meaning"]


def test_picture_titles_warn_of_leaking_split(
    tmp_path: Path, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.figure import Figure

    from pocketgenre.training.plots.evaluation_plots import plot_confusion, plot_reliability

    titles = []
    monkeypatch.setattr(Figure, "suptitle", lambda self, text: titles.append(text))
    run = fabricate_run(tmp_path / "leaky", data, PROBABILITIES, protocol="segments")
    evaluation = evaluate_heldout(run, data)
    plot_confusion(evaluation, tmp_path / "a.png")
    plot_reliability(evaluation, tmp_path / "b.png")
    plot_curves(run, tmp_path / "c.png", evaluation.warnings)
    assert len(titles) == 3
    assert all("LEAKS" in title for title in titles)


def test_curves_include_recorded_validation(tmp_path: Path, data: Dataset) -> None:
    plain = fabricate_run(tmp_path / "plain", data, PROBABILITIES)
    validated = fabricate_run(tmp_path / "validated", data, PROBABILITIES, validation_curves=True)
    plot_curves(plain, tmp_path / "plain.png")
    plot_curves(validated, tmp_path / "validated.png")
    assert (tmp_path / "plain.png").read_bytes() != (tmp_path / "validated.png").read_bytes()


def test_heldout_evaluation_does_not_import_tensorflow(run: Run) -> None:
    script = (
        "import sys\n"
        "from pocketgenre.training.cli.evaluate_model import main\n"
        "try:\n    main()\n"
        "except SystemExit as error:\n    assert not error.code, error.code\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script, run.folder], check=True, cwd=REPOSITORY)


def test_dataset_needs_the_genres_and_features_of_run(
    run: Run, data: Dataset, tmp_path: Path
) -> None:
    other = fabricate_dataset(tmp_path / "other", {"polka": [1], "rock": [1]})
    with pytest.raises(DataError, match="holds the genres polka, rock, but"):
        evaluate_dataset(run, other)
    head = json.loads((data.folder / "dataset.json").read_text())
    head["front_end"]["n_mels"] = 64
    (data.folder / "dataset.json").write_text(json.dumps(head))
    from pocketgenre.training.data.dataset import load_dataset

    with pytest.raises(DataError, match="computed with other parameters"):
        evaluate_dataset(run, load_dataset(data.folder))


def test_dataset_changed_since_training_is_an_error(
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
def test_run_without_a_file_is_an_error(run: Run, broken: str, sentence: str) -> None:
    (run.folder / broken).unlink()
    result = invoke(EVALUATE, run.folder)
    assert result.returncode == 1
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "content", ["{}", "[]", '{"song_accuracy": null}', '{"song_accuracy": NaN}', "{"]
)
def test_run_without_metrics_is_an_error(run: Run, data: Dataset, content: str) -> None:
    (run.folder / "metrics.json").write_text(content)
    for evaluate in (evaluate_heldout, lambda run, data: find_label_issues([run], data)):
        with pytest.raises(DataError, match=r"metrics\.json (is damaged|holds)"):
            evaluate(run, data)


@pytest.mark.slow
def test_damaged_network_is_an_error(tmp_path: Path) -> None:
    from pocketgenre.training.models.checkpoints import load_network

    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("metadata.json", "config.json"):
            archive.writestr(name, "{}")
    path.write_bytes(path.read_bytes().replace(b"{}", b"[]"))
    with pytest.raises(DataError, match="is not a Keras model"):
        load_network(path)


@pytest.mark.slow
def test_final_network_is_evaluated_on_a_dataset(run: Run, data: Dataset, tmp_path: Path) -> None:
    import keras

    from pocketgenre.training.models.networks import build_network

    result = invoke(EVALUATE, run.folder, data.folder)
    assert result.returncode == 1
    assert "not a Keras model" in result.stderr
    network = build_network("ann", (130, 13), 2, np.zeros(13), np.ones(13))
    network.layers[-1].set_weights([np.zeros((64, 2)), np.array([0.0, 9.0])])  # always rock
    keras.saving.save_model(network, run.folder / "model.keras")
    shutil.copytree(data.folder, tmp_path / "elsewhere")

    other = invoke(EVALUATE, run.folder, tmp_path / "elsewhere")
    assert other.returncode == 0, other.stderr
    assert re.search(r"^\| songs by vote +\| +4 \| +50\.0% \|", other.stdout, re.MULTILINE)
    assert "the network was trained on" not in other.stderr + other.stdout
    own = invoke(EVALUATE, run.folder, data.folder)
    assert own.returncode == 0
    assert "these metrics do not apply to other music" in own.stderr
    assert "these metrics do not apply to other music" in own.stdout
