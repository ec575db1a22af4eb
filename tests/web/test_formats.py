"""Decode formats that browsers cannot, as the package does."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.demo.synthetic import write_audio
from tests.audio.test_whole_songs import encode
from tests.conftest import invoke
from tests.web.page_driver import Phone

RATE = 44_100
SCAN = "pocketgenre.cli.scan_library"
NOISE = np.random.default_rng(0).bytes(20_000)


def music() -> np.ndarray:
    """Return 12 s of chords, noise and beats: float32 [shape=(n, 2)]."""
    rng = np.random.default_rng(3)
    t = np.arange(12 * RATE) / RATE
    chord = sum(np.sin(2 * np.pi * f * t) for f in (220.0, 277.2, 329.6)) / 6
    beat = np.exp(-30 * (t % 0.5)) * rng.normal(scale=0.3, size=len(t))
    return np.stack([chord + beat, chord + np.roll(beat, 50)], axis=1).astype(np.float32)


def audio(format: str, subtype: str, endian: str = "FILE") -> Callable[[Path], object]:
    def write(path: Path) -> None:
        import soundfile

        soundfile.write(path, music(), RATE, format=format, subtype=subtype, endian=endian)

    return write


def after(junk: bytes) -> Callable[[Path], object]:
    """Return a function that writes an MP3 with other data before it."""

    def write(path: Path) -> None:
        write_audio(path, music(), RATE, "MP3", "MPEG_LAYER_III")
        path.write_bytes(junk + path.read_bytes())

    return write


FORMATS: dict[str, Callable[[Path], object]] = {
    "lossless.m4a": lambda path: encode(path, music(), "alac", "mp4", RATE),
    "PCM_16.aiff": audio("AIFF", "PCM_16"),
    "PCM_24.aiff": audio("AIFF", "PCM_24"),
    "float.aifc": audio("AIFF", "FLOAT"),
    "little.aifc": audio("AIFF", "PCM_16", "LITTLE"),
    "double.wav": audio("WAV", "DOUBLE"),
    "ms.wav": audio("WAV", "MS_ADPCM"),
    "ima.wav": audio("WAV", "IMA_ADPCM"),
    "zeros.mp3": after(bytes(3_000)),
    "noise.mp3": after(NOISE),
    "html.mp3": after(b"<!doctype html>\n" * 300),
}


def test_formats_are_decoded_as_by_package(phone: Phone, tmp_path: Path) -> None:
    files = [tmp_path / name for name in FORMATS]
    for file in files:
        FORMATS[file.name](file)
    phone.use_model("standard")
    phone.scan(files)
    options = "--model", "standard_waveform", "--format", "json", "--catalog", ":memory:"
    expected = {song["path"]: song for song in json.loads(invoke(SCAN, tmp_path, *options).stdout)}
    found = {song["path"]: song for song in phone.exported()}
    assert {name: song["error"] for name, song in found.items()} == dict.fromkeys(FORMATS)
    for name, song in found.items():
        assert song["votes"] == expected[name]["votes"], name
        differences = [
            abs(p - expected[name]["probabilities"][genre])
            for genre, p in song["probabilities"].items()
        ]
        assert max(differences) < 0.03, name
        for field in ("analyzed_seconds", "duration_seconds"):
            assert song[field] == pytest.approx(expected[name][field], abs=0.1), name
        assert song["partial"] == expected[name]["partial"]


def test_cut_aiff_is_partial(phone: Phone, tmp_path: Path) -> None:
    file = tmp_path / "cut.aiff"
    audio("AIFF", "PCM_16")(file)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    phone.use_model("standard")
    phone.scan([file])
    (song,) = phone.exported()
    assert song["partial"]
    assert song["duration_seconds"] == pytest.approx(12, abs=0.1)


def test_unknown_compression_is_named(phone: Phone, tmp_path: Path) -> None:
    file = tmp_path / "phone.aifc"
    audio("AIFF", "ULAW")(file)
    phone.scan([file])
    (song,) = phone.exported()
    assert song["error"] == "ULAW, which this browser cannot decode"


@pytest.mark.parametrize("seed", range(3))
def test_damaged_headers_end_with_reason(phone: Phone, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    files = []
    for name in ("lossless.m4a", "PCM_16.aiff", "ms.wav", "ima.wav"):
        original = tmp_path / name
        FORMATS[name](original)
        content = bytearray(original.read_bytes()[:200_000])
        for at in rng.integers(0, 120, size=6):
            content[at] = rng.integers(0, 256)
        files.append(tmp_path / f"damaged {name}")
        files[-1].write_bytes(content)
    phone.use_model("standard")
    phone.choose_files(files)
    phone.wait_until_done()
    assert len(phone.songs()) == len(files)
