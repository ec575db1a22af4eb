"""The page's rules about sound: as good a resampling as soxr's, and the rate that a file states."""

import base64
from pathlib import Path

import numpy as np
import pytest
import soxr

from pocketgenre.demo.synthetic import write_aac, write_audio
from tests.conftest import tone
from tests.web.rules import Call, float32


@pytest.mark.parametrize(("rate", "to"), [(44_100, 16_000), (48_000, 22_050), (44_100, 22_050),
                                          (22_050, 16_000), (8_000, 16_000)])  # fmt: skip
def test_resampling_is_as_good_as_soxr(rules: Call, tmp_path: Path, rate: int, to: int) -> None:
    """Of what both rates can carry, less than a thousandth of the amplitude differs."""
    rng = np.random.default_rng(1)
    noise = soxr.resample(rng.normal(size=rate // 4), 0.88 * min(rate, to), rate, quality="VHQ")
    sound = 0.1 * noise[: rate // 2].astype(np.float32)
    (told,) = rules(("resampled", float32(sound), rate, to))
    expected = soxr.resample(sound, rate, to, quality="HQ")
    assert abs(len(told) - len(expected)) <= 1
    inside = slice(500, min(len(told), len(expected)) - 500)
    error = np.asarray(told)[inside] - expected[inside]
    assert np.sqrt((error**2).mean()) < 1e-3 * np.sqrt((expected**2).mean())


RATES = [8_000, 16_000, 22_050, 32_000, 44_100, 48_000]


@pytest.mark.parametrize("kind", ["wav", "aiff", "flac", "ogg", "mp3", "m4a", "opus", "mp3 + tag"])
def test_files_say_their_rate(rules: Call, tmp_path: Path, kind: str) -> None:
    rates = RATES + ([96_000] if kind in ("wav", "aiff", "flac") else [])
    rates = [48_000] if kind == "opus" else [rate for rate in rates if kind != "m4a" or rate > 30e3]
    calls = []
    for rate in rates:
        path = tmp_path / f"{rate}.{kind.split(maxsplit=1)[0]}"
        if kind == "m4a":
            write_aac(path, tone(440.0, 0.5, rate, 2), rate)
        elif kind == "opus":
            write_audio(path, tone(440.0, 0.5, rate), rate, "OGG", "OPUS")
        else:
            write_audio(path, tone(440.0, 0.5, rate, 2), rate)
        content = path.read_bytes()
        if kind == "mp3 + tag":
            content = b"ID3\3\0\0" + bytes([0, 0, 2, 0]) + bytes(256) + content
        calls.append(("soundFormat", {"bytes": base64.b64encode(content).decode()}))
    channels = 1 if kind == "opus" else 2
    assert rules(*calls) == [{"rate": rate, "channels": channels} for rate in rates]


def test_a_file_that_says_nothing_has_the_commonest_rate(rules: Call) -> None:
    rng = np.random.default_rng(2)
    heads = [b"", b"RIFF", b"ID3", b"OggS", b"fLaC", b"\0\0\0\x10ftyp", b"\x1aE\xdf\xa3", b"FORM"]
    contents = [head + rng.bytes(n) for head in heads for n in (0, 3, 300, 5_000)]
    told = rules(*(("soundFormat", {"bytes": base64.b64encode(c).decode()}) for c in contents if c))
    assert all(8_000 <= one["rate"] <= 192_000 for one in told)


@pytest.mark.parametrize("size", [0, 7, 2**40])
def test_a_box_of_mp4_that_lies_about_its_size_ends_the_search(rules: Call, size: int) -> None:
    """Of a 64-bit size, in 64 bytes."""
    box = b"\0\0\0\1free" + size.to_bytes(8, "big")
    content = (b"\0\0\0\x10ftypM4A \0\0\0\0" + box).ljust(64, b"\0")
    told = rules(("soundFormat", {"bytes": base64.b64encode(content).decode()}))
    assert told == [{"rate": 44_100, "channels": 2}]
