"""Limit the length of songs and the work of hostile files."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from pocketgenre import constants
from pocketgenre.audio import source
from pocketgenre.audio.containers import has_mpeg_frames
from pocketgenre.audio.decoding import open_stream
from pocketgenre.audio.limits import VALUES_PER_SECOND, LimitError, WorkLimit
from pocketgenre.audio.source import FileWindow, SongFile
from pocketgenre.classifier import GenreClassifier
from pocketgenre.demo.synthetic import write_aac, write_audio
from pocketgenre.features.config import MFCC_CONFIG
from tests.audio.test_whole_songs import encode, flac, music, vbr_mp3

RATE = 44_100
LIMIT = 5.0
HUGE = 20 << 30


@pytest.fixture
def short_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "MAX_SONG_SECONDS", LIMIT)


def lengths(path: Path) -> tuple[float, float | None, str | None]:
    with open_stream(path, 22_050) as song:
        decoded = sum(map(len, song.blocks))
    assert decoded / 22_050 == song.decoded_seconds
    return song.decoded_seconds, song.duration_seconds, song.damage


LONG: dict[str, Callable[[Path], object]] = {
    "wav": lambda p: write_audio(p, music(9), RATE),
    "flac": lambda p: write_audio(p, music(9), RATE),
    "ogg": lambda p: write_audio(p, music(9), RATE),
    "mp3": lambda p: write_audio(p, music(9), RATE),
    "m4a": lambda p: write_aac(p, music(9), RATE),
    "aac": lambda p: encode(p, music(9), "aac", "adts"),
    "endless.flac": lambda p: flac(p, (1 << 36) - 1),
    "joined.flac": lambda p: p.write_bytes(flac(p) * 2),
    "no Xing.mp3": lambda p: vbr_mp3(p, write_xing="0"),
}


@pytest.mark.usefixtures("short_limit")
@pytest.mark.parametrize("kind", LONG)
def test_long_song_ends_at_limit(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"song.{kind}"
    LONG[kind](path)
    decoded, duration, damage = lengths(path)
    assert decoded == LIMIT
    assert damage is not None
    assert damage.startswith("too long")
    assert duration is None or duration >= LIMIT
    analysis = GenreClassifier("standard").analyze(path)
    assert analysis.is_partial
    assert analysis.analyzed_seconds == LIMIT


@pytest.mark.usefixtures("short_limit")
@pytest.mark.parametrize("kind", ["wav", "flac", "m4a"])
def test_song_of_limit_is_complete(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"song.{kind}"
    write = write_aac if kind == "m4a" else write_audio
    write(path, music(LIMIT - 0.05), RATE)
    assert lengths(path)[2] is None


@pytest.mark.usefixtures("short_limit")
def test_samples_end_at_limit() -> None:
    with open_stream((music(9), RATE), RATE) as song:
        assert sum(map(len, song.blocks)) == LIMIT * RATE
    assert song.duration_seconds == 9.0
    assert song.damage is not None


@pytest.mark.usefixtures("short_limit")
def test_requested_segments_span_seekable_songs(tmp_path: Path) -> None:
    classifier = GenreClassifier("standard", segments=2)
    write_audio(tmp_path / "song.flac", music(30), RATE)
    analysis = classifier.analyze(tmp_path / "song.flac")
    assert not analysis.is_partial
    encode(tmp_path / "song.aac", music(30), "aac", "adts")
    analysis = classifier.analyze(tmp_path / "song.aac")
    assert analysis.is_partial
    assert len(analysis.probabilities) == 1


@pytest.mark.usefixtures("short_limit")
@pytest.mark.parametrize("kind", ["wav", "mka"])
def test_many_channels_shorten_the_limit(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"song.{kind}"
    samples = np.tile(music(4, 96_000, 1), (1, 8))
    soundfile.write(tmp_path / "song.wav", samples, 96_000)
    if kind == "mka":
        import av

        with av.open(str(path), "w", format="matroska") as file:
            stream = file.add_stream("pcm_s16le", rate=96_000, layout="7.1")
            for start in range(0, len(samples), 960):
                part = (samples[start : start + 960] * 30_000).astype("<i2").reshape(1, -1)
                frame = av.AudioFrame.from_ndarray(part, format="s16", layout="7.1")
                frame.sample_rate = 96_000
                file.mux(stream.encode(frame))
    decoded, _, damage = lengths(path)
    assert decoded == pytest.approx((LIMIT + 1) * VALUES_PER_SECOND / (8 * 96_000), abs=0.1)
    assert damage is not None


@given(
    st.lists(
        st.tuples(st.integers(1_000, 1_536_000), st.integers(1, 100_000), st.integers(1, 1_024)),
        max_size=300,
    )
)
def test_work_is_limited(blocks: list[tuple[int, int, int]]) -> None:
    work, seconds, values = WorkLimit(), 0.0, 0
    longest = constants.MAX_SONG_SECONDS + 1
    try:
        for rate, frames, channels in blocks:
            work.add_block(rate, frames, channels)
            seconds += frames / rate
            values += frames * channels
    except LimitError:
        total = seconds + frames / rate + (values + frames * channels) / VALUES_PER_SECOND
        assert total > longest
    assert seconds <= longest + 1e-6
    assert values <= longest * VALUES_PER_SECOND * (1 + 1e-9)


def test_packets_without_samples_are_limited() -> None:
    def add_packets(work: WorkLimit) -> None:
        for _ in range(1_000_000):
            work.add_empty_packet()

    with pytest.raises(LimitError):
        add_packets(WorkLimit())


# --- Huge sparse files ---

SPARSE = ["wav", "flac", "mp3", "ogg", "mka"]


@pytest.mark.parametrize("kind", SPARSE)
def test_huge_rest_of_zeros_is_not_searched(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Count the bytes that are read of a file of 20 GiB whose song ends after 6 s."""
    monkeypatch.setattr(source, "_SEARCHED_BYTES", 1 << 26)
    monkeypatch.setattr(source, "_BLOCK_BYTES", 1 << 22)
    read = 0
    read_at = SongFile.read_at

    def count(file: SongFile, offset: int, size: int) -> bytes:
        nonlocal read
        content = read_at(file, offset, size)
        read += len(content)
        return content

    monkeypatch.setattr(SongFile, "read_at", count)
    path = tmp_path / f"song.{kind}"
    if kind == "mka":
        encode(path, music(6), "libmp3lame", "matroska")
    else:
        write_audio(path, music(6), RATE)
    os.truncate(path, HUGE)
    decoded, _, _ = lengths(path)
    assert decoded == pytest.approx(6.0, abs=0.3)
    assert read < 1 << 28


