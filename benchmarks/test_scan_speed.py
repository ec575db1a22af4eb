"""Compare scans with decoding only, and with a script of librosa and Keras."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pocketgenre import GenreClassifier
from pocketgenre.audio.decoding import stream_mono
from pocketgenre.models.pretrained import PRETRAINED

RATE = 22_050
DECODING = "Scan and decoding only: a minute each of MP3, M4A, Ogg Vorbis and FLAC"
SCRIPT = "Scan and a script: a minute each of MP3, Ogg Vorbis and FLAC"


def pocketgenre(path: Path) -> None:
    """Decode and resample as a scan does."""
    for _ in stream_mono(path, RATE):
        pass


def libsndfile_and_soxr(path: Path) -> None:
    """Decode whole files; PyAV decodes M4A, which libsndfile can't read."""
    import av
    import soundfile
    import soxr

    if path.suffix == ".m4a":
        with av.open(str(path)) as container:
            rate = container.streams.audio[0].rate
            blocks = [frame.to_ndarray() for frame in container.decode(audio=0)]
        samples = np.concatenate(blocks, axis=1).T
    else:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    soxr.resample(samples.mean(axis=1), rate, RATE)


def pyav(path: Path) -> None:
    """Decode and resample with PyAV only."""
    import av

    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            for converted in resampler.resample(frame):
                converted.to_ndarray()


@pytest.mark.benchmark(group=DECODING, min_rounds=15)
@pytest.mark.parametrize(
    "decode", [pocketgenre, libsndfile_and_soxr, pyav], ids=lambda d: d.__name__
)
def test_decode_and_resample(
    benchmark, phone_files: list[Path], decode: Callable[[Path], None]
) -> None:
    benchmark(lambda: [decode(path) for path in phone_files])


@pytest.mark.benchmark(group=DECODING, min_rounds=15)
@pytest.mark.parametrize("model", PRETRAINED)
def test_scan(benchmark, phone_files: list[Path], model: str) -> None:
    classifier = GenreClassifier(model)
    benchmark(lambda: [classifier.classify(path) for path in phone_files])


@pytest.mark.benchmark(group=SCRIPT)
def test_librosa_and_keras(benchmark, phone_files: list[Path]) -> None:
    """Classify as published scripts do; each song's segments in one batch, Keras already loaded."""
    import librosa

    from pocketgenre.training.models.networks import build_network

    network = build_network("cnn", (130, 13), 10, np.zeros(13), np.ones(13))

    def classify(path: Path) -> int:
        samples, _ = librosa.load(path, sr=RATE)
        segments = samples[: len(samples) // 66_150 * 66_150].reshape(-1, 66_150)
        features = [
            librosa.feature.mfcc(y=segment, sr=RATE, n_mfcc=13, n_fft=2048, hop_length=512).T
            for segment in segments
        ]
        genres = network.predict(np.array(features), verbose=0).argmax(axis=1)
        return int(np.bincount(genres).argmax())

    files = [path for path in phone_files if path.suffix != ".m4a"]  # librosa can't read M4A
    classify(files[0])
    benchmark(lambda: [classify(path) for path in files])


@pytest.mark.benchmark(group=SCRIPT)
@pytest.mark.parametrize("model", PRETRAINED)
def test_scan_without_m4a(benchmark, phone_files: list[Path], model: str) -> None:
    classifier = GenreClassifier(model)
    files = [path for path in phone_files if path.suffix != ".m4a"]
    benchmark(lambda: [classifier.classify(path) for path in files])
