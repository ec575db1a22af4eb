"""Train the classifier on musicnn, whose pruned network computes musicnn's features."""

import json
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pocketgenre.constants import NOT_MUSIC
from pocketgenre.features.config import LOG_MEL_CONFIG
from pocketgenre.training.errors import DataError
from pocketgenre.training.models.musicnn.genre_regression import OtherSegments, fit_regression
from pocketgenre.training.models.musicnn.published_weights import Checkpoint
from pocketgenre.training.models.musicnn.tower import Tower, build_tower
from tests.conftest import REPOSITORY, Command, tone, write_audio
from tests.training.commands import EXPORT, SCAN, TRAIN, prepare, refuse, succeed
from tests.training.event_logs import logged_scalars
from tests.training.fabricated import three_genres

pytestmark = pytest.mark.slow

FRONT = {"conv2d": (7, 38, 1, 8), "conv2d_1": (7, 67, 1, 8), "conv2d_2": (128, 1, 1, 4),
         "conv2d_3": (64, 1, 1, 4), "conv2d_4": (32, 1, 1, 4)}  # fmt: skip
CHANNELS, MIDDLE = 28, 16
INACTIVE = 3
"""Channel of the first convolution that is always 0."""


def write_checkpoint(package: Path, seed: int = 1) -> Path:
    """Write a checkpoint like musicnn's, but narrower and with random weights."""
    rng = np.random.default_rng(seed)
    arrays = {f"{layer}/kernel": _fan_in(rng, shape) for layer, shape in FRONT.items()}
    arrays["conv2d/kernel"][..., INACTIVE] = 0.0
    for layer, inputs in (("conv2d_5", CHANNELS), ("conv2d_6", MIDDLE), ("conv2d_7", MIDDLE)):
        arrays[f"{layer}/kernel"] = _fan_in(rng, (7, inputs, 1, MIDDLE))
    pooled = CHANNELS + 3 * MIDDLE
    arrays["dense/kernel"] = _fan_in(rng, (2 * pooled, 200))
    for layer in [key.removesuffix("/kernel") for key in list(arrays)]:
        outputs = arrays[f"{layer}/kernel"].shape[-1]
        # Positive biases keep ReLU from making more channels inactive.
        arrays[f"{layer}/bias"] = rng.uniform(0.3, 0.6, outputs)
    arrays["conv2d/bias"][INACTIVE] = -1.0
    widths = [1, *(shape[-1] for shape in FRONT.values()), *[MIDDLE] * 3, 2 * pooled]
    for norm, width in enumerate(widths):
        layer = "batch_normalization" + (f"_{norm}" if norm else "")
        arrays[f"{layer}/gamma"] = rng.uniform(0.5, 1.5, width)
        arrays[f"{layer}/beta"] = rng.normal(scale=0.1, size=width)
        arrays[f"{layer}/moving_mean"] = rng.normal(scale=0.1, size=width)
        arrays[f"{layer}/moving_variance"] = rng.uniform(0.5, 1.5, width)
    arrays["batch_normalization_1/beta"][INACTIVE] = 0.0
    arrays["batch_normalization_1/moving_mean"][INACTIVE] = 0.0
    _save(package / "musicnn" / "MSD_musicnn", arrays)
    return package


def _fan_in(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))


def _save(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    folder.mkdir(parents=True)
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        for name, values in arrays.items():
            v1.get_variable(name, initializer=tf.constant(values, tf.float32))
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, f"{folder}/", write_meta_graph=False)


