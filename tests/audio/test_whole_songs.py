"""Decode songs whole where libsndfile ends early, and report what is missing."""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from pocketgenre.audio import decoding
from pocketgenre.audio.decoding import SongStream, open_stream, stream_mono
from pocketgenre.audio.duration import probe_duration
from pocketgenre.audio.seeking import CannotSeekError, seek_segments
from pocketgenre.demo.synthetic import write_audio
from pocketgenre.errors import AudioError
from pocketgenre.features.config import MFCC_CONFIG
from tests.conftest import tone

RATE = 44_100
Write = Callable[[Path], object]


def music(seconds: float, rate: int = RATE, channels: int = 2) -> np.ndarray:
    """Return noise that gets louder: it does not repeat, and its bit rate varies."""
    rng = np.random.default_rng(int(seconds * 10) + channels)
    noise = rng.standard_normal((int(seconds * rate), channels)) * 0.1
    return (noise * np.linspace(0.001, 1, len(noise))[:, np.newaxis]).astype(np.float32)


def encode(
    path: Path, samples: np.ndarray, codec: str, container: str, rate: int = RATE, **options: Any
) -> bytes:
    layout = {1: "mono", 2: "stereo"}[samples.shape[1]]
    muxer = options.pop("muxer", {})
    with av.open(str(path), "w", format=container, options=muxer) as file:
        add_track(file, samples, codec, rate, layout, options)
    return path.read_bytes()


def add_track(
    file: Any, samples: np.ndarray, codec: str, rate: int, layout: str, options: dict[str, str]
) -> None:
    stream = file.add_stream(codec, rate=rate, layout=layout, options=options)
    fill_track(file, stream, samples)


def fill_track(file: Any, stream: Any, samples: np.ndarray) -> None:
    rate, layout = stream.codec_context.sample_rate, stream.codec_context.layout.name
    size = stream.codec_context.frame_size or 4_096
    resampler = av.AudioResampler(stream.codec_context.format.name, layout, rate, frame_size=size)
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(samples.T), format="fltp", layout=layout
    )
    frame.sample_rate = rate
    for part in [*resampler.resample(frame), *resampler.resample(None), None]:
        file.mux(stream.encode(part))


def mp3(path: Path, seconds: float = 6.0, rate: int = RATE, channels: int = 2) -> bytes:
    write_audio(path, music(seconds, rate, channels), rate, "MP3")
    return path.read_bytes()


def vbr_mp3(path: Path, **muxer: str) -> bytes:
    quality = {"flags": "+qscale", "global_quality": "590"}
    return encode(path, music(20), "libmp3lame", "mp3", muxer=muxer, **quality)


def ogg(path: Path, subtype: str = "VORBIS", rate: int = RATE, channels: int = 2) -> bytes:
    write_audio(path, music(6, rate, channels), rate, "OGG", subtype)
    return path.read_bytes()


def id3(size: int) -> bytes:
    return b"ID3\3\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + b"x" * size


def wav(path: Path, riff_size: int, data_size: int) -> None:
    write_audio(path, music(6), RATE, "WAV", "PCM_16")
    content = bytearray(path.read_bytes())
    content[4:8], content[40:44] = struct.pack("<I", riff_size), struct.pack("<I", data_size)
    path.write_bytes(content)


def flac(path: Path, total: int | None = None) -> bytes:
    write_audio(path, music(6), RATE, "FLAC", "PCM_16")
    content = bytearray(path.read_bytes())
    if total is not None:
        field = int.from_bytes(content[18:26], "big") >> 36 << 36 | total
        content[18:26] = field.to_bytes(8, "big")
        path.write_bytes(content)
    return bytes(content)


def middle(content: bytes, junk: bytes) -> bytes:
    half = len(content) // 2
    return content[:half] + junk + content[half:]


