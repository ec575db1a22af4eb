"""Fit a last layer to a few songs."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from pocketgenre.constants import INVERSE_REGULARIZATION, NOT_MUSIC
from pocketgenre.learning.regression import Layer, fit_layer, starting_layer

RNG = np.random.default_rng(0)
WIDTH = 30
LABELS = ("jazz", "metal", NOT_MUSIC)
OLD = Layer(
    LABELS,
    RNG.normal(size=(WIDTH, 3)).astype(np.float32),
    RNG.normal(size=3).astype(np.float32),
)


def draw_songs(labels: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw features around a centre for each label."""
    centres = np.random.default_rng(1).normal(scale=2, size=(labels, WIDTH))
    targets = np.arange(labels * count) % labels
    return (centres[targets] + RNG.normal(size=(len(targets), WIDTH))).astype(np.float32), targets


@pytest.mark.parametrize("labels", [3, 12])
def test_fit_without_prior_is_scikit_learns(labels: int) -> None:
    features, targets = draw_songs(labels, 7)
    zero = np.zeros((WIDTH, labels), np.float32)
    start = Layer(tuple(map(str, range(labels))), zero, np.zeros(labels, np.float32))
    layer = fit_layer(features, targets, start, np.ones(len(targets)), has_prior=False)
    mean, deviation = features.mean(axis=0), features.std(axis=0) + 0.05
    regression = LogisticRegression(C=INVERSE_REGULARIZATION, max_iter=5_000, tol=1e-8)
    regression.fit((features - mean) / deviation, targets)
    expected = regression.predict_proba((features - mean) / deviation)
    np.testing.assert_allclose(softmax(layer.logits(features), axis=1), expected, atol=1e-3)


def test_prior_keeps_the_old_layer() -> None:
    features, targets = draw_songs(2, 4)
    kept = fit_layer(features, targets, OLD, np.full(len(targets), 1e-9))
    np.testing.assert_allclose(kept.kernel, OLD.kernel, atol=1e-5)
    np.testing.assert_allclose(kept.bias, OLD.bias, atol=1e-4)


def test_songs_move_the_layer() -> None:
    features, targets = draw_songs(2, 4)
    layer = fit_layer(features, targets, OLD, np.full(len(targets), 1e3))
    assert (layer.logits(features).argmax(axis=1) == targets).all()


def test_new_label_begins_as_similar_labels() -> None:
    features = (5 * OLD.kernel[:, 0] + RNG.normal(size=(4, WIDTH))).astype(np.float32)
    labels = (*LABELS, "swing")
    start = starting_layer(OLD, labels, features, np.full(4, 3), NOT_MUSIC)
    np.testing.assert_array_equal(start.kernel[:, :3], OLD.kernel)
    np.testing.assert_allclose(start.kernel[:, 3], OLD.kernel[:, 0], atol=1e-2)


def test_not_music_is_no_part_of_new_labels() -> None:
    features = (5 * OLD.kernel[:, 2] + RNG.normal(size=(4, WIDTH))).astype(np.float32)
    start = starting_layer(OLD, ("swing", NOT_MUSIC), features, np.zeros(4, int), NOT_MUSIC)
    genres = OLD.kernel[:, :2]
    residual = np.linalg.lstsq(genres, start.kernel[:, 0], rcond=None)[1]
    assert residual == pytest.approx(0, abs=1e-3)
    np.testing.assert_array_equal(start.kernel[:, 1], OLD.kernel[:, 2])
