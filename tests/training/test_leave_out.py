"""Run ``train-model --leave-out``: songs are evaluated but not trained on."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.splits import split_segments
from pocketgenre.training.runs import Run
from tests.conftest import invoke
from tests.training.fabricated import fabricate_dataset, fabricate_run

TRAIN = "pocketgenre.training.cli.train_model"
OPTIONS = ["--model", "ann", "--epochs", 2, "--early-stopping", 1]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("noise") / "data"
    return fabricate_dataset(folder, {"jazz": [2] * 10, "rock": [2] * 10})


@pytest.mark.slow
def test_left_out_songs_are_evaluated_only(dataset: Dataset, tmp_path: Path) -> None:
    split = split_segments(dataset, "songs", 5, seed=1)[0]
    tested, trained = (np.unique(dataset.segment_songs[part]) for part in (split.test, split.train))
    names = tuple(sorted(dataset.songs[songs[0]].name for songs in (tested, trained)))
    (tmp_path / "names.txt").write_text("\n".join(names))
    options = [*OPTIONS, "--leave-out", tmp_path / "names.txt"]
    result = invoke(TRAIN, dataset.folder, *options, "--out", tmp_path / "run")
    assert result.returncode == 0, result.stderr
    run = Run.load(tmp_path / "run")
    assert run.config.leave_out == names
    metrics = run.metrics()
    assert metrics["songs"] == len(tested)
    assert metrics["without_left_out"]["songs"] == len(tested) - 1
    assert "Without the songs left out of the training: " in result.stderr

    # Other features of the left-out songs give the same network.
    shutil.copytree(dataset.folder, tmp_path / "other")
    features = np.load(dataset.folder / "features.npy")
    left_out = [i for i, song in enumerate(dataset.songs) if song.name in names]
    features[np.isin(dataset.segment_songs, left_out)] = 99.0
    np.save(tmp_path / "other" / "features.npy", features)
    result = invoke(TRAIN, tmp_path / "other", *options, "--out", tmp_path / "again")
    assert result.returncode == 0, result.stderr
    one, two = (
        keras.models.load_model(tmp_path / name / "model.keras").get_weights()
        for name in ("run", "again")
    )
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_run_without_the_stored_option_continues(dataset: Dataset, tmp_path: Path) -> None:
    probabilities = np.full((len(dataset.segment_songs), 2), 0.5).tolist()
    settings = {"model": "ann", "epochs": 2, "early_stopping": 0, "seed": 1}
    unfinished = fabricate_run(tmp_path / "run.unfinished", dataset, probabilities, **settings)
    values = json.loads((unfinished.folder / "run.json").read_text())
    values["dataset_sha256"] = dataset.digest
    del values["config"]["leave_out"]
    (unfinished.folder / "run.json").write_text(json.dumps(values))
    assert Run.load(unfinished.folder).config.leave_out == ()
    (unfinished.folder / "model.keras").unlink()
    result = invoke(TRAIN, dataset.folder, *OPTIONS[:4], "--out", tmp_path / "run")
    assert result.returncode == 0, result.stderr


def test_unknown_song_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("jazz/0\npolka/7\n")
    options = [*OPTIONS, "--leave-out", tmp_path / "names.txt", "--out", tmp_path / "run"]
    result = invoke(TRAIN, dataset.folder, *options)
    assert result.returncode == 1
    assert "names songs that are not in" in result.stderr
    assert "polka/7" in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "names.txt"]