def test_searches_for_frames_and_zeros_end(tmp_path: Path) -> None:
    (tmp_path / "zeros").touch()
    os.truncate(tmp_path / "zeros", HUGE)
    with open(tmp_path / "zeros", "rb") as file:
        song = SongFile(file, has_descriptor=True)
        assert not has_mpeg_frames(song, 0, HUGE)
        assert song.is_zero(0, HUGE)


@given(st.binary(min_size=1, max_size=60), st.data())
def test_window_reads_replaced_bytes(content: bytes, data: st.DataObject) -> None:
    import io

    at = data.draw(st.integers(0, len(content) - 1))
    new = data.draw(st.binary(max_size=len(content) - at))
    window = FileWindow(SongFile(io.BytesIO(content), has_descriptor=False), 0, replaced=(at, new))
    expected = content[:at] + new + content[at + len(new) :]
    read = b""
    while part := window.read(data.draw(st.integers(1, 20))):
        read += part
    assert read == expected
    start = data.draw(st.integers(0, len(content)))
    window.seek(start)
    assert window.read(100) == expected[start:]


# --- Unknown and wrong sizes ---


@pytest.mark.parametrize("riff_size", [0, 2**64 - 1])
def test_rf64_without_sizes_is_decoded_to_its_end(tmp_path: Path, riff_size: int) -> None:
    path = tmp_path / "song.wav"
    soundfile.write(path, music(6), RATE, "PCM_16", format="RF64")
    expected = soundfile.read(path, dtype="float32")[0].mean(1)
    content = bytearray(path.read_bytes())
    content[20:36] = struct.pack("<QQ", riff_size, 2**64 - 1)
    path.write_bytes(content)
    with open_stream(path, RATE) as song:
        samples = np.concatenate(list(song.blocks))
    np.testing.assert_allclose(samples, expected, atol=1e-6)
    assert song.damage is None
    analysis = GenreClassifier("standard", segments=1).analyze(path)
    assert analysis.duration_seconds == pytest.approx(6.0)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
@pytest.mark.parametrize("kept", [0.5, 0.9, 0.999])
def test_cut_ogg_is_partial(tmp_path: Path, subtype: str, kept: float) -> None:
    path = tmp_path / "song.ogg"
    write_audio(path, music(12, 48_000), 48_000, "OGG", subtype)
    content = path.read_bytes()
    assert lengths(path)[2] is None
    path.write_bytes(content[: int(kept * len(content))])
    decoded, duration, damage = lengths(path)
    assert damage is not None
    assert damage.startswith("ends early")
    assert duration is not None
    assert decoded <= duration <= 12.1
    segments = 12.0 // MFCC_CONFIG.segment_seconds
    assert len(GenreClassifier("standard").analyze(path).probabilities) <= segments
