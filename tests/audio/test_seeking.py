"""Decode evenly spaced segments of a song by seeking, or by decoding the whole song."""

from pathlib import Path

import av
import numpy as np
import pytest

from pocketgenre.audio.decoding import stream_mono
from pocketgenre.audio.seeking import (
    CannotSeekError,
    evenly_spaced_positions,
    seek_segments,
    select_segments,
)
from pocketgenre.audio.segments import cut_segments
from pocketgenre.classifier import GenreClassifier
from pocketgenre.demo.synthetic import write_aac, write_audio
from pocketgenre.errors import AudioError
from pocketgenre.features.config import LOG_MEL_CONFIG, MFCC_CONFIG, FeatureConfig
from tests.conftest import write_tone

SECONDS = 40


def chirp(rate: int) -> np.ndarray:
    """Return a signal that does not repeat, so that segments from wrong places differ."""
    t = np.arange(SECONDS * rate) / rate
    wave = 0.5 * np.sin(2 * np.pi * (200 * t + 60 * t**2)) * (0.6 + 0.4 * np.sin(2 * t))
    return np.repeat(wave[:, np.newaxis], 2, axis=1).astype(np.float32)


def write_with_ffmpeg(path: Path, codec: str, container: str, rate: int) -> None:
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate, layout="stereo")
        size = stream.codec_context.frame_size or 4_096
        resampler = av.AudioResampler(
            stream.codec_context.format.name, "stereo", rate, frame_size=size
        )
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(chirp(rate).T), format="fltp", layout="stereo"
        )
        frame.sample_rate = rate
        for part in [*resampler.resample(frame), *resampler.resample(None), None]:
            file.mux(stream.encode(part))


WRITERS = {
    "wav": lambda path: write_audio(path, chirp(44_100), 44_100),
    "192 kHz.wav": lambda path: write_audio(path, chirp(192_000), 192_000),
    "flac": lambda path: write_audio(path, chirp(48_000), 48_000),
    "aiff": lambda path: write_audio(path, chirp(22_050), 22_050),
    "11 kHz.wav": lambda path: write_audio(path, chirp(11_025), 11_025),
    "ogg": lambda path: write_audio(path, chirp(44_100), 44_100),
    "opus": lambda path: write_audio(path, chirp(48_000), 48_000, "OGG", "OPUS"),
    "mp3": lambda path: write_audio(path, chirp(44_100), 44_100),
    "m4a": lambda path: write_aac(path, chirp(44_100), 44_100),
    "alac.m4a": lambda path: write_with_ffmpeg(path, "alac", "mp4", 44_100),
    "mka": lambda path: write_with_ffmpeg(path, "libmp3lame", "matroska", 44_100),
    "webm": lambda path: write_with_ffmpeg(path, "libopus", "webm", 48_000),
}


@pytest.fixture(scope="module", params=WRITERS)
def song(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("songs") / f"song.{request.param}"
    WRITERS[request.param](path)
    return path


def all_segments(path: Path, feature_config: FeatureConfig = MFCC_CONFIG) -> list[np.ndarray]:
    return list(cut_segments(stream_mono(path, feature_config.sample_rate), feature_config))


@pytest.mark.parametrize("kind", ["mfcc", "log-mel"])
def test_sought_segments_equal_decoded_ones(song: Path, kind: str) -> None:
    feature_config = {"mfcc": MFCC_CONFIG, "log-mel": LOG_MEL_CONFIG}[kind]
    whole = all_segments(song, feature_config)
    assert len(whole) == SECONDS // 3
    sought = list(seek_segments(song, feature_config, 4))
    assert len(sought) == 4
    for position, segment in zip(evenly_spaced_positions(len(whole), 4), sought, strict=True):
        expected = whole[position]
        # Matroska's time stamps are whole milliseconds, 22 samples.
        tolerance = 23 if song.suffix in (".mka", ".webm") else 0
        lags = range(-tolerance, tolerance + 1)
        correlation = [np.corrcoef(np.roll(segment, lag), expected)[0, 1] for lag in lags]
        assert max(correlation) > (0.75 if tolerance else 0.999)


def test_positions_are_spread_over_the_song() -> None:
    assert evenly_spaced_positions(80, 4) == [10, 30, 50, 70]
    assert evenly_spaced_positions(3, 8) == [0, 1, 2]
    assert evenly_spaced_positions(5, 1) == [2]
    for whole in range(1, 50):
        for count in range(1, 60):
            positions = evenly_spaced_positions(whole, count)
            assert len(set(positions)) == min(whole, count)
            assert set(positions) <= set(range(whole))


def test_unseekable_file_is_decoded_completely(tmp_path: Path) -> None:
    path = tmp_path / "raw.aac"
    write_with_ffmpeg(path, "aac", "adts", 44_100)
    with pytest.raises(CannotSeekError):
        list(seek_segments(path, MFCC_CONFIG, 4))
    whole = all_segments(path)
    for position, segment in zip(
        evenly_spaced_positions(len(whole), 4), select_segments(path, MFCC_CONFIG, 4), strict=True
    ):
        np.testing.assert_array_equal(segment, whole[position])
    assert GenreClassifier("standard").analyze(path, 4).probabilities.shape == (4, 10)


@pytest.mark.parametrize("suffix", ["flac", "mp3", "m4a", "wav"])
def test_truncated_song_gives_segments_before_its_end(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"song.{suffix}"
    WRITERS[suffix](path)
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size // 2)
    classifier = GenreClassifier()
    try:
        whole = classifier.analyze(path).probabilities
    except AudioError:
        assert suffix == "m4a"  # its index is at its end
        return
    some = classifier.analyze(path, 3).probabilities
    expected = whole[evenly_spaced_positions(len(whole), 3)]
    np.testing.assert_allclose(some, expected, atol=0.1)


def test_short_song_is_classified_completely(tmp_path: Path) -> None:
    path = write_tone(tmp_path / "short.wav", 7.0)
    classifier = GenreClassifier()
    np.testing.assert_array_equal(
        classifier.analyze(path, 5).probabilities, classifier.analyze(path).probabilities
    )