NOISE = np.random.default_rng(1).bytes(20_000)
WHOLE: dict[str, tuple[Write, float]] = {
    "VBR without Xing header.mp3": (lambda p: vbr_mp3(p, write_xing="0"), 20.0),
    "Xing header.mp3": (vbr_mp3, 20.0),
    "joined.mp3": (lambda p: p.write_bytes(mp3(p) * 3), 18.0),
    "44.1 and 48 kHz.mp3": (lambda p: p.write_bytes(mp3(p) + mp3(p, rate=48_000)), 12.0),
    "48 and 44.1 kHz.mp3": (lambda p: p.write_bytes(mp3(p, rate=48_000) + mp3(p)), 12.0),
    "stereo and mono.mp3": (lambda p: p.write_bytes(mp3(p) + mp3(p, channels=1)), 12.0),
    "junk.mp3": (lambda p: p.write_bytes(middle(mp3(p), NOISE)), 6.0),
    "page before.mp3": (lambda p: p.write_bytes(b"<!doctype html>\n" * 300 + mp3(p)), 6.0),
    "zeros between frames.mp3": (lambda p: p.write_bytes(middle(mp3(p), bytes(9_000))), 6.0),
    "ID3 between frames.mp3": (lambda p: p.write_bytes(middle(mp3(p), id3(50_000))), 6.0),
    "chained.ogg": (lambda p: p.write_bytes(ogg(p) * 3), 18.0),
    "chained rates.ogg": (lambda p: p.write_bytes(ogg(p) + ogg(p, rate=48_000)), 12.0),
    "chained channels.ogg": (lambda p: p.write_bytes(ogg(p) + ogg(p, channels=1)), 12.0),
    "chained.opus": (
        lambda p: p.write_bytes(ogg(p, "OPUS", 48_000) + ogg(p, "OPUS", 48_000, 1)), 12.0,
    ),
    "size 0.wav": (lambda p: wav(p, 0, 0), 6.0),
    "size 0xffffffff.wav": (lambda p: wav(p, 0xFFFFFFFF, 0xFFFFFFFF), 6.0),
    "size too small.wav": (lambda p: wav(p, 90_036, 90_000), 6.0),
    "total 0.flac": (lambda p: flac(p, 0), 6.0),
    "total too small.flac": (lambda p: flac(p, RATE), 6.0),
    "joined.flac": (lambda p: p.write_bytes(flac(p) * 2), 12.0),
    "ID3v1.flac": (lambda p: p.write_bytes(flac(p) + b"TAG" + bytes(125)), 6.0),
    "joined.aac": (lambda p: p.write_bytes(encode(p, music(6), "aac", "adts") * 2), 12.0),
    "no duration.webm": (
        lambda p: encode(p, music(6, 48_000), "libopus", "webm", 48_000, muxer={"live": "1"}), 6.0,
    ),
    "mp3 in.wav": (lambda p: encode(p, music(6), "libmp3lame", "wav"), 6.0),
    "windows.wma": (lambda p: encode(p, music(6), "wmav2", "asf", b="128000"), 6.0),
    "phone.amr": (
        lambda p: encode(p, music(6, 8_000, 1), "libopencore_amrnb", "amr", 8_000), 6.0,
    ),
}  # fmt: skip
"""By file name: the function that writes the file, and its duration [s]."""


def decode(source: Any, rate: int = RATE) -> tuple[np.ndarray, SongStream]:
    with open_stream(source, rate) as song:
        samples = np.concatenate([np.empty(0, np.float32), *song.blocks])
    return samples, song


@pytest.mark.parametrize("name", WHOLE)
def test_song_is_decoded_to_its_end(tmp_path: Path, name: str) -> None:
    write, seconds = WHOLE[name]
    path = tmp_path / name
    write(path)
    tolerance = 0.2 + 0.01 * seconds
    estimate = probe_duration(path)
    samples, song = decode(path, 22_050)
    assert len(samples) / 22_050 == pytest.approx(seconds, abs=tolerance)
    assert song.damage is None
    assert song.duration_seconds == song.decoded_seconds == len(samples) / 22_050
    if "total" not in name and name not in ("joined.flac", "joined.aac", "chained.ogg"):
        assert estimate == pytest.approx(seconds, rel=0.15)
    np.testing.assert_array_equal(decode(io.BytesIO(path.read_bytes()), 22_050)[0], samples)


