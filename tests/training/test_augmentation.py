"""Change training segments at random: gain, noise, masks and mixup, by recipe."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from pocketgenre.features import compute_features
from pocketgenre.features.config import LOG_MEL_CONFIG, MFCC_CONFIG, FeatureConfig
from pocketgenre.training.augmentation import RESIDUAL_AUGMENTATION, Augmentation
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.errors import DataError
from pocketgenre.training.models.augmentation import augment_features
from pocketgenre.training.models.strategy import Placement
from pocketgenre.training.runs import Run, TrainingConfig
from pocketgenre.training.train import train_run
from tests.conftest import tone
from tests.training.commands import TRAIN, refuse, succeed
from tests.training.fabricated import in_shards, three_genres

EVERYTHING = Augmentation(
    gain=3, equalizer=1, band_limit=0.3, noise=0.3, time_mask=10, coefficient_mask=3, mixup=0.3
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return three_genres(tmp_path_factory.mktemp("features") / "data", difference=2.0)


def segments(config: FeatureConfig, gain: float = 1.0) -> np.ndarray:
    """Features of a chord with noise, float32 (4, frames, coefficients)."""
    rng = np.random.default_rng(1)
    samples = sum(tone(hz, 3.0, config.sample_rate)[:, 0] for hz in (220.0, 880.0, 3_000.0))
    samples = gain * (samples + rng.normal(scale=0.001, size=len(samples))).astype(np.float32)
    return np.repeat(compute_features(samples, config)[np.newaxis], 4, axis=0)


def changed(config: FeatureConfig, **changes: Any) -> np.ndarray:
    features = segments(config)
    fill = np.full(features.shape[2], -99, np.float32)
    rng = np.random.default_rng(2)
    return augment_features(features, fill, config, Augmentation(**changes), rng)


@pytest.mark.parametrize("config", [MFCC_CONFIG, LOG_MEL_CONFIG], ids=["mfcc", "log-mel"])
def test_no_change_keeps_the_features(config: FeatureConfig) -> None:
    np.testing.assert_array_equal(changed(config), segments(config))


def test_gain_changes_the_volume_only() -> None:
    difference = changed(MFCC_CONFIG, gain=6.0) - segments(MFCC_CONFIG)
    decibels = difference[:, :, 0] / np.sqrt(MFCC_CONFIG.n_mels)
    assert np.ptp(decibels, axis=1).max() < 1e-3
    assert 2 < decibels[:, 0].std() < 18
    assert np.abs(difference[:, :, 1:]).max() < 1e-3
    louder = segments(MFCC_CONFIG, gain=2.0) - segments(MFCC_CONFIG)
    np.testing.assert_allclose(louder[0, :, 0] / np.sqrt(MFCC_CONFIG.n_mels), 6.02, atol=0.01)


def test_noise_fills_the_quiet_bands() -> None:
    before, after = segments(LOG_MEL_CONFIG), changed(LOG_MEL_CONFIG, noise=1.0)
    quiet = before[0].mean(axis=0).argsort()[:40]
    assert (after[:, :, quiet].mean(axis=(1, 2)) > before[:, :, quiet].mean(axis=(1, 2))).all()
    level = (10 ** after.astype(np.float64) - 1).mean(axis=(1, 2))
    np.testing.assert_allclose(level, LOG_MEL_CONFIG.level, rtol=1e-3)


@pytest.mark.parametrize("change", ["equalizer", "band_limit", "noise"])
@pytest.mark.parametrize("config", [MFCC_CONFIG, LOG_MEL_CONFIG], ids=["mfcc", "log-mel"])
def test_change_of_sound_is_moderate(config: FeatureConfig, change: str) -> None:
    value = 3.0 if change == "equalizer" else 1.0
    before, after = segments(config), changed(config, **{change: value})
    assert np.isfinite(after).all()
    assert after.dtype == np.float32
    difference = np.linalg.norm(after - before) / np.linalg.norm(before)
    assert 0.005 < difference < 1.0


def test_masks_overwrite_frames_and_coefficients() -> None:
    masked = changed(MFCC_CONFIG, time_mask=20, coefficient_mask=4) == -99
    frames, coefficients = masked.all(axis=2).sum(axis=1), masked.all(axis=1).sum(axis=1)
    assert (frames <= 20).all()
    assert (coefficients <= 4).all()
    assert frames.any()
    assert coefficients.any()
    rest = masked & ~masked.all(axis=2, keepdims=True) & ~masked.all(axis=1, keepdims=True)
    assert not rest.any()


def train(dataset: Dataset, out: Path, config: TrainingConfig, stop_after: int = 0) -> Run:
    """Train a run; with ``stop_after``, interrupt it after this number of epochs."""

    def stop(_: str, history: dict[str, list[float]]) -> None:
        if stop_after and len(history["loss"]) == stop_after:
            raise KeyboardInterrupt

    placement = Placement(tf.distribute.get_strategy())
    run = train_run(config, dataset, out, command="", placement=placement, on_epoch=stop)
    assert run is not None
    return run


@pytest.mark.slow
@pytest.mark.parametrize("form", ["one piece", "shards"])
def test_augmented_training_resumes_to_same_network(
    dataset: Dataset, tmp_path: Path, form: str
) -> None:
    if form == "shards":
        dataset = in_shards(dataset, tmp_path / "data", 6)
    config = TrainingConfig(
        model="ann", epochs=6, batch_size=8, learning_rate=1e-3, augmentation=EVERYTHING
    )
    whole = train(dataset, tmp_path / "whole", config)
    with pytest.raises(KeyboardInterrupt):
        train(dataset, tmp_path / "stopped", config, stop_after=3)
    resumed = train(dataset, tmp_path / "stopped", config)
    weights = [
        keras.models.load_model(run.folder / "model.keras").get_weights()
        for run in (whole, resumed)
    ]
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_network_learns_from_mixed_segments(dataset: Dataset, tmp_path: Path) -> None:
    augmentation = Augmentation(time_mask=20, mixup=0.3)
    config = TrainingConfig(
        model="ann", epochs=10, batch_size=8, learning_rate=1e-3, augmentation=augmentation
    )
    assert train(dataset, tmp_path / "run", config).metrics()["song_accuracy"] >= 0.8


@pytest.mark.slow
def test_augmentation_of_zero_changes_nothing(dataset: Dataset, tmp_path: Path) -> None:
    options = [dataset.folder, "--model", "ann", "--epochs", 2]
    succeed(TRAIN, *options, "--out", tmp_path / "one")
    succeed(TRAIN, *options, "--set", "augmentation.mixup=0", "--out", tmp_path / "two")
    succeed(TRAIN, *options, "--set", "augmentation.time-mask=20", "--out", tmp_path / "three")
    one, two, three = (
        (tmp_path / name / "history.json").read_text() for name in ("one", "two", "three")
    )
    assert one == two != three


@pytest.mark.slow
def test_recipe_keeps_the_augmentation(dataset: Dataset, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('model = "ann"\nepochs = 3\n[augmentation]\nmixup = 0.4\ntime-mask = 9\n')
    options = [dataset.folder, "--recipe", recipe, "--set", "augmentation.mixup=0.3"]
    succeed(TRAIN, *options, "--set", "epochs=1", "--out", tmp_path / "one")
    config = Run.load(tmp_path / "one").config
    assert config.augmentation == Augmentation(mixup=0.3, time_mask=9)
    assert config.epochs == 1
    copied = tmp_path / "one" / "recipe.toml"
    succeed(TRAIN, dataset.folder, "--recipe", copied, "--out", tmp_path / "two")
    assert Run.load(tmp_path / "two").config == config
    histories = [(tmp_path / name / "history.json").read_text() for name in ("one", "two")]
    assert histories[0] == histories[1]


def test_option_overrides_a_setting(dataset: Dataset, tmp_path: Path) -> None:
    options = ["--set", "model=lstm", "--set", "seed=-1", "--model", "ann", "--seed", 3]
    message = refuse(TRAIN, dataset.folder, *options, "--folds", 1, "--out", tmp_path / "run")
    assert "--folds 1" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "augmentation.mixpu=1"], "did you mean augmentation.mixup?"),
        (["--set", "epoch=1"], "--set: epoch is no option that can be set there; did you mean epo"),
        (["--set", "epochs"], "--set needs OPTION=VALUE, such as epochs=20, not 'epochs'."),
        (["--set", "=3"], "--set needs OPTION=VALUE"),
        (["--set", "augmentation.noise=2"], "augmentation.noise must be a number from 0 to 1.0"),
        (["--set", "augmentation.time-mask=0.5"], "must be a whole number from 0 to 10,000"),
        (["--set", "augmentation.gain=loud"], "must be a number from 0 to 24.0, not 'loud'."),
        (["--set", "augmentation.gain=true"], "must be a number from 0 to 24.0, not True."),
        (["--set", "augmentation.gain=nan"], "must be a number from 0 to 24.0, not nan."),
        (["--set", "augmentation=1"], "augmentation is no option that can be set there"),
        (["--set", "augmentation.speed=0.1"], "cnn takes no augmentation.speed; leave it out."),
        (["--set", "members=2"], "cnn takes no --members; leave it out."),
    ],
)
def test_unusable_setting_is_refused(
    dataset: Dataset, tmp_path: Path, options: list[str], message: str
) -> None:
    error = refuse(TRAIN, dataset.folder, *options, "--out", tmp_path / "run")
    assert message in error.replace("\n", " ")
    assert not list(tmp_path.iterdir())


def test_changes_unsuitable_for_features_are_refused() -> None:
    with pytest.raises(DataError, match="gain has no effect on log-mel features"):
        Augmentation(gain=1).check_features(LOG_MEL_CONFIG)
    own = replace(MFCC_CONFIG, kind="toy")
    with pytest.raises(DataError, match="sound of toy features cannot be changed"):
        Augmentation(noise=0.1).check_features(own)
    Augmentation(mixup=0.2, time_mask=3).check_features(own)


def test_older_residual_run_was_augmented() -> None:
    assert TrainingConfig.from_dict({"model": "residual"}).augmentation == RESIDUAL_AUGMENTATION
    assert not TrainingConfig.from_dict({"model": "cnn"}).augmentation.is_on
