"""Write songs in every format that phones play."""

from pathlib import Path

import av
import numpy as np

from pocketgenre.demo.synthetic import write_audio, write_synthetic_library
from tests.conftest import tone


def write_mixed_library(folder: Path, seconds: float = 7.0) -> list[Path]:
    """Write fifteen songs in fifteen formats, each with different audio."""
    write_synthetic_library(folder, seconds)
    rng = np.random.default_rng(1)
    t = np.arange(round(seconds * 44_100)) / 44_100

    def samples(number: int) -> np.ndarray:
        hiss = 0.05 * number * rng.normal(size=len(t)) * np.exp(-(5 + number) * (t % 0.5))
        notes = 0.3 * np.sin(2 * np.pi * (110 + 70 * number) * t)
        return np.stack([notes + hiss, hiss], axis=1).astype(np.float32)

    write_audio(folder / "opus.opus", samples(1), 48_000, "OGG", "OPUS")
    write_audio(folder / "aiff.aiff", samples(2), 44_100)
    write_audio(folder / "24 bit.wav", samples(3), 44_100, "WAV", "PCM_24")
    write_audio(folder / "mono.flac", samples(4)[:, :1], 44_100)
    write_audio(folder / "short.wav", tone(440.0, 2.0), 22_050)
    for number, (name, codec, container) in enumerate(
        (
            ("raw.aac", "aac", "adts"),
            ("lossless.m4a", "alac", "mp4"),
            ("windows.wma", "wmav2", "asf"),
            ("matroska.mka", "ac3", "matroska"),
            ("web.webm", "libopus", "webm"),
        ),
        5,
    ):
        _encode(folder / name, samples(number), codec, container)
    return sorted(folder.iterdir())


def _encode(path: Path, samples: np.ndarray, codec: str, container: str) -> None:
    rate = 48_000 if codec == "libopus" else 44_100
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate, layout="stereo")
        stream.bit_rate = 128_000
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), "fltp", "stereo")
        frame.sample_rate = rate
        file.mux(stream.encode(frame))  # converted to the codec's sample format and frame size
        file.mux(stream.encode(None))
