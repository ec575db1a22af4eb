"""Give no genre to noises, tones and clicks that the pretrained models were not trained on."""

import numpy as np
import pytest

from pocketgenre import GenreClassifier
from pocketgenre.errors import AudioError
from pocketgenre.training.not_music.noises import NOISES, QUIET

MODELS = ("best",)
RATE, SECONDS = 44_100, 15
SILENT = ("dc-offset", "dither")
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


@pytest.mark.parametrize("name", [name for name in NOISES if name not in SILENT])
def test_noise_gets_no_genre(classifier: GenreClassifier, name: str) -> None:
    for seed in range(3):
        prediction = classifier.classify((noise(name, seed), RATE))
        assert not prediction.has_genre, (seed, prediction)


@pytest.mark.parametrize("name", SILENT)
def test_dither_is_silence(classifier: GenreClassifier, name: str) -> None:
    with pytest.raises(AudioError, match="only silence"):
        classifier.classify((noise(name, 0), RATE))
