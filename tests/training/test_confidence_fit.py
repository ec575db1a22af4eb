"""Fit the confidence of songs on held-out predictions."""

import numpy as np
import pytest

from pocketgenre.constants import TARGET_ACCURACY
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.evaluation.confidence_fit import default_threshold, fit_confidence
from tests.training.fabricated import fabricate_dataset

GENRES = ("jazz", "metal", "pop")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Ninety songs of each genre, of one to ten segments."""
    counts = [1 + number % 10 for number in range(90)]
    return fabricate_dataset(tmp_path_factory.mktemp("data") / "d", dict.fromkeys(GENRES, counts))


def predictions(dataset: Dataset, seed: int = 0) -> np.ndarray:
    """Draw probabilities of segments: those of some songs are clear, those of others are not."""
    rng = np.random.default_rng(seed)
    strength = rng.choice([0.3, 3.0], len(dataset.songs))[dataset.segment_songs]
    logits = rng.normal(size=(len(dataset.segment_songs), len(GENRES)))
    logits += strength[:, np.newaxis] * np.eye(len(GENRES))[dataset.segment_targets]
    exponentials = np.exp(logits)
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def test_cross_fitted_confidence_is_calibrated(dataset: Dataset) -> None:
    fit = fit_confidence(dataset, np.arange(len(dataset.segment_songs)), predictions(dataset))
    assert fit is not None
    assert len(fit.confidences) == len(fit.correct) == 270
    assert fit.calibration.ece < 0.08
    assert abs(fit.confidences.mean() - fit.correct.mean()) < 0.03


def test_short_songs_have_less_confidence(dataset: Dataset) -> None:
    fit = fit_confidence(dataset, np.arange(len(dataset.segment_songs)), predictions(dataset))
    short = dataset.segment_counts == 1
    assert fit.confidences[short].max() < 0.99
    assert fit.confidences[short].mean() < fit.confidences[~short].mean()


def test_songs_above_the_threshold_are_mostly_correct(dataset: Dataset) -> None:
    fit = fit_confidence(dataset, np.arange(len(dataset.segment_songs)), predictions(dataset))
    assert fit.covered_accuracy >= TARGET_ACCURACY
    assert 0.3 < fit.coverage < 1
    coverage, risk = fit.risk_coverage()
    assert coverage[-1] == 1
    assert risk[-1] == pytest.approx(1 - fit.correct.mean())


def test_order_of_segments_does_not_matter(dataset: Dataset) -> None:
    segments, table = np.arange(len(dataset.segment_songs)), predictions(dataset)
    by_song = np.argsort(-dataset.segment_songs, kind="stable")
    one = fit_confidence(dataset, segments, table)
    other = fit_confidence(dataset, segments[by_song], table[by_song])
    assert one.model == other.model


def test_few_songs_have_no_confidence(dataset: Dataset) -> None:
    few = np.flatnonzero(dataset.segment_songs < 99)
    assert fit_confidence(dataset, few, predictions(dataset)[few]) is None


@pytest.mark.parametrize(
    ("correct", "threshold"),
    [
        ([1, 1, 1, 1, 1, 1, 1, 1, 1, 0], 0.0),  # nine of ten
        ([1, 1, 1, 0, 0, 0, 0, 0, 0, 0], 0.7),
        ([0] * 10, 1.0),
    ],
)
def test_threshold_is_the_lowest_that_suffices(correct: list[int], threshold: float) -> None:
    confidences = np.arange(9, -1, -1) / 10
    assert default_threshold(confidences, np.array(correct, bool)) == pytest.approx(threshold)