@pytest.mark.parametrize("name", ["size 0.wav", "size too small.wav", "total too small.flac"])
def test_rest_of_lossless_song_is_exact(tmp_path: Path, name: str) -> None:
    WHOLE[name][0](tmp_path / name)
    plain = tmp_path / f"plain{Path(name).suffix}"
    write_audio(plain, music(6), RATE, subtype="PCM_16")
    np.testing.assert_array_equal(decode(tmp_path / name)[0], decode(plain)[0])


def test_rest_of_mp3_continues_exactly(tmp_path: Path) -> None:
    vbr_mp3(tmp_path / "song.mp3", write_xing="0")
    with av.open(str(tmp_path / "song.mp3")) as file:
        expected = np.concatenate([frame.to_ndarray().mean(0) for frame in file.decode(audio=0)])
    assert soundfile.info(tmp_path / "song.mp3").duration < 15
    np.testing.assert_allclose(decode(tmp_path / "song.mp3")[0], expected, atol=1e-5)


def test_formats_with_large_chunks_keep_their_length(tmp_path: Path) -> None:
    for name in ("WAV", "WAVEX", "RF64", "W64", "AIFF", "CAF"):
        write_audio(tmp_path / name, music(6), RATE, name, "PCM_16")
        expected = decode(tmp_path / name)[0]
        assert probe_duration(tmp_path / name) == pytest.approx(6.0, abs=0.01)
        if name.startswith("WAV"):
            chunk = b"LIST" + struct.pack("<I", 400_000) + b"x" * 400_000
            (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + chunk)
            np.testing.assert_array_equal(decode(tmp_path / name)[0], expected)


APE = b"x" * 90_000 + b"APETAGEX" + struct.pack("<IIII", 2_000, 90_032, 1, 0) + bytes(8)
TAILS = {
    "ID3v1": b"TAG" + bytes(125),
    "APE": APE + b"TAG" + bytes(125),
    "Lyrics3": b"LYRICSBEGIN" + b"x" * 50_000 + b"050011LYRICS200" + b"TAG" + bytes(125),
    "ID3v2": id3(200_000),
    "zeros": bytes(300_000),
    "unknown": b"unknown data " * 20_000,
}


@pytest.mark.parametrize("tail", TAILS)
def test_tags_are_not_decoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tail: str
) -> None:
    content = vbr_mp3(tmp_path / "song.mp3")
    expected = decode(tmp_path / "song.mp3")[0]
    (tmp_path / "song.mp3").write_bytes(content + TAILS[tail])
    monkeypatch.delattr(decoding, "open_ffmpeg")
    samples, song = decode(tmp_path / "song.mp3")
    np.testing.assert_array_equal(samples, expected)
    assert song.damage is None