def as_published(package: Path, log_mel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute musicnn's 200 features, and the means of its convolutions, as its paper does.

    Only the clipping of the convolutions' outputs is not musicnn's.
    """
    folder = package / "musicnn" / "MSD_musicnn"
    get = tf.compat.v1.train.NewCheckpointReader(f"{folder}/").get_tensor

    def norm(x: tf.Tensor, number: int) -> tf.Tensor:
        layer = "batch_normalization" + (f"_{number}" if number else "")
        parts = (get(f"{layer}/{p}") for p in ("moving_mean", "moving_variance", "beta", "gamma"))
        return tf.nn.batch_normalization(x, *parts, 1e-3)

    def conv(x: tf.Tensor, layer: str, padding: str) -> tf.Tensor:
        z = tf.nn.conv2d(x, get(f"{layer}/kernel"), 1, padding) + get(f"{layer}/bias")
        return tf.nn.relu(z)

    def clip(z: tf.Tensor) -> tf.Tensor:
        return tf.minimum(z, 1.3 * np.quantile(z, 0.999, axis=(0, 1)).astype(np.float32))

    image = norm(log_mel[..., np.newaxis], 0)
    parts, convolutions = [], []
    for number, layer in enumerate(FRONT):
        timbral = number < 2
        padded = tf.pad(image, [[0, 0], [3, 3], [0, 0], [0, 0]]) if timbral else image
        z = tf.reduce_max(conv(padded, layer, "VALID" if timbral else "SAME"), axis=2)
        parts.append(norm(clip(z), number + 1))
    y = tf.concat(parts, axis=2)
    stack = [y]
    convolutions.append(y)
    for number in (5, 6, 7):
        image = tf.pad(y[..., np.newaxis], [[0, 0], [3, 3], [0, 0], [0, 0]])
        z = norm(clip(conv(image, f"conv2d_{number}", "VALID")[:, :, 0]), number + 1)
        y = z if number == 5 else z + y
        stack.append(y)
        convolutions.append(z)
    y = tf.concat(stack, axis=2)
    pooled = tf.stack([tf.reduce_max(y, axis=1), tf.reduce_mean(y, axis=1)], axis=2)
    flat = norm(tf.reshape(pooled, (len(log_mel), -1)), 9)
    features = tf.nn.relu(flat @ get("dense/kernel") + get("dense/bias"))
    return features.numpy(), tf.reduce_mean(tf.concat(convolutions, axis=2), axis=1).numpy()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def patches() -> np.ndarray:
    """Random log-mel features, float32 [shape=(24, 188, 96)]."""
    rng = np.random.default_rng(5)
    level = rng.uniform(0, 4, (24, 1, 96)) + rng.uniform(0, 1, (24, 188, 1))
    return (level + rng.uniform(0, 0.5, (24, 188, 96))).astype(np.float32)


MEAN, DEVIATION = 2.0, 1.5
"""Standardisation of the patches."""


@pytest.fixture(scope="module")
def tower(package: Path, patches: np.ndarray) -> Tower:
    return build_tower(Checkpoint.load(package), patches, MEAN, DEVIATION, "musicnn")


def test_tower_computes_musicnn_features(package: Path, tower: Tower, patches: np.ndarray) -> None:
    ours = tower.network.predict((patches - MEAN) / DEVIATION, verbose=0)[:, :200]
    theirs, _ = as_published(package, patches)
    assert ours.shape == theirs.shape == (24, 200)
    # Each feature is divided by its range on the patches.
    ranges = np.linalg.norm(theirs, axis=0) / np.maximum(np.linalg.norm(ours, axis=0), 1e-9)
    np.testing.assert_allclose(ours * ranges, theirs, atol=1e-3)
    assert ours.max() < 1.1


def test_tower_appends_means_of_convolutions(
    package: Path, tower: Tower, patches: np.ndarray
) -> None:
    ours = tower.network.predict((patches - MEAN) / DEVIATION, verbose=0)[:, 200:]
    _, means = as_published(package, patches)
    theirs = np.delete(means, INACTIVE, axis=1) - np.delete(means, INACTIVE, axis=1).mean(axis=0)
    assert ours.shape == theirs.shape
    # The means are centred and divided by their largest deviations on the patches.
    np.testing.assert_allclose(ours.mean(axis=0), 0.0, atol=1e-3)
    scales = np.abs(theirs).max(axis=0)
    np.testing.assert_allclose(ours * scales, theirs, atol=1e-3 * scales.max())
    assert np.abs(ours).max() < 1.01


def test_basis_sums_convolutions_to_stages(
    package: Path, tower: Tower, patches: np.ndarray
) -> None:
    features = tower.network.predict((patches - MEAN) / DEVIATION, verbose=0)
    ours = features @ tower.basis
    np.testing.assert_array_equal(ours[:, :200], features[:, :200])
    _, means = as_published(package, patches)
    front_end, *mid_end = np.split(means, [CHANNELS, CHANNELS + MIDDLE, CHANNELS + 2 * MIDDLE], 1)
    front_end = np.delete(front_end, INACTIVE, axis=1)
    theirs = np.concatenate([front_end, *np.cumsum(mid_end, axis=0)], axis=1)
    theirs -= theirs.mean(axis=0)
    np.testing.assert_allclose(ours[:, 200:] - ours[:, 200:].mean(axis=0), theirs, atol=2e-3)


def test_inactive_channels_are_removed(tower: Tower) -> None:
    dilated = [
        layer for layer in tower.network.layers if getattr(layer, "dilation_rate", 1) == (1, 8)
    ]
    assert [layer.filters for layer in dilated] == [FRONT["conv2d"][-1] - 1, FRONT["conv2d_1"][-1]]


def test_front_end_channels_have_similar_ranges(tower: Tower, patches: np.ndarray) -> None:
    joined = next(
        layer for layer in tower.network.layers if isinstance(layer, keras.layers.Concatenate)
    )
    front_end = keras.Model(tower.network.input, joined.output)
    activations = front_end.predict((patches - MEAN) / DEVIATION, verbose=0)
    ranges = np.quantile(activations, 0.999, axis=(0, 1)) * 1.3 / 6
    assert np.all((ranges > 0.9) & (ranges < 1.1))
    assert activations.max() <= 6


def test_missing_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no weights of musicnn"):
        Checkpoint.load(tmp_path)


def test_make_discards_incomplete_download(tmp_path: Path) -> None:
    python = tmp_path / "python"  # replaces venv, pip and unzip
    make = ["make", "-f", REPOSITORY / "Makefile", f"PYTHON={python}", "data/musicnn"]
    script = (
        '#!/bin/sh\ncase "$2" in'
        ' venv) mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;'
        ' zipfile) mkdir -p "$5/musicnn" && exit %d ;;'
        " esac\n"
    )
    for status, is_complete in ((1, False), (0, True)):
        python.write_text(script % status)
        python.chmod(0o755)
        done = subprocess.run(make, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) is is_complete, done.stderr
        assert (tmp_path / "data" / "musicnn" / "musicnn").exists() is is_complete


@pytest.mark.parametrize("genres", [2, 3])
def test_head_equals_logistic_regression(genres: int) -> None:
    features, targets = clusters(genres)
    kernel, bias = fit_regression(features, targets)
    assert kernel.shape == (5, genres)
    assert bias.shape == (genres,)
    reference = make_pipeline(
        StandardScaler(), LogisticRegression(C=1e-3, class_weight="balanced", max_iter=3_000)
    )
    expected = reference.fit(features, targets).predict_proba(features)
    np.testing.assert_allclose(softmax(features @ kernel + bias, axis=1), expected, atol=1e-5)


def test_head_separates_music_from_other_sounds() -> None:
    features, targets = clusters(3, segments=300)
    rng = np.random.default_rng(2)
    music = features[targets == 1][:4] + 6.0  # unlike all songs, and more like those of genre 1
    noise = rng.normal(-9.0, 1.0, (20, 5)).astype(np.float32)
    others = OtherSegments(
        np.concatenate([music, noise]), np.arange(24) < 4, np.ones(24, np.float64)
    )
    kernel, bias = fit_regression(features, targets, others)
    assert kernel.shape == (5, 4)
    predicted = (others.features @ kernel + bias).argmax(axis=1)
    assert (predicted[4:] == 3).all()
    assert (predicted[:4] != 3).all()
    assert ((features @ kernel + bias).argmax(axis=1) == targets).mean() > 0.9


def clusters(genres: int, segments: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Return features of some segments of each genre, and their genres."""
    rng = np.random.default_rng(1)
    targets = np.repeat(np.arange(genres), segments)
    centres = rng.normal(3.0, 2.0, (genres, 5))
    return (centres[targets] + rng.normal(size=(len(targets), 5))).astype(np.float32), targets


def test_classifier_is_trained_exported_and_scanned(
    package: Path, trained_run: Path, tmp_path: Path, run_command: Command
) -> None:
    """The classifier also learns the label ``not-music`` from a second data set."""
    data, run, model = tmp_path / "data", tmp_path / "run", tmp_path / "model.tflite"
    prepare(trained_run / "audio", "--features", "log-mel", "--out", data)
    other = write_other_recordings(tmp_path / "other")
    prepare(other, "--features", "log-mel", "--out", tmp_path / "other-data")
    options = ["--model", "musicnn", "--pretrained", package, "--validation", 0.34]
    succeed(TRAIN, data, *options, "--not-music", tmp_path / "other-data", "--out", run)
    assert json.loads((run / "metrics.json").read_text())["song_accuracy"] >= 0.8
    assert json.loads((run / "run.json").read_text())["labels"][-1] == NOT_MUSIC
    succeed(EXPORT, run, "--quantization", "float32", "--out", model)
    for folder, share in ((trained_run / "audio", 15), (other / NOT_MUSIC, 3)):
        scan = [SCAN, folder, "--min-confidence", 0, "--format", "json"]
        result = run_command(*scan, "--model", model)
        assert result.returncode == 0, result.stderr
        songs = json.loads(result.stdout)
        expected = [Path(folder / song["path"]).parent.name for song in songs]
        assert (
            sum(song["genre"] == name for song, name in zip(songs, expected, strict=True)) >= share
        )


def write_other_recordings(folder: Path) -> Path:
    """Write clicks as recordings that are not music, and chords as music of unknown genre."""
    rng = np.random.default_rng(5)
    for name in (NOT_MUSIC, "music"):
        (folder / name).mkdir(parents=True)
        for number in range(3):
            samples = np.zeros((100_000, 1), np.float32)
            if name == NOT_MUSIC:
                samples[rng.integers(0, len(samples), 12)] = 0.9
            else:
                samples += sum(tone(hz * (1 + number / 9), 100_000 / 22_050) for hz in (90, 300))
            write_audio(folder / name / f"{number}.wav", samples, 22_050)
    return folder


def test_classifier_is_augmented_and_logged(package: Path, tmp_path: Path) -> None:
    data = three_genres(tmp_path / "data", config=LOG_MEL_CONFIG).folder
    options = [data, "--model", "musicnn", "--pretrained", package]
    succeed(TRAIN, *options, "--tensorboard", "--out", tmp_path / "one")
    assert set(logged_scalars(tmp_path / "one" / "logs" / "model")) >= {"loss", "val_accuracy"}
    for name in ("two", "three"):
        succeed(TRAIN, *options, "--set", "augmentation.noise=1", "--out", tmp_path / name)
    one, two, three = (
        keras.models.load_model(tmp_path / name / "model.keras").get_weights()[-1]
        for name in ("one", "two", "three")
    )
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal(two, three)
    error = refuse(TRAIN, *options, "--set", "augmentation.mixup=1", "--out", tmp_path / "four")
    assert "musicnn takes no augmentation.mixup; leave it out." in error
