"""Use a trainer and a kind of features of another distribution, from audio to labels."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pocketgenre.errors import PocketGenreError
from pocketgenre.features.config import FeatureConfig, feature_kind
from pocketgenre.models.model_card import ModelCard
from pocketgenre.training.models.trainers import BUILT_IN, Trainer, find_trainer, list_trainers
from pocketgenre.training.runs import Run
from tests.conftest import REPOSITORY, Command, write_genres
from tests.training.commands import EXPORT, PREPARE, SCAN, TRAIN, succeed

MODULE = """
import numpy as np

from pocketgenre.features.config import FeatureConfig, FeatureKind
from pocketgenre.features.mel import mel_power
from pocketgenre.training.models.trainers import Trainer


def root_mel(samples, config):
    return np.ascontiguousarray(np.cbrt(mel_power(samples, config)).T)


FEATURES = FeatureKind(
    name="toy",
    default=FeatureConfig(n_mels=40, segment_samples=22_050, kind="toy"),
    compute=root_mel,
    reference="toy:root_mel",
)


def fit(context):
    from keras import layers

    from pocketgenre.training.models.keras_trainer import fit_layers

    return fit_layers(context, lambda shape: [layers.GlobalAveragePooling1D()])


TRAINER = Trainer(
    "toy", "One layer on the mean of the frames.", "toy:fit", feature_kind="toy", licence="MIT"
)
"""

ENTRY_POINTS = """
[pocketgenre.trainers]
toy = toy:TRAINER

[pocketgenre.feature_kinds]
toy = toy:FEATURES
"""


def install(folder: Path, entry_points: str = ENTRY_POINTS) -> None:
    """Create the files that pip would install for a distribution ``toy``."""
    metadata = folder / "toy-0.1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 0.1\n")
    (metadata / "entry_points.txt").write_text(entry_points)
    (folder / "toy.py").write_text(MODULE)


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folder on the import path of this process and of those that it starts."""
    folder = tmp_path / "plugins"
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{REPOSITORY}")
    monkeypatch.delitem(sys.modules, "toy", raising=False)
    yield folder
    feature_kind.cache_clear()


@pytest.mark.slow
def test_plugin_works_from_audio_to_labels(
    plugins: Path, tmp_path: Path, run_command: Command
) -> None:
    install(plugins)
    audio = write_genres(tmp_path / "audio", songs=4)
    data, folder, model = tmp_path / "data", tmp_path / "run", tmp_path / "toy.tflite"
    succeed(PREPARE, audio, "--features", "toy", "--workers", 1, "--out", data)
    options = ["--model", "toy", "--epochs", 25, "--learning-rate", 0.03, "--batch-size", 8]
    succeed(TRAIN, data, *options, "--folds", 2, "--out", folder)
    assert Run.load(folder).feature_config == FeatureConfig(
        n_mels=40, segment_samples=22_050, kind="toy"
    )
    succeed(EXPORT, folder, "--representative", 20, "--licence", "0BSD", "--out", model)
    card = ModelCard.from_json(model.with_suffix(".json").read_text())
    assert (card.input, card.licence) == ("toy", "0BSD AND MIT")
    result = run_command(SCAN, audio, "--model", model, "--format", "json")
    songs = json.loads(result.stdout)
    assert len(songs) == 12
    assert all(song["genre"] == song["path"].split("/")[0] for song in songs)


def test_trainer_is_found_by_entry_point(plugins: Path) -> None:
    install(plugins)
    assert find_trainer("toy").licence == "MIT"
    assert [trainer.name for trainer in list_trainers()][-2:] == ["residual", "toy"]


@pytest.mark.parametrize("value", ["toy:MISSING", "toy:fit", "nowhere:TRAINER"])
def test_broken_trainer_is_refused(plugins: Path, value: str) -> None:
    install(plugins, entry_points=f"[pocketgenre.trainers]\ntoy = {value}\n")
    with pytest.raises(PocketGenreError, match="'toy'"):
        find_trainer("toy")


def test_builtin_trainer_cannot_be_replaced(plugins: Path) -> None:
    install(plugins, entry_points="[pocketgenre.trainers]\ncnn = toy:TRAINER\n")
    assert find_trainer("cnn") in BUILT_IN
    assert len(list_trainers()) == len(BUILT_IN)


def test_unknown_trainer_is_refused_with_choices() -> None:
    with pytest.raises(PocketGenreError, match=r"choose one of ann, .*, musicnn, residual"):
        find_trainer("resnet")


@pytest.mark.parametrize("trainer", BUILT_IN, ids=lambda trainer: trainer.name)
def test_builtin_trainer_can_be_loaded(trainer: Trainer) -> None:
    assert callable(trainer.load_fit())