@pytest.mark.parametrize("suffix", ["mp3", "flac", "wav", "mp4"])
def test_missing_part_is_reported(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"song.{suffix}"
    if suffix == "mp4":
        encode(path, music(20), "aac", "mp4", muxer={"movflags": "faststart"})
    elif suffix == "mp3":
        vbr_mp3(path)
    else:
        write_audio(path, music(20), RATE, subtype="PCM_16")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_stream(path, 22_050) as song:
        try:
            for _ in song.blocks:
                pass
        except AudioError as error:
            assert str(error) == song.damage  # noqa: PT017
    assert song.damage is not None
    assert song.duration_seconds == pytest.approx(20.0, abs=0.1)
    assert 5 < song.decoded_seconds < 16
    assert probe_duration(path) == pytest.approx(20.0, abs=0.1)


def test_duration_is_known_before_the_end(tmp_path: Path) -> None:
    vbr_mp3(tmp_path / "song.mp3")
    with open_stream(tmp_path / "song.mp3", 22_050) as song:
        next(song.blocks)
        assert song.duration_seconds == pytest.approx(20.0, abs=0.1)
        assert 0 < song.decoded_seconds < 2
    assert song.duration_seconds == pytest.approx(20.0, abs=0.1)
    samples = (np.zeros(RATE), RATE)
    with open_stream(samples, 22_050) as song:
        assert song.duration_seconds == 1.0


def test_songs_of_wrong_length_are_not_sought(tmp_path: Path) -> None:
    vbr_mp3(tmp_path / "song.mp3", write_xing="0")
    with pytest.raises(CannotSeekError):
        list(seek_segments(tmp_path / "song.mp3", MFCC_CONFIG, 2))


def test_default_track_is_decoded(tmp_path: Path) -> None:
    for container in ("matroska", "mp4"):
        path = tmp_path / container
        with av.open(str(path), "w", format=container) as file:
            streams = [file.add_stream("aac", rate=RATE, layout="stereo") for _ in range(2)]
            streams[0].disposition, streams[1].disposition = 0, 1
            for hz, stream in zip((440.0, 2_000.0), streams, strict=True):
                fill_track(file, stream, tone(hz, 4.0, RATE, 2))
        samples = decode(path)[0][RATE : 3 * RATE]
        assert np.abs(np.fft.rfft(samples)).argmax() == pytest.approx(4_000, abs=4)


def test_opposite_channels_do_not_cancel(tmp_path: Path) -> None:
    left = tone(440.0, 6.0, RATE)[:, 0]
    silence = np.zeros(RATE, np.float32)
    channels = np.stack([np.concatenate([silence, left]), np.concatenate([silence, -left])], 1)
    for source in ((channels, RATE), tmp_path / "song.flac", tmp_path / "song.mp3"):
        if isinstance(source, Path):
            write_audio(source, channels, RATE)
        samples = decode(source)[0]
        middle = samples[3 * RATE : 4 * RATE]
        assert middle.std() == pytest.approx(left.std(), rel=0.02)
        assert np.abs(np.diff(samples)).max() < 1.5 * np.abs(np.diff(left)).max()  # no clicks


def test_change_between_opposite_and_equal_channels_has_no_clicks() -> None:
    left = tone(440.0, 12.0, RATE)[:, 0]
    right = np.where((np.arange(len(left)) // (3 * RATE)) % 2, left, -left)
    samples = decode((np.stack([left, right], 1), RATE))[0]
    assert np.abs(np.diff(samples)).max() < 1.1 * np.abs(np.diff(left)).max()
    assert samples.std() > 0.9 * left.std()


def test_coded_bitstream_is_not_taken_for_samples(tmp_path: Path) -> None:
    coded = encode(tmp_path / "song.spdif", tone(440.0, 6.0, 48_000, 2), "ac3", "spdif", 48_000)
    samples = np.frombuffer(bytes(40_000) + coded[: len(coded) // 4 * 4], "<i2").reshape(-1, 2)
    soundfile.write(tmp_path / "song.wav", samples, 48_000)
    decoded, _ = decode(tmp_path / "song.wav", 48_000)
    assert len(decoded) / 48_000 == pytest.approx(6.0, abs=0.1)
    spectrum = np.abs(np.fft.rfft(decoded[48_000:96_000]))
    assert spectrum.argmax() == pytest.approx(440, abs=1)
    with pytest.raises(CannotSeekError, match="coded"):
        list(seek_segments(tmp_path / "song.wav", MFCC_CONFIG, 1))
    soundfile.write(tmp_path / "song.flac", samples, 48_000)
    with pytest.raises(AudioError, match="coded bitstream"):
        list(stream_mono(tmp_path / "song.flac", 22_050))


@pytest.mark.parametrize("sync", ["7ffe8001fc3c", "fe7f01803cfc", "ff1f00e8f107", "1fffe80007f1"])
def test_dts_that_cannot_be_decoded_is_refused(tmp_path: Path, sync: str) -> None:
    frame = bytes.fromhex(sync) + np.random.default_rng(0).bytes(2_042)
    samples = np.frombuffer(frame * 300, "<i2").reshape(-1, 2)
    soundfile.write(tmp_path / "song.wav", samples, 44_100)
    with pytest.raises(AudioError):
        list(stream_mono(tmp_path / "song.wav", 22_050))
