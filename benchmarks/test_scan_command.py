"""Compare the whole command with decoding alone, on two hours of files like those on phones."""

import shutil
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.conftest import RATE, dense_sound
from pocketgenre.models.pretrained import PRETRAINED
from tests.conftest import REPOSITORY

BIT_RATE = 192_000
MINUTES, SONGS = 4, 30
GROUP = "The command, and decoding alone: 2 hours of MP3 and AAC, 192 kbit/s, 44.1 kHz stereo"

DECODE = """
import sys
from pathlib import Path
from pocketgenre.audio.decoding import stream_mono
for path in Path(sys.argv[1]).iterdir():
    for _ in stream_mono(path, 22_050):
        pass
"""


def encode(path: Path, samples: np.ndarray, codec: str) -> None:
    """Encode samples, float32 [shape=(n, 2)], at a constant bit rate."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, layout="stereo")
        stream.bit_rate = BIT_RATE
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), "fltp", "stereo")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write 30 songs of four minutes, half as MP3 and half as AAC."""
    folder = tmp_path_factory.mktemp("library")
    samples = np.tile(dense_sound(), (MINUTES, 1))
    for suffix, codec in ((".mp3", "mp3"), (".m4a", "aac")):
        encode(folder / f"0{suffix}", samples, codec)
        for number in range(1, SONGS // 2):
            shutil.copy(folder / f"0{suffix}", folder / f"{number}{suffix}")
    return folder


def run(*command: object) -> None:
    subprocess.run(list(map(str, command)), check=True, capture_output=True, cwd=REPOSITORY)


@pytest.mark.benchmark(group=GROUP)
def test_decode_and_resample(benchmark, library: Path) -> None:
    benchmark.pedantic(run, [sys.executable, "-c", DECODE, library], rounds=3)


@pytest.mark.benchmark(group=GROUP)
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("model", PRETRAINED)
def test_scan(benchmark, library: Path, model: str, workers: int) -> None:
    command = [sys.executable, "-m", "pocketgenre.cli.scan_library", library]
    options = ["--catalog", ":memory:", "--model", model, "--workers", workers]
    benchmark.pedantic(run, [*command, *options], rounds=3)
