"""Compare the MFCC of one segment with other libraries, and with the cost of the network."""

import numpy as np
import pytest

from pocketgenre.features import compute_features
from pocketgenre.features.mfcc import mfcc
from pocketgenre.models.pretrained import PRETRAINED
from pocketgenre.models.tflite_model import TFLiteModel

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
def test_pocketgenre(benchmark, segment: np.ndarray) -> None:
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

    def compute() -> list[np.ndarray]:
        frames = essentia.FrameGenerator(segment, frameSize=N_FFT, hopSize=HOP)
        return [coefficients(spectrum(window(frame)))[1] for frame in frames]

    benchmark(compute)


@pytest.mark.benchmark(group=GROUP)
def test_python_speech_features(benchmark, segment: np.ndarray) -> None:
    library = pytest.importorskip("python_speech_features")
    benchmark(
        library.mfcc, segment, samplerate=RATE, winlen=N_FFT / RATE, winstep=HOP / RATE,
        numcep=COEFFICIENTS, nfilt=BANDS, nfft=N_FFT, winfunc=np.hanning,
    )  # fmt: skip


@pytest.mark.benchmark(group="Features and network of one segment")
@pytest.mark.parametrize("model", PRETRAINED)
@pytest.mark.parametrize("step", ["features", "network"])
def test_step(benchmark, segment: np.ndarray, model: str, step: str) -> None:
    tflite_model = TFLiteModel.load(PRETRAINED[model])
    config = tflite_model.card.feature_config
    samples = segment[: config.segment_samples]
    if step == "features":
        benchmark(compute_features, samples, config)
    else:
        benchmark(tflite_model.predict, compute_features(samples, config)[np.newaxis])
