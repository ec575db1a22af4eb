"""Real servers in processes of their own, and songs in every format to send them."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import httpx
import numpy as np
import psutil

from pocketgenre.demo.synthetic import write_audio, write_synthetic_library
from pocketgenre.text import printable
from tests.conftest import REPOSITORY, tone

_ADDRESS = re.compile(r"Serving \S+ at (http://\S+) with")


@dataclass
class Serving:
    """A server that runs.

    Attributes
    ----------
    log : file with what it says
    """

    process: subprocess.Popen
    url: str
    log: Path

    def client(self, **options) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=120, trust_env=False, **options)

    def post(self, path: str, *files: Path, part: str = "file", **options) -> httpx.Response:
        parts = [(part, (printable(file.name), file.read_bytes())) for file in files]
        with self.client() as client:
            return client.post(path, files=parts, **options)

    def get(self, path: str, **options) -> httpx.Response:
        with self.client() as client:
            return client.get(path, **options)

    def get_as_written(self, path: str) -> bytes:
        """The answer, head included, to a path that a client's library would set right."""
        host, port = self.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=120) as connection:
            connection.sendall(
                f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
            )
            return b"".join(iter(lambda: connection.recv(65_536), b""))

    def metric(self, sample: str) -> float:
        """What is counted under that name; 0 for what never happened."""
        found = re.search(rf"^{re.escape(sample)} (\S+)$", self.get("/metrics").text, re.M)
        return float(found[1]) if found else 0.0

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def open_files(self) -> list[str]:
        """What its descriptors stand for, sockets left out."""
        folder = Path(f"/proc/{self.process.pid}/fd")
        targets = []
        for descriptor in folder.iterdir():
            try:
                targets.append(str(descriptor.readlink()))
            except OSError:  # closed meanwhile
                continue
        return [target for target in targets if not target.startswith("socket:")]


@contextmanager
def serving(log: Path, *options: object, **variables: str) -> Iterator[Serving]:
    """Start ``serve-classifier`` on a free port; end it as Ctrl-C does."""
    command = [sys.executable, "-m", "pocketgenre.server.cli", "--port", "0", *map(str, options)]
    with open(log, "w") as file:
        process = subprocess.Popen(
            command, stderr=file, cwd=REPOSITORY, env=os.environ | variables, process_group=0
        )
    try:
        yield Serving(process, _address(process, log), log)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def _address(process: subprocess.Popen, log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := _ADDRESS.search(log.read_text()):
            return found[1]
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError("the server does not start")


def write_mixed_library(folder: Path, seconds: float = 7.0) -> list[Path]:
    """Songs in every format that phones hold; each sounds different."""
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
        file.mux(stream.encode(frame))  # in the codec's own sample format and frame size
        file.mux(stream.encode(None))
