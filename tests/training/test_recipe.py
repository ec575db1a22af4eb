"""Run ``train-model --recipe``."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.recipe import write_recipe
from pocketgenre.training.runs import Run, TrainingConfig
from tests.conftest import invoke
from tests.training.commands import TRAIN, refuse, succeed
from tests.training.fabricated import three_genres


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return three_genres(tmp_path_factory.mktemp("features") / "data")


def write(folder: Path, text: str) -> Path:
    recipe = folder / "recipe.toml"
    recipe.write_text(text)
    return recipe


@pytest.mark.slow
def test_recipe_of_a_run_trains_it_again(dataset: Dataset, tmp_path: Path) -> None:
    songs = tmp_path / "songs.txt"
    songs.write_text("jazz/0\npop/1\n")
    options = ["--model", "ann", "--epochs", 2, "--learning-rate", 0.001, "--no-balance-genres"]
    options += ["--leave-out", songs]
    succeed(TRAIN, dataset.folder, *options, "--out", tmp_path / "one")
    recipe = tmp_path / "one" / "recipe.toml"
    succeed(TRAIN, dataset.folder, "--recipe", recipe, "--out", tmp_path / "two")
    one, two = Run.load(tmp_path / "one"), Run.load(tmp_path / "two")
    assert two.config == one.config
    assert two.config.leave_out == ("jazz/0", "pop/1")
    for part, other in zip(one.heldout(), two.heldout(), strict=True):
        np.testing.assert_array_equal(part.probabilities, other.probabilities)


@pytest.mark.slow
def test_command_line_overrides_a_recipe(dataset: Dataset, tmp_path: Path) -> None:
    recipe = write(tmp_path, 'model = "ann"\nepochs = 50\nbatch-size = 8\nbalance-genres = false\n')
    out = tmp_path / "run"
    succeed(TRAIN, dataset.folder, "--recipe", recipe, "--epochs", 1, "--out", out)
    config = Run.load(out).config
    assert (config.model, config.epochs, config.batch_size) == ("ann", 1, 8)
    assert config.balance_genres is False


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", "epoch is no option that can be set there; did you mean epochs?"),
        ('out = "run"', "out is no option that can be set there"),
        ("epochs = [1, 2]", "epochs must be a text or a number"),
        ("epochs =", "can't be read: Invalid value"),
        ('model = "musicnn"\nepochs = 3', "musicnn takes no --epochs; leave it out"),
    ],
)
def test_unusable_recipe_is_refused(
    dataset: Dataset, tmp_path: Path, text: str, message: str
) -> None:
    recipe = write(tmp_path, text)
    error = refuse(TRAIN, dataset.folder, "--recipe", recipe, "--out", tmp_path / "run")
    assert message in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("text", ["epochs = 3.5", "epochs = 0", "leave-out = 3\nseed = -1"])
def test_unusable_value_is_a_usage_error(dataset: Dataset, tmp_path: Path, text: str) -> None:
    recipe = write(tmp_path, text)
    result = invoke(TRAIN, dataset.folder, "--recipe", recipe, "--out", tmp_path / "run")
    assert result.returncode == 2
    assert "Invalid value" in result.stderr


def test_recipe_has_only_options_of_the_network(tmp_path: Path) -> None:
    config = TrainingConfig(model="musicnn", pretrained='a "b"\x7f', not_music="/ü")
    write_recipe(config, tmp_path)
    recipe = tomllib.loads((tmp_path / "recipe.toml").read_text())
    assert recipe == {
        "model": "musicnn",
        "protocol": "songs",
        "folds": 0,
        "validation": 0.2,
        "seed": 1,
        "pretrained": str(Path('a "b"\x7f').resolve()),
        "not-music": "/ü",
        "max-segments": 20,
        "augmentation": {
            **dict.fromkeys(("gain", "equalizer", "band-limit", "noise"), 0.0),
            **dict.fromkeys(("time-mask", "coefficient-mask"), 0),
        },
    }
