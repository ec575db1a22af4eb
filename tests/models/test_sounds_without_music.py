"""The pretrained models give no genre to noises, tones and clicks, of seeds they were not trained on."""

import numpy as np
import pytest

from pocketgenre import GenreClassifier
from pocketgenre.errors import AudioError
from pocketgenre.training.not_music.noises import NOISES, QUIET

MODELS = ("best",)
RATE, SECONDS = 44_100, 15
QUIETEST_DECIBELS = 40


@pytest.fixture(scope="module", params=MODELS)
def classifier(request: pytest.FixtureRequest) -> GenreClassifier:
    return GenreClassifier(request.param)


@pytest.mark.parametrize("name", NOISES)
def test_sound_gets_no_genre(classifier: GenreClassifier, name: str) -> None:
    for seed in range(3):
        rng = np.random.default_rng((2026, seed))
        samples = NOISES[name](rng, SECONDS * RATE, RATE)
        if name not in QUIET:
            samples *= 10 ** (-rng.uniform(0, QUIETEST_DECIBELS) / 20)
        try:
            prediction = classifier.classify((samples.astype(np.float32), RATE))
        except AudioError as error:
            assert name in QUIET, error
            assert "silent" in str(error)
            continue
        assert not prediction.has_genre, (seed, prediction)
