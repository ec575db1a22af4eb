"""Decode songs to mono float32 at one sample rate."""

import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import librosa
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketgenre.audio.decoding import AudioSource, DamagedAudioError, stream_mono
from pocketgenre.demo.synthetic import write_aac, write_audio
from pocketgenre.errors import AudioError
from pocketgenre.library.discovery import is_song_name
from tests.conftest import tone, write_tone
from tests.library.broken import write_silent_video


def decode(path: AudioSource, rate: int = 22_050) -> np.ndarray:
    return np.concatenate([np.empty(0, np.float32), *stream_mono(path, rate)])


def loudest_hz(samples: np.ndarray, rate: int = 22_050) -> float:
    middle = samples[len(samples) // 4 : 3 * len(samples) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    return float(spectrum.argmax() * rate / len(middle))


LIBSNDFILE = {
    "wav": {},
    "aiff": {},
    "flac": {},
    "ogg": {},
    "mp3": {},
    "opus": {"format": "OGG", "subtype": "OPUS"},
}


@pytest.mark.parametrize("suffix", [*LIBSNDFILE, "m4a"])
def test_every_format_keeps_pitch_and_length(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"song.{suffix}"
    if suffix == "m4a":
        write_aac(path, tone(440.0, 3.0, 44_100, 2), 44_100)
    else:
        write_audio(path, tone(440.0, 3.0, 48_000, 2), 48_000, **LIBSNDFILE[suffix])
    samples = decode(path)
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert loudest_hz(samples) == pytest.approx(440.0, abs=2.0)
    assert len(samples) / 22_050 == pytest.approx(3.0, abs=0.1)


FFMPEG = {
    "3gp": ("3gp", "aac"),
    "ac3": ("ac3", "ac3"),
    "caf": ("caf", "pcm_s16le"),
    "eac3": ("eac3", "eac3"),
    "m4v": ("mp4", "aac"),
    "mkv": ("matroska", "aac"),
    "mov": ("mov", "aac"),
    "mp2": ("mp2", "mp2"),
    "tta": ("tta", "tta"),
    "w64": ("w64", "pcm_s16le"),
    "weba": ("webm", "libopus"),
    "wv": ("wv", "wavpack"),
}
"""Container and codec of FFmpeg by suffix, of those that it can write."""


@pytest.mark.parametrize("suffix", FFMPEG)
def test_every_ending_is_a_song_and_decoded(tmp_path: Path, suffix: str) -> None:
    container_format, codec = FFMPEG[suffix]
    path = tmp_path / f"song.{suffix}"
    samples = tone(440.0, 3.0, 48_000, 2).T
    with av.open(str(path), "w", container_format) as container:
        stream = container.add_stream(codec, rate=48_000)
        resampler = av.AudioResampler(stream.format, "stereo", 48_000, stream.frame_size or 1024)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", "stereo")
        frame.sample_rate = 48_000
        for converted in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(converted))
        container.mux(stream.encode(None))
    assert is_song_name(path.name)
    decoded = decode(path)
    assert loudest_hz(decoded) == pytest.approx(440.0, abs=2.0)
    assert len(decoded) / 22_050 == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize("suffix", LIBSNDFILE)
@pytest.mark.slow
def test_samples_equal_those_of_librosa_load(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"song.{suffix}"
    write_audio(path, tone(300.0, 30.0, 48_000, 2), 48_000, **LIBSNDFILE[suffix])
    expected, _ = librosa.load(path, sr=22_050)
    np.testing.assert_array_equal(decode(path), expected)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 96_000, 192_000])
def test_any_sample_rate_is_resampled(tmp_path: Path, rate: int) -> None:
    samples = decode(write_tone(tmp_path / "song.wav", 2.0, rate))
    assert abs(len(samples) - 44_100) <= 1
    assert loudest_hz(samples) == pytest.approx(440.0, abs=2.0)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_any_sample_format_is_decoded(tmp_path: Path, subtype: str) -> None:
    write_audio(tmp_path / "song.wav", tone(440.0, 2.0), 22_050, subtype=subtype)
    np.testing.assert_allclose(decode(tmp_path / "song.wav"), tone(440.0, 2.0)[:, 0], atol=0.01)


@pytest.mark.parametrize("channels", [1, 2, 6, 8])
def test_channels_are_averaged(tmp_path: Path, channels: int) -> None:
    samples = np.zeros((44_100, channels), np.float32)
    samples[:, 0] = 0.5
    write_audio(tmp_path / "song.wav", samples, 22_050)
    np.testing.assert_allclose(decode(tmp_path / "song.wav"), 0.5 / channels, atol=1e-4)


