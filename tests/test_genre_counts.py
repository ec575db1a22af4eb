"""Everything that takes a list of genres takes 2 to 300 of them."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.demo.synthetic import write_audio
from pocketgenre.jobs.pool import WorkerPool
from pocketgenre.models.model_card import read_model
from pocketgenre.server.tasks import TaskRunner
from pocketgenre.training.plots.dataset_plots import plot_class_balance
from pocketgenre.training.runs import Run
from tests.conftest import tone
from tests.server.servers import build_app, serve_in_thread
from tests.teachable_model import write_teachable_model
from tests.training.commands import EXPORT, SCAN, TRAIN, prepare, succeed
from tests.training.fabricated import fabricate_dataset, fabricate_run

EVALUATE = "pocketgenre.training.cli.evaluate_model"
COMPARE = "pocketgenre.training.cli.compare_runs"
MISLABELLED = "pocketgenre.training.cli.find_mislabelled"
LARGEST_PICTURE = 16_384  # pixels in one direction, which browsers show


@pytest.fixture(scope="module", params=[2, 3, 10, 25, 300])
def genres(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return tuple(f"genre {number:03}" for number in range(request.param))


@pytest.fixture(scope="module")
def model(genres: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_teachable_model(tmp_path_factory.mktemp("model"), labels=genres)


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("songs")
    for hz in (80.0, 1_500.0):
        write_audio(folder / f"{hz:.0f}.wav", tone(hz, 4.0), 22_050)
    return folder


@pytest.fixture(scope="module")
def run(genres: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose predictions are mostly right."""
    folder = tmp_path_factory.mktemp("fabricated")
    dataset = fabricate_dataset(folder / "data", dict.fromkeys(genres, (2, 1)))
    rng = np.random.default_rng(1)
    logits = 8 * np.eye(len(genres))[dataset.segment_targets]
    logits += rng.normal(scale=2.0, size=logits.shape)
    probabilities = np.exp(logits)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return fabricate_run(folder / "run", dataset, probabilities.tolist())


def test_scan_reports_every_genre(
    genres: tuple[str, ...], model: Path, songs: Path, tmp_path: Path
) -> None:
    options = ["--model", model, "--format", "json", "--report", tmp_path / "report.html"]
    result = succeed(SCAN, songs, *options, "--playlists", tmp_path / "lists", "--workers", 0)
    found = json.loads(result.stdout)
    assert len(found) == 2
    for song in found:
        assert set(song["votes"]) <= set(genres)
        assert song["genre"] in {*genres, "uncertain"}
        assert song["genre"] in (tmp_path / "report.html").read_text()


def test_server_returns_every_probability(
    genres: tuple[str, ...], model: Path, songs: Path, tmp_path: Path
) -> None:
    pool = WorkerPool(TaskRunner({"model": read_model(model)}, "model"), 1, killed_retries=1)
    pool.start()
    try:
        with serve_in_thread(build_app(pool, model=str(model)), tmp_path / "log") as server:
            response = server.post("/v1/classify", songs / "80.wav").raise_for_status().json()
    finally:
        pool.close()
    (song,) = response["songs"]
    assert song["error"] is None
    assert list(song["probabilities"]) == list(genres)
    assert sum(song["probabilities"].values()) == pytest.approx(1.0, abs=0.02)  # rounded


def test_evaluation_has_each_genre(genres: tuple[str, ...], run: Run, tmp_path: Path) -> None:
    succeed(EVALUATE, run.folder, "--out", tmp_path)
    evaluation = json.loads((tmp_path / "evaluation.json").read_text())
    assert [row["genre"] for row in evaluation["songs"]["genres"]] == list(genres)
    page = (tmp_path / "evaluation.md").read_text()
    assert all(re.search(rf"^\| {genre} +\|", page, re.MULTILINE) for genre in genres)
    for picture in tmp_path.glob("*.png"):
        assert max(png_size(picture)) <= LARGEST_PICTURE, picture.name


def test_class_balance_fits_a_picture(run: Run, tmp_path: Path) -> None:
    plot_class_balance(run.open_dataset(), tmp_path / "balance.png")
    assert max(png_size(tmp_path / "balance.png")) <= LARGEST_PICTURE


def test_runs_are_compared(run: Run, tmp_path: Path) -> None:
    succeed(COMPARE, run.folder, "--out", tmp_path)
    (row,) = json.loads((tmp_path / "comparison.json").read_text())["runs"]
    assert row["figures"]["song_accuracy"] == run.metrics()["song_accuracy"] > 0.9


def test_suspect_labels_are_listed(genres: tuple[str, ...], run: Run, tmp_path: Path) -> None:
    succeed(MISLABELLED, run.folder, "--out", tmp_path / "suspects.csv")
    rows = list(csv.DictReader((tmp_path / "suspects.csv").read_text().splitlines()))
    assert {row["label"] for row in rows} <= set(genres)


@pytest.mark.slow
def test_network_is_trained_and_exported(
    genres: tuple[str, ...], songs: Path, tmp_path: Path
) -> None:
    for number, genre in enumerate(genres):
        (tmp_path / "audio" / genre).mkdir(parents=True)
        for shift in (1.0, 1.01):
            samples = tone(60.0 * 1.019**number * shift, 1.1)
            write_audio(tmp_path / "audio" / genre / f"{shift}.wav", samples, 22_050)
    prepare(tmp_path / "audio", "--out", tmp_path / "data")
    options = ["--model", "ann", "--epochs", 2, "--folds", 2]
    succeed(TRAIN, tmp_path / "data", *options, "--out", tmp_path / "run")
    assert Run.load(tmp_path / "run").labels == genres
    out = tmp_path / "own.tflite"
    succeed(EXPORT, tmp_path / "run", "--accept-parity", "--out", out)
    assert read_model(out)[1].labels == genres
    result = succeed(SCAN, songs, "--model", out, "--format", "json", "--workers", 0)
    assert all(song["error"] is None for song in json.loads(result.stdout))


def png_size(file: Path) -> tuple[int, int]:
    """Return width and height of a PNG file in pixels."""
    header = file.read_bytes()[16:24]
    return int.from_bytes(header[:4]), int.from_bytes(header[4:])
