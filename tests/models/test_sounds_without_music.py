"""Give no genre to noises, tones and clicks that the pretrained models were not trained on."""

import numpy as np
import pytest

from pocketgenre import GenreClassifier
from pocketgenre.errors import AudioError
from pocketgenre.training.not_music.noises import NOISES, QUIET

MODELS = ("best",)
RATE, SECONDS = 44_100, 6
LOWEST_DECIBELS = 40


@pytest.fixture(scope="module", params=MODELS)
def classifier(request: pytest.FixtureRequest) -> GenreClassifier:
    return GenreClassifier(request.param)


def noise(name: str, seed: int) -> np.ndarray:
    """Generate a noise at a random level, with another seed than those for training."""
    rng = np.random.default_rng((2026, seed))
    samples = NOISES[name](rng, SECONDS * RATE, RATE)
    level = 0.0 if name in QUIET else rng.uniform(0, LOWEST_DECIBELS)
    return (samples * 10 ** (-level / 20)).astype(np.float32)


def genre_of(classifier: GenreClassifier, samples: np.ndarray) -> str | None:
    """Predict a genre; None for silence, ``not-music`` and ``uncertain``."""
    try:
        prediction = classifier.classify((samples, RATE))
    except AudioError:
        return None
    return prediction.genre if prediction.has_genre else None


@pytest.mark.parametrize("name", NOISES)
def test_noise_gets_no_genre(classifier: GenreClassifier, name: str) -> None:
    assert [genre_of(classifier, noise(name, seed)) for seed in range(3)] == [None] * 3


def test_dither_is_silence(classifier: GenreClassifier) -> None:
    with pytest.raises(AudioError, match="only silence"):
        classifier.classify((noise("dither", 0), RATE))
