"""Each group is one comparison; the first of a group is what the others are held against."""

from pathlib import Path

import librosa
import numpy as np
import pytest

from mobile_demo.classifier import Classifier
from mobile_demo.decoding import stream_mono
from mobile_demo.mfcc import mfcc
from mobile_demo.shipped import SHIPPED


@pytest.fixture(scope="module")
def segment() -> np.ndarray:
    return np.random.default_rng(0).normal(scale=0.1, size=66_150).astype(np.float32)


@pytest.mark.benchmark(group="MFCC of one 3 s segment")
def test_librosa_feature_mfcc(benchmark, segment: np.ndarray) -> None:
    benchmark(librosa.feature.mfcc, y=segment, sr=22_050, n_mfcc=13, n_fft=2048, hop_length=512)


@pytest.mark.benchmark(group="MFCC of one 3 s segment")
def test_mobile_demo_mfcc(benchmark, segment: np.ndarray) -> None:
    benchmark(mfcc, segment)


@pytest.mark.benchmark(group="MFCC of one 3 s segment")
def test_the_network_alone(benchmark, segment: np.ndarray) -> None:
    classifier, features = Classifier.load(SHIPPED["standard"]), mfcc(segment)[np.newaxis]
    benchmark(classifier.predict, features)


def decode(files: list[Path]) -> int:
    return sum(len(block) for path in files for block in stream_mono(path, 22_050))


@pytest.mark.benchmark(group="A minute each of MP3, M4A, Ogg Vorbis and FLAC", min_rounds=15)
def test_decode_and_resample_alone(benchmark, phone_files: list[Path]) -> None:
    benchmark(decode, phone_files)


@pytest.mark.benchmark(group="A minute each of MP3, M4A, Ogg Vorbis and FLAC", min_rounds=15)
@pytest.mark.parametrize("model", SHIPPED)
def test_scan(benchmark, phone_files: list[Path], model: str) -> None:
    classifier = Classifier.load(SHIPPED[model])
    benchmark(lambda: [classifier.label(path) for path in phone_files])
