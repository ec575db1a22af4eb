"""What ``train-model`` refuses rather than to give figures that mean something else."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from pocketgenre.errors import PocketGenreError
from pocketgenre.training.cli.train_model import train_model
from pocketgenre.training.data.dataset import Dataset, load_dataset
from pocketgenre.training.runs import Run, TrainingConfig
from tests.conftest import Command
from tests.training.fabricated import fabricate_run, three_genres

TRAIN = "pocketgenre.training.cli.train_model"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return three_genres(tmp_path_factory.mktemp("features") / "data")


@pytest.mark.slow
def test_an_interrupted_run_is_not_continued_with_another_configuration(
    dataset: Dataset, tmp_path: Path, run_command: Command
) -> None:
    unfinished = tmp_path / "run.unfinished"
    run_command(TRAIN, dataset.folder, "--model", "ann", "--epochs", 1, "--out", tmp_path / "run")
    (tmp_path / "run").rename(unfinished)
    result = run_command(
        TRAIN, dataset.folder, "--model", "ann", "--epochs", 2, "--out", tmp_path / "run"
    )
    assert result.returncode == 1
    assert "interrupted run of another configuration" in result.stderr


@pytest.mark.slow
def test_an_interrupted_run_is_not_continued_with_songs_grouped_otherwise(
    dataset: Dataset, tmp_path: Path, run_command: Command
) -> None:
    """Half of the folds would be split as before, the others as now, and songs be on both sides."""
    shutil.copytree(dataset.folder, tmp_path / "data")
    options = [tmp_path / "data", "--model", "ann", "--epochs", 1, "--out", tmp_path / "run"]
    assert run_command(TRAIN, *options).returncode == 0
    run, unfinished = tmp_path / "run", tmp_path / "run.unfinished"
    shutil.copytree(run, unfinished)
    songs = load_dataset(tmp_path / "data").index_file
    songs.write_text(songs.read_text().replace("jazz,,1,", "jazz,,0,"))
    run.rename(tmp_path / "elsewhere")
    result = run_command(TRAIN, *options)
    assert result.returncode == 1
    assert "interrupted run of another configuration, data set" in result.stderr
    before = Run.load(tmp_path / "elsewhere")
    assert before.is_of(dataset)  # where it stands doesn't matter
    assert not before.is_of(load_dataset(tmp_path / "data"))


@pytest.mark.parametrize(
    ("model", "option"),
    [
        ("musicnn", ("--epochs", 7)),
        ("musicnn", ("--early-stopping", 2)),
        ("musicnn", ("--no-balance-genres",)),
        ("residual", ("--early-stopping", 2)),
        ("residual", ("--tensorboard",)),
        ("cnn", ("--members", 2)),
        ("all", ("--pretrained", "x")),
    ],
)
def test_an_option_that_a_network_has_no_use_for_is_refused_before_anything_is_begun(
    dataset: Dataset, tmp_path: Path, model: str, option: tuple
) -> None:
    arguments = [str(dataset.folder), "--model", model, *map(str, option)]
    app = typer.Typer()
    app.command()(train_model)
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "run")])
    assert isinstance(result.exception, PocketGenreError)
    assert f"{model} takes no {option[0].replace('no-', '')};" in str(result.exception)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_all_takes_no_run_of_another_data_set_for_its_own(
    dataset: Dataset, tmp_path: Path, run_command: Command
) -> None:
    options = ["--model", "all", "--epochs", 1, "--out", tmp_path / "all"]
    done = tmp_path / "all" / "ann-songs"
    config = TrainingConfig(model="ann", epochs=1)
    fabricate_run(
        done, dataset, np.full((len(dataset.segment_songs), 3), 1 / 3), epochs=1, model="ann"
    )
    assert Run.load(done).config == config
    other = three_genres(tmp_path / "other", difference=0.5)
    result = run_command(TRAIN, other.folder, *options)
    assert result.returncode == 1
    assert "ann-songs is a run of another configuration or data set" in result.stderr
