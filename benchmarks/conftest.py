"""Write music for the benchmarks, in the formats of phones."""

from pathlib import Path

import numpy as np
import pytest

from pocketgenre.demo.synthetic import write_aac, write_audio

RATE = 44_100
SECONDS = 60


@pytest.fixture(scope="session")
def phone_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Write one minute of dense stereo sound as MP3, M4A, Ogg Vorbis and FLAC."""
    samples = dense_sound()
    folder = tmp_path_factory.mktemp("phone")
    files = [folder / f"song.{suffix}" for suffix in ("mp3", "m4a", "ogg", "flac")]
    for path in files:
        (write_aac if path.suffix == ".m4a" else write_audio)(path, samples, RATE)
    return files


def dense_sound() -> np.ndarray:
    """Generate stereo sound that is as complex to encode as music, float32 [shape=(n, 2)]."""
    rng = np.random.default_rng(1)
    t = np.arange(SECONDS * RATE) / RATE
    tones = sum(np.sin(2 * np.pi * hz * t) / n for n, hz in enumerate((110, 331, 777, 2_093), 1))
    # Unlike pure tones, brown noise and bursts are as complex to encode as music.
    noise = np.cumsum(rng.normal(size=(len(t), 2)), axis=0)
    noise -= np.linspace(noise[0], noise[-1], len(t))
    bursts = rng.normal(size=(len(t), 2)) * (0.02 + 0.1 * np.exp(-6 * (t % 0.5)))[:, np.newaxis]
    samples = 0.1 * tones[:, np.newaxis] + 0.2 * noise / np.abs(noise).max() + bursts
    return (0.8 * samples / np.abs(samples).max()).astype(np.float32)