@pytest.mark.parametrize("suffix", ["wav", "m4a"])
def test_channels_can_be_mixed_by_a_function(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"song.{suffix}"
    samples = np.concatenate([tone(440.0, 3.0, 44_100), tone(2_000.0, 3.0, 44_100)], axis=1)
    (write_aac if suffix == "m4a" else write_audio)(path, samples, 44_100)
    right = np.concatenate(list(stream_mono(path, 22_050, lambda block: block[:, 1])))
    assert loudest_hz(right) == pytest.approx(2_000.0, abs=2.0)


def test_format_is_detected_from_content(tmp_path: Path) -> None:
    write_aac(tmp_path / "really-aac.mp3", tone(440.0, 2.0, 44_100, 2), 44_100)
    assert loudest_hz(decode(tmp_path / "really-aac.mp3")) == pytest.approx(440.0, abs=2.0)


def test_name_may_have_invalid_utf8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.m4a"))
    write_aac(tmp_path / "song.m4a", tone(440.0, 2.0, 44_100, 2), 44_100)
    (tmp_path / "song.m4a").rename(path)
    assert len(decode(path)) > 40_000


def test_truncated_mp3_is_decoded_to_its_end(tmp_path: Path) -> None:
    whole = write_tone(tmp_path / "whole.mp3", 10.0, 44_100, 2).read_bytes()
    (tmp_path / "half.mp3").write_bytes(whole[: len(whole) // 2])
    assert len(decode(tmp_path / "half.mp3")) / 22_050 == pytest.approx(5.0, abs=0.5)


def test_truncated_flac_is_decoded_to_its_damage(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.uniform(-0.5, 0.5, (441_000, 1)).astype(np.float32)
    write_audio(tmp_path / "whole.flac", noise, 44_100)
    whole = (tmp_path / "whole.flac").read_bytes()
    (tmp_path / "half.flac").write_bytes(whole[: len(whole) // 2])
    blocks = []
    try:
        for block in stream_mono(tmp_path / "half.flac", 22_050):
            blocks.append(block)  # noqa: PERF402
    except DamagedAudioError:
        pass
    assert sum(map(len, blocks)) / 22_050 == pytest.approx(5.0, abs=1.0)


def test_non_finite_samples_raise(tmp_path: Path) -> None:
    samples = tone(440.0, 2.0)
    samples[100] = np.nan
    write_audio(tmp_path / "nan.wav", samples, 22_050, subtype="FLOAT")
    with pytest.raises(AudioError, match="not finite"):
        decode(tmp_path / "nan.wav")


def test_files_without_music_raise_reasons(tmp_path: Path) -> None:
    (tmp_path / "empty.mp3").touch()
    (tmp_path / "text.mp3").write_text("Dear diary, " * 1000)
    (tmp_path / "zeros.mp3").write_bytes(bytes(10_000))
    write_silent_video(tmp_path / "video.mp4")
    (tmp_path / "folder.mp3").mkdir()
    (tmp_path / "loop.mp3").symlink_to("loop.mp3")
    os.mkfifo(tmp_path / "pipe.mp3")
    reasons = {
        "empty.mp3": "the file is empty",
        "text.mp3": "not audio",
        "zeros.mp3": "",
        "video.mp4": "it holds no audio",
        "folder.mp3": "not a file",
        "loop.mp3": "cannot be read",
        "pipe.mp3": "not a file",
        "missing.mp3": "cannot be read: No such file",
    }
    for name, reason in reasons.items():
        with pytest.raises(AudioError, match=reason):
            decode(tmp_path / name)


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """Create a folder that other users may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Drop root's right to read everything, if the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_file_without_permission_raises(public_folder: Path) -> None:
    path = write_tone(public_folder / "secret.wav")
    path.chmod(0)
    with as_nobody(), pytest.raises(AudioError, match="Permission denied"):
        decode(path)


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{song}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {song}\n",
        "<?xml version='1.0'?><MPD><BaseURL>{song}</BaseURL></MPD>",
    ],
)
def test_playlist_disguised_as_song_opens_nothing(tmp_path: Path, playlist: str) -> None:
    song = tmp_path / "real.m4a"
    write_aac(song, tone(440.0, 2.0, 44_100, 2), 44_100)
    (tmp_path / "fake.m4a").write_text(playlist.format(song=song))
    with pytest.raises(AudioError, match="not audio"):
        decode(tmp_path / "fake.m4a")


@pytest.mark.parametrize("error", [IndexError("foreign"), RuntimeError("foreign")])
def test_unexpected_decoder_error_is_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    write_aac(tmp_path / "song.m4a", tone(440.0, 2.0, 44_100, 2), 44_100)

    def fail(*_: object) -> None:
        raise error

    broken = type("Broken", (), {"__init__": lambda *_, **__: None, "resample": fail})
    monkeypatch.setattr(av, "AudioResampler", broken)
    with pytest.raises(DamagedAudioError, match="cannot be decoded to its end"):
        decode(tmp_path / "song.m4a")


def test_formats_without_music_are_rejected(tmp_path: Path) -> None:
    write_audio(tmp_path / "sample dump.wav", tone(440.0, 2.0), 22_050, "SDS", "PCM_16")
    with pytest.raises(AudioError, match="not audio in a format"):
        decode(tmp_path / "sample dump.wav")


@settings(max_examples=60)
@given(
    suffix=st.sampled_from(["wav", "aiff", "flac", "ogg", "mp3", "m4a"]),
    position=st.floats(0, 1),
    junk=st.binary(min_size=1, max_size=8),
    cut=st.floats(0.02, 1),
)
def test_damaged_file_is_decoded_or_rejected(
    suffix: str, position: float, junk: bytes, cut: float
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"song.{suffix}")
        (write_aac if suffix == "m4a" else write_audio)(path, tone(440.0, 1.5, 44_100), 44_100)
        content = bytearray(path.read_bytes())
        start = int(position * len(content))
        content[start : start + len(junk)] = junk
        path.write_bytes(content[: int(cut * len(content)) + 1])
        try:
            samples = decode(path)
        except AudioError:
            return
        assert np.isfinite(samples).all()


class NotSeekable(io.BytesIO):
    def seekable(self) -> bool:
        return False


@pytest.mark.parametrize("suffix", ["wav", "mp3", "m4a"])
def test_file_objects_equal_their_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"song.{suffix}"
    (write_aac if suffix == "m4a" else write_audio)(path, tone(440.0, 2.0, 44_100, 2), 44_100)
    expected = decode(path)
    np.testing.assert_array_equal(decode(str(path)), expected)
    content = io.BytesIO(path.read_bytes())
    content.seek(100)
    for _ in range(2):
        np.testing.assert_array_equal(decode(content), expected)
        assert not content.closed
    with open(path, "rb") as file:
        np.testing.assert_array_equal(decode(file), expected)


def test_file_objects_without_audio_raise_reasons() -> None:
    for file, reason in (
        (io.BytesIO(), "the file is empty"),
        (io.BytesIO(b"Dear diary, " * 1000), "not audio"),
        (NotSeekable(b"RIFF"), "cannot seek; read it into io.BytesIO"),
    ):
        with pytest.raises(AudioError, match=reason):
            decode(file)


@pytest.mark.parametrize("song", [None, 3, b"song.wav", io.StringIO("song"), ["song.wav"]])
def test_other_types_of_songs_raise(song: object) -> None:
    with pytest.raises(TypeError, match="a song is a path"):
        decode(song)


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_samples_equal_their_file(tmp_path: Path, rate: int, channels: int) -> None:
    samples = tone(440.0, 2.0, rate, channels)
    write_audio(tmp_path / "song.wav", samples, rate, subtype="FLOAT")
    np.testing.assert_array_equal(decode((samples, rate)), decode(tmp_path / "song.wav"))
    np.testing.assert_array_equal(
        decode((samples.astype(np.float64), rate)), decode((samples, rate))
    )
    if channels == 1:
        np.testing.assert_array_equal(decode((samples[:, 0], rate)), decode((samples, rate)))


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(9, np.int16),
        np.zeros((2, 2, 2), np.float32),
        np.zeros((9, 0), np.float32),
        np.float32(0),
        "song",
    ],
)
def test_samples_of_other_types_raise(samples: object) -> None:
    with pytest.raises(TypeError, match="samples must be floats"):
        decode((samples, 22_050))


@pytest.mark.parametrize("rate", [0, 999, 2_000_000])
def test_sample_rate_out_of_range_raises(rate: int) -> None:
    with pytest.raises(AudioError, match=f"sample rate of {rate} Hz is not supported"):
        decode((np.zeros(9, np.float32), rate))


MEASURE = """
import sys
from pathlib import Path
from pocketgenre.audio.decoding import stream_mono
from pocketgenre.audio.segments import cut_segments
print(sum(1 for _ in cut_segments(stream_mono(Path(sys.argv[1]), 22050))))
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.parametrize("longest", [60, pytest.param(180, marks=pytest.mark.long)])
@pytest.mark.slow
def test_memory_does_not_grow_with_length(tmp_path: Path, longest: int) -> None:
    minute = tone(440.0, 60.0, 8_000)
    peaks = []
    for minutes in (3, longest):
        path = tmp_path / f"{minutes}.flac"
        with soundfile.SoundFile(path, "w", 8_000, 1) as file:
            for _ in range(minutes):
                file.write(minute)
        output = subprocess.check_output([sys.executable, "-c", MEASURE, path], text=True)
        count, peak = map(int, output.split())
        assert count == minutes * 20
        peaks.append(peak)
    assert peaks[1] < 1.1 * peaks[0]
