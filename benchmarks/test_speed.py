"""A scan beside decoding alone, and beside what people write by hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.audio.decoding import stream_mono
from pocketgenre.classifier import Classifier
from pocketgenre.models.pretrained import PRETRAINED

RATE = 22_050
ALONE = "A minute each of MP3, M4A, Ogg Vorbis and FLAC: a scan beside decoding alone"
SCRIPT = "A minute each of MP3, Ogg Vorbis and FLAC: a scan beside a script"


def ours(path: Path) -> None:
    for _ in stream_mono(path, RATE):
        pass


def libsndfile_and_soxr(path: Path) -> None:
    """The whole file at once; PyAV decodes the M4A, which libsndfile doesn't read."""
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
    """PyAV for all of it, resampling too."""
    import av

    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            for converted in resampler.resample(frame):
                converted.to_ndarray()


@pytest.mark.benchmark(group=ALONE, min_rounds=15)
@pytest.mark.parametrize("decode", [ours, libsndfile_and_soxr, pyav], ids=lambda d: d.__name__)
def test_decode_and_resample(
    benchmark, phone_files: list[Path], decode: Callable[[Path], None]
) -> None:
    benchmark(lambda: [decode(path) for path in phone_files])


@pytest.mark.benchmark(group=ALONE, min_rounds=15)
@pytest.mark.parametrize("model", PRETRAINED)
def test_scan(benchmark, phone_files: list[Path], model: str) -> None:
    classifier = Classifier.load(PRETRAINED[model])
    benchmark(lambda: [classifier.label(path) for path in phone_files])


@pytest.mark.benchmark(group=SCRIPT)
def test_librosa_and_keras_by_hand(benchmark, phone_files: list[Path]) -> None:
    """What the published scripts do, each song's segments in one batch, Keras loaded before."""
    import librosa

    from pocketgenre.training.models.networks import build_network

    network = build_network("cnn", (130, 13), 10, np.zeros(13), np.ones(13))

    def label(path: Path) -> int:
        samples, _ = librosa.load(path, sr=RATE)
        segments = samples[: len(samples) // 66_150 * 66_150].reshape(-1, 66_150)
        features = [
            librosa.feature.mfcc(y=segment, sr=RATE, n_mfcc=13, n_fft=2048, hop_length=512).T
            for segment in segments
        ]
        genres = network.predict(np.array(features), verbose=0).argmax(axis=1)
        return int(np.bincount(genres).argmax())

    files = [path for path in phone_files if path.suffix != ".m4a"]  # which librosa can't read
    label(files[0])
    benchmark(lambda: [label(path) for path in files])


@pytest.mark.benchmark(group=SCRIPT)
@pytest.mark.parametrize("model", PRETRAINED)
def test_scan_of_the_same(benchmark, phone_files: list[Path], model: str) -> None:
    classifier = Classifier.load(PRETRAINED[model])
    files = [path for path in phone_files if path.suffix != ".m4a"]
    benchmark(lambda: [classifier.label(path) for path in files])
