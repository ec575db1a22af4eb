"""Compare the page's resampler with soxr, and its sample rates with those of the files."""

import base64
import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr

from pocketgenre.audio.decoding import open_stream
from pocketgenre.demo.synthetic import write_aac, write_audio
from pocketgenre.errors import AudioError
from tests.audio.test_whole_songs import encode
from tests.conftest import tone
from tests.web.rule_calls import RuleCalls, float32


@pytest.mark.parametrize(("rate", "to"), [(44_100, 16_000), (48_000, 22_050), (44_100, 22_050),
                                          (22_050, 16_000), (8_000, 16_000)])  # fmt: skip
def test_resampler_matches_soxr(rules: RuleCalls, rate: int, to: int) -> None:
    """In the common band, the error is below a thousandth of the amplitude."""
    rng = np.random.default_rng(1)
    noise = soxr.resample(rng.normal(size=rate // 4), 0.88 * min(rate, to), rate, quality="VHQ")
    samples = 0.1 * noise[: rate // 2].astype(np.float32)
    (resampled,) = rules(("resample", float32(samples), rate, to))
    expected = soxr.resample(samples, rate, to, quality="HQ")
    assert abs(len(resampled) - len(expected)) <= 1
    inside = slice(500, min(len(resampled), len(expected)) - 500)
    error = np.asarray(resampled)[inside] - expected[inside]
    assert np.sqrt((error**2).mean()) < 1e-3 * np.sqrt((expected**2).mean())


def format_call(content: bytes) -> tuple[str, dict[str, str]]:
    return "readAudioFormat", {"bytes": base64.b64encode(content).decode()}


RATES = [8_000, 16_000, 22_050, 32_000, 44_100, 48_000]


@pytest.mark.parametrize("kind", ["wav", "aiff", "flac", "ogg", "mp3", "m4a", "opus", "mp3 + tag"])
def test_sample_rate_is_read_from_header(rules: RuleCalls, tmp_path: Path, kind: str) -> None:
    rates = RATES + ([96_000] if kind in ("wav", "aiff", "flac") else [])
    rates = [48_000] if kind == "opus" else [rate for rate in rates if kind != "m4a" or rate > 30e3]
    calls: list[tuple[str, Any]] = []
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
        calls.append(format_call(content))
    channels = 1 if kind == "opus" else 2
    assert rules(*calls) == [{"sampleRate": rate, "channels": channels} for rate in rates]


@pytest.mark.parametrize("kind", ["wav", "aiff", "flac", "mp3", "m4a"])
@pytest.mark.parametrize("rate", [22_050, 44_100])
def test_length_is_read_from_header(rules: RuleCalls, tmp_path: Path, kind: str, rate: int) -> None:
    path = tmp_path / f"song.{kind}"
    write = write_aac if kind == "m4a" else write_audio
    write(path, tone(440.0, 7.0, rate, 2), rate)
    content = path.read_bytes()
    shorter = content if kind == "m4a" else content[: len(content) // 2]
    calls = [{"bytes": base64.b64encode(part).decode()} for part in (content, shorter)]
    stated = rules(*(("statedSeconds", call) for call in calls))
    assert stated == pytest.approx([7.0, 7.0], abs=0.1)


def measure_call(content: bytes, max_seconds: float) -> tuple[Any, ...]:
    return "measureSong", {"bytes": base64.b64encode(content).decode()}, max_seconds


MEASURED = {
    "wav": {}, "flac": {}, "mp3": {}, "ogg": {}, "opus": {"format": "OGG", "subtype": "OPUS"},
    "aac": {"codec": "aac", "container": "adts"},
    "mka": {"codec": "libmp3lame", "container": "matroska"},
    "webm": {"codec": "libopus", "container": "webm"},
}  # fmt: skip


@pytest.mark.parametrize("kind", MEASURED)
def test_length_follows_from_frames_and_song_is_cut(
    rules: RuleCalls, tmp_path: Path, kind: str
) -> None:
    """The header states a wrong length, if there is a field for it."""
    path, rate = tmp_path / f"song.{kind}", 48_000
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, (20 * rate, 2)).astype(np.float32)
    options = MEASURED[kind]
    if "codec" in options:
        encode(path, noise, **options, rate=rate)
    else:
        write_audio(path, noise, rate, **options)
    content = bytearray(path.read_bytes())
    if kind == "flac":
        content[22:26] = b"\0\0\0\1"
    elif kind == "mp3" and b"Info" in content:
        content[content.index(b"Info") + 8 :][:4] = b"\0\0\0\1"
    whole, limited = rules(measure_call(content, 100), measure_call(content, 12))
    coarse = 5.1 if kind in ("mka", "webm") else 1.1  # clusters and pages
    assert whole["seconds"] == limited["seconds"] == pytest.approx(20.0, abs=coarse)
    assert whole["end"] is None
    path.write_bytes(content[: limited["end"]])
    with contextlib.suppress(AudioError), open_stream(path, 16_000) as song:
        for _ in song.blocks:
            pass
    assert 12 - coarse <= song.decoded_seconds <= 12 + 5.1 * (coarse > 2) + 0.1


def test_lengths_of_any_bytes_are_finite(rules: RuleCalls) -> None:
    rng = np.random.default_rng(3)
    heads = [b"RIFF", b"ID3", b"OggS\0\2", b"fLaC", b"\x1aE\xdf\xa3\x1fC\xb6u", b"\xff\xfb\x90\0"]
    contents = [head + rng.bytes(n) for head in heads for n in (0, 9, 300, 50_000)]
    contents += [head * 5_000 for head in heads] + [b"\xff" * 20_000]
    for length in rules(*(measure_call(content, 10) for content in contents)):
        assert length["seconds"] is None or 0 <= length["seconds"] < 2**64


def test_length_is_unknown_without_header(rules: RuleCalls, tmp_path: Path) -> None:
    path = tmp_path / "song.ogg"
    write_audio(path, tone(440.0, 3.0, 44_100), 44_100)
    pipe = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\1\0\1\0\x44\xac\0\0\x88\x58\1\0\2\0\x10\0"
    contents = [path.read_bytes(), pipe + b"data\xff\xff\xff\xff", b"RIFF", b"", b"ID3"]
    calls = [{"bytes": base64.b64encode(content).decode()} for content in contents if content]
    assert rules(*(("statedSeconds", call) for call in calls)) == [None] * len(calls)


@pytest.mark.parametrize(
    ("stated", "decoded", "expected"),
    [(None, 5.0, False), (9.5, 9.0, False), (9.5, 8.4, True), (200.0, 197.0, False),
     (200.0, 195.0, True), (9.5, 12.0, False)],
)  # fmt: skip
def test_song_that_ends_early_is_partial(
    rules: RuleCalls, stated: float | None, decoded: float, expected: bool
) -> None:
    assert rules(("endsEarly", stated, decoded)) == [expected]


def test_unknown_header_gives_valid_rate(rules: RuleCalls) -> None:
    rng = np.random.default_rng(2)
    heads = [b"", b"RIFF", b"ID3", b"OggS", b"fLaC", b"\0\0\0\x10ftyp", b"\x1aE\xdf\xa3", b"FORM"]
    contents = [head + rng.bytes(n) for head in heads for n in (0, 3, 300, 5_000)]
    formats = rules(*(format_call(content) for content in contents if content))
    assert all(8_000 <= one["sampleRate"] <= 192_000 for one in formats)


@pytest.mark.parametrize("size", [0, 7, 2**40])
def test_wrong_mp4_box_size_ends_search(rules: RuleCalls, size: int) -> None:
    """The box states a 64-bit size in a file of 64 bytes."""
    box = b"\0\0\0\1free" + size.to_bytes(8, "big")
    content = (b"\0\0\0\x10ftypM4A \0\0\0\0" + box).ljust(64, b"\0")
    assert rules(format_call(content)) == [{"sampleRate": 44_100, "channels": 2}]
