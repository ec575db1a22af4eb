"""MFCC of one segment, beside the libraries that compute them."""

import numpy as np
import pytest

from pocketgenre.classifier import Classifier
from pocketgenre.features import compute_features
from pocketgenre.features.mfcc import mfcc
from pocketgenre.models.pretrained import PRETRAINED

GROUP = "MFCC of one 3 s segment"
RATE, N_FFT, HOP, BANDS, COEFFICIENTS = 22_050, 2048, 512, 128, 13


@pytest.fixture(scope="module")
def segment() -> np.ndarray:
    return np.random.default_rng(0).normal(scale=0.1, size=3 * RATE).astype(np.float32)


@pytest.mark.benchmark(group=GROUP)
def test_librosa(benchmark, segment: np.ndarray) -> None:
    import librosa

    benchmark(
        librosa.feature.mfcc, y=segment, sr=RATE, n_mfcc=COEFFICIENTS, n_fft=N_FFT, hop_length=HOP
    )


@pytest.mark.benchmark(group=GROUP)
def test_ours(benchmark, segment: np.ndarray) -> None:
    benchmark(mfcc, segment)


@pytest.mark.benchmark(group=GROUP)
def test_essentia(benchmark, segment: np.ndarray) -> None:
    essentia = pytest.importorskip("essentia.standard")
    window = essentia.Windowing(type="hann", size=N_FFT)
    spectrum = essentia.Spectrum(size=N_FFT)
    coefficients = essentia.MFCC(
        inputSize=N_FFT // 2 + 1,
        sampleRate=RATE,
        highFrequencyBound=RATE / 2,
        numberBands=BANDS,
        numberCoefficients=COEFFICIENTS,
    )

    def whole_segment() -> list[np.ndarray]:
        frames = essentia.FrameGenerator(segment, frameSize=N_FFT, hopSize=HOP)
        return [coefficients(spectrum(window(frame)))[1] for frame in frames]

    benchmark(whole_segment)


@pytest.mark.benchmark(group=GROUP)
def test_python_speech_features(benchmark, segment: np.ndarray) -> None:
    library = pytest.importorskip("python_speech_features")
    benchmark(
        library.mfcc, segment, samplerate=RATE, winlen=N_FFT / RATE, winstep=HOP / RATE,
        numcep=COEFFICIENTS, nfilt=BANDS, nfft=N_FFT, winfunc=np.hanning,
    )  # fmt: skip


@pytest.mark.benchmark(group="What a segment costs")
@pytest.mark.parametrize("model", PRETRAINED)
@pytest.mark.parametrize("part", ["features", "network"])
def test_part(benchmark, segment: np.ndarray, model: str, part: str) -> None:
    classifier = Classifier.load(PRETRAINED[model])
    feature_config = classifier.card.feature_config
    samples = segment[: feature_config.segment_samples]
    if part == "features":
        benchmark(compute_features, samples, feature_config)
    else:
        benchmark(classifier.predict, compute_features(samples, feature_config)[np.newaxis])
