"""Our files against YAMNet: size, time for a minute of music, songs right.

Both are given samples at their own rate; what decodes and resamples them is not counted. The
accuracy of ours is that of the cross-validation on its card, where no song was judged by a
network that had heard its artist; YAMNet was not fitted to these songs at all.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks import yamnet
from pocketgenre.classifier import Classifier
from pocketgenre.models.pretrained import PRETRAINED, PRETRAINED_WAVEFORM
from tests.conftest import GTZAN

GROUP = "Models: a minute of music"
SECONDS = 60


@pytest.fixture(scope="module")
def minute() -> np.ndarray:
    return np.random.default_rng(0).normal(scale=0.1, size=SECONDS * 22_050).astype(np.float32)


def run(benchmark: Callable, work: Callable, model: Path, accuracy: float | None) -> None:
    benchmark.extra_info |= {"bytes": model.stat().st_size, "accuracy": accuracy}
    benchmark(work)


@pytest.mark.benchmark(group=GROUP)
def test_yamnet(benchmark, minute: np.ndarray) -> None:
    if not yamnet.MODEL.exists():
        pytest.skip("YAMNet (../shared/models) is not here")
    accuracy = yamnet.song_accuracy(GTZAN) if GTZAN.exists() else None
    network, samples = yamnet.Yamnet(), yamnet.to_16k(minute, 22_050)
    run(benchmark, lambda: network.scores(samples), yamnet.MODEL, accuracy)


@pytest.mark.benchmark(group=GROUP)
@pytest.mark.parametrize(
    "model", [*PRETRAINED.values(), *PRETRAINED_WAVEFORM.values()], ids=lambda m: m.name
)
def test_ours(benchmark, minute: np.ndarray, model: Path) -> None:
    classifier = Classifier.load(model)
    feature_config = classifier.card.feature_config  # noise is noise at any rate
    count = round(SECONDS / feature_config.segment_seconds)
    segments = np.resize(minute, (count, feature_config.segment_samples))
    accuracy = classifier.card.accuracy["song_accuracy_tflite"]

    def work() -> None:
        classifier.predict(np.stack([classifier.prepare(segment) for segment in segments]))

    run(benchmark, work, model, accuracy)
