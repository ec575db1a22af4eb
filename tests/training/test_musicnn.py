"""The classifier on musicnn: its pruned towers say what musicnn's graph says."""

import json
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from pocketgenre.training.data.songs import DataError
from pocketgenre.training.models.musicnn.checkpoint import TOWERS, Checkpoint
from pocketgenre.training.models.musicnn.linear_head import fit_head
from pocketgenre.training.models.musicnn.tower import build_tower
from tests.conftest import REPOSITORY, Command
from tests.training.fabricated import fabricate_dataset

pytestmark = pytest.mark.slow

FRONT = {"conv2d": (7, 38, 1, 8), "conv2d_1": (7, 67, 1, 8), "conv2d_2": (128, 1, 1, 4),
         "conv2d_3": (64, 1, 1, 4), "conv2d_4": (32, 1, 1, 4)}  # fmt: skip
CHANNELS, MIDDLE = 28, 16
DEAD = 3
"""Channel of the first convolution that never says anything."""


def fabricate(package: Path, seed: int = 1) -> Path:
    """A package with checkpoints of musicnn's shape, but narrower and with random weights."""
    for number, name in enumerate(TOWERS):
        rng = np.random.default_rng(seed + number)
        arrays = {f"{layer}/kernel": _fan_in(rng, shape) for layer, shape in FRONT.items()}
        arrays["conv2d/kernel"][..., DEAD] = 0.0
        for layer, inputs in (("conv2d_5", CHANNELS), ("conv2d_6", MIDDLE), ("conv2d_7", MIDDLE)):
            arrays[f"{layer}/kernel"] = _fan_in(rng, (7, inputs, 1, MIDDLE))
        pooled = CHANNELS + 3 * MIDDLE
        arrays["dense/kernel"] = _fan_in(rng, (2 * pooled, 200))
        for layer in [key.removesuffix("/kernel") for key in list(arrays)]:
            outputs = arrays[f"{layer}/kernel"].shape[-1]
            arrays[f"{layer}/bias"] = rng.uniform(0.3, 0.6, outputs)  # or ReLU kills some more
        arrays["conv2d/bias"][DEAD] = -1.0
        widths = [1, *(shape[-1] for shape in FRONT.values()), *[MIDDLE] * 3, 2 * pooled]
        for norm, width in enumerate(widths):
            layer = "batch_normalization" + (f"_{norm}" if norm else "")
            arrays[f"{layer}/gamma"] = rng.uniform(0.5, 1.5, width)
            arrays[f"{layer}/beta"] = rng.normal(scale=0.1, size=width)
            arrays[f"{layer}/moving_mean"] = rng.normal(scale=0.1, size=width)
            arrays[f"{layer}/moving_variance"] = rng.uniform(0.5, 1.5, width)
        arrays["batch_normalization_1/beta"][DEAD] = 0.0
        arrays["batch_normalization_1/moving_mean"][DEAD] = 0.0
        _save(package / "musicnn" / name, arrays)
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


