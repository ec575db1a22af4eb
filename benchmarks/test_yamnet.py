"""Compare the pretrained models with YAMNet: size, time for a minute of music, accuracy.

All models get samples at their own rate; decoding and resampling are not included. The accuracy of
the pretrained models is that of the cross-validation in the model card, with artists kept together.
YAMNet was not fitted to these songs.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks import yamnet
from pocketgenre.models.pretrained import PRETRAINED, PRETRAINED_WAVEFORM
from pocketgenre.models.tflite_model import TFLiteModel
from tests.conftest import GTZAN

GROUP = "Models: a minute of music"
SECONDS = 60


@pytest.fixture(scope="module")
def minute() -> np.ndarray:
    return np.random.default_rng(0).normal(scale=0.1, size=SECONDS * 22_050).astype(np.float32)


def run(benchmark: Callable, predict: Callable, model: Path, accuracy: float | None) -> None:
    benchmark.extra_info |= {"bytes": model.stat().st_size, "accuracy": accuracy}
    benchmark(predict)


@pytest.mark.benchmark(group=GROUP)
def test_yamnet(benchmark, minute: np.ndarray) -> None:
    if not yamnet.MODEL.exists():
        pytest.skip("YAMNet is missing in ../shared/models")
    accuracy = yamnet.song_accuracy(GTZAN) if GTZAN.exists() else None
    network, samples = yamnet.YAMNet(), yamnet.to_16k(minute, 22_050)
    run(benchmark, lambda: network.scores(samples), yamnet.MODEL, accuracy)


@pytest.mark.benchmark(group=GROUP)
@pytest.mark.parametrize(
    "model", [*PRETRAINED.values(), *PRETRAINED_WAVEFORM.values()], ids=lambda m: m.name
)
def test_pocketgenre(benchmark, minute: np.ndarray, model: Path) -> None:
    tflite_model = TFLiteModel.load(model)
    # White noise is the same at any sample rate, so it is not resampled.
    config = tflite_model.card.feature_config
    count = round(SECONDS / config.segment_seconds)
    segments = np.resize(minute, (count, config.segment_samples))
    accuracy = tflite_model.card.accuracy["song_accuracy_tflite"]

    def predict() -> None:
        for segment in segments:
            tflite_model.predict_segment(segment)

    run(benchmark, predict, model, accuracy)