def as_published(package: Path, name: str, log_mel: np.ndarray) -> np.ndarray:
    """musicnn's graph written down as its paper draws it, up to the 200 features."""
    get = tf.compat.v1.train.NewCheckpointReader(f"{package / 'musicnn' / name}/").get_tensor

    def norm(x: tf.Tensor, number: int) -> tf.Tensor:
        layer = "batch_normalization" + (f"_{number}" if number else "")
        parts = (get(f"{layer}/{p}") for p in ("moving_mean", "moving_variance", "beta", "gamma"))
        return tf.nn.batch_normalization(x, *parts, 1e-3)

    def conv(x: tf.Tensor, layer: str, padding: str) -> tf.Tensor:
        z = tf.nn.conv2d(x, get(f"{layer}/kernel"), 1, padding) + get(f"{layer}/bias")
        return tf.nn.relu(z)

    image = norm(log_mel[..., np.newaxis], 0)
    parts = []
    for number, layer in enumerate(FRONT):
        timbral = number < 2
        given = tf.pad(image, [[0, 0], [3, 3], [0, 0], [0, 0]]) if timbral else image
        z = norm(conv(given, layer, "VALID" if timbral else "SAME"), number + 1)
        parts.append(tf.reduce_max(z, axis=2))
    y = tf.concat(parts, axis=2)
    stack = [y]
    for number in (5, 6, 7):
        image = tf.pad(y[..., np.newaxis], [[0, 0], [3, 3], [0, 0], [0, 0]])
        z = norm(conv(image, f"conv2d_{number}", "VALID")[:, :, 0], number + 1)
        y = z if number == 5 else z + y
        stack.append(y)
    y = tf.concat(stack, axis=2)
    pooled = tf.stack([tf.reduce_max(y, axis=1), tf.reduce_mean(y, axis=1)], axis=2)
    flat = norm(tf.reshape(pooled, (len(log_mel), -1)), 9)
    return tf.nn.relu(flat @ get("dense/kernel") + get("dense/bias")).numpy()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fabricate(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def patches() -> np.ndarray:
    """Something like log-mel, float32 [shape=(24, 188, 96)]."""
    rng = np.random.default_rng(5)
    level = rng.uniform(0, 4, (24, 1, 96)) + rng.uniform(0, 1, (24, 188, 1))
    return (level + rng.uniform(0, 0.5, (24, 188, 96))).astype(np.float32)


@pytest.mark.parametrize("name", TOWERS)
def test_a_tower_gives_musicnns_features(package: Path, patches: np.ndarray, name: str) -> None:
    mean, deviation = 2.0, 1.5
    tower = build_tower(Checkpoint.load(package, name), patches, mean, deviation, name)
    ours = tower.predict((patches - mean) / deviation, verbose=0)
    theirs = as_published(package, name, patches)
    assert ours.shape == theirs.shape == (24, 200)
    # Each feature comes in units of its own, its range on the patches.
    units = np.linalg.norm(theirs, axis=0) / np.maximum(np.linalg.norm(ours, axis=0), 1e-9)
    np.testing.assert_allclose(ours * units, theirs, atol=1e-3)
    assert ours.max() < 1.1


def test_dead_channels_are_left_out(package: Path, patches: np.ndarray) -> None:
    tower = build_tower(Checkpoint.load(package, TOWERS[0]), patches, 2.0, 1.5, "tower")
    dilated = [layer for layer in tower.layers if getattr(layer, "dilation_rate", 1) == (1, 8)]
    assert [layer.filters for layer in dilated] == [FRONT["conv2d"][-1] - 1, FRONT["conv2d_1"][-1]]


def test_every_channel_of_the_front_end_comes_in_a_like_range(
    package: Path, patches: np.ndarray
) -> None:
    tower = build_tower(Checkpoint.load(package, TOWERS[0]), patches, 2.0, 1.5, "tower")
    joined = next(layer for layer in tower.layers if isinstance(layer, keras.layers.Concatenate))
    said = keras.Model(tower.input, joined.output).predict((patches - 2.0) / 1.5, verbose=0)
    ranges = np.quantile(said, 0.999, axis=(0, 1))  # loudest but for one value in a thousand
    assert np.all((ranges > 0.9) & (ranges < 1.1))


def test_a_package_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no weights of musicnn"):
        Checkpoint.load(tmp_path, TOWERS[0])


def test_weights_that_were_unpacked_by_half_are_not_there_for_make(tmp_path: Path) -> None:
    python = tmp_path / ".venv" / "dev" / "bin" / "python"  # downloads and unpacks
    python.parent.mkdir(parents=True)
    make = ["make", "-f", REPOSITORY / "Makefile", "-o", ".venv/dev/ready", "data/musicnn"]
    unpack = '#!/bin/sh\n[ "$2" != zipfile ] || { mkdir -p "$5/musicnn" && exit %d; }\n'
    for status, is_there in ((1, False), (0, True)):
        python.write_text(unpack % status)
        python.chmod(0o755)
        done = subprocess.run(make, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) is is_there, done.stderr
        assert (tmp_path / "data" / "musicnn" / "musicnn").exists() is is_there


@pytest.mark.parametrize("genres", [("jazz", "rock"), ("jazz", "polka", "rock")])
def test_the_head_says_what_the_logistic_regression_says_of_two_genres_or_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, genres: tuple[str, ...]
) -> None:
    data = fabricate_dataset(tmp_path / "data", {genre: [1] * 8 for genre in genres})
    rng = np.random.default_rng(1)
    own = rng.normal(3.0, 2.0, (len(genres), 5))  # what songs of a genre have in common
    features = (own[data.segment_targets] + rng.normal(size=(8 * len(genres), 5))).astype("f4")
    said = []

    class Overheard(LogisticRegression):
        def fit(self, x: np.ndarray, *rest: np.ndarray) -> "Overheard":
            super().fit(x, *rest)
            said.append(self.predict_proba(x))
            return self

    monkeypatch.setattr(
        "pocketgenre.training.models.musicnn.linear_head.LogisticRegression", Overheard
    )
    kernel, bias = fit_head(features, data, np.arange(len(features)))
    assert kernel.shape == (5, len(genres))
    assert bias.shape == (len(genres),)
    np.testing.assert_allclose(softmax(features @ kernel + bias, axis=1), said[0], atol=1e-5)


def test_it_is_trained_judged_and_exported_like_any_network(
    package: Path, trained_run: Path, tmp_path: Path, run_command: Command
) -> None:
    data, run, model = tmp_path / "data", tmp_path / "run", tmp_path / "model.tflite"

    def succeed(module: str, *arguments: object) -> str:
        result = run_command(module, *arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    prepare = [
        "pocketgenre.training.cli.prepare_dataset",
        trained_run / "audio",
        "--features",
        "log-mel",
    ]
    succeed(*prepare, "--out", data)
    train = [
        "pocketgenre.training.cli.train_model",
        data,
        "--model",
        "musicnn",
        "--pretrained",
        package,
    ]
    succeed(*train, "--folds", 2, "--out", run)
    assert json.loads((run / "metrics.json").read_text())["song_accuracy"] >= 0.8
    succeed("pocketgenre.export.cli", run, "--quantization", "float32", "--out", model)
    scan = ["pocketgenre.cli.scan_library", trained_run / "audio", "--format", "json"]
    songs = json.loads(succeed(*scan, "--model", model))
    assert sum(song["genre"] == song["path"].split("/")[0] for song in songs) >= 15
