"""Segments that were sought are those that a full decoding cuts."""

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
from pocketgenre.classifier import Classifier
from pocketgenre.demo.synthetic import write_aac, write_audio
from pocketgenre.errors import AudioError
from pocketgenre.features.config import LOG_MEL_CONFIG, MFCC_CONFIG, FeatureConfig
from tests.conftest import write_tone

SECONDS = 40


def chirp(rate: int) -> np.ndarray:
    """Never the same twice, so that a segment from the wrong place is another one."""
    t = np.arange(SECONDS * rate) / rate
    wave = 0.5 * np.sin(2 * np.pi * (200 * t + 60 * t**2)) * (0.6 + 0.4 * np.sin(2 * t))
    return np.repeat(wave[:, np.newaxis], 2, axis=1).astype(np.float32)


def write_with_ffmpeg(path: Path, codec: str, container: str, rate: int) -> None:
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate, layout="stereo")
        size = stream.codec_context.frame_size or 4_096
        form = av.AudioResampler(stream.codec_context.format.name, "stereo", rate, frame_size=size)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(chirp(rate).T), format="fltp", layout="stereo"
        )
        frame.sample_rate = rate
        for part in [*form.resample(frame), *form.resample(None), None]:
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
def test_they_are_those_that_a_full_decoding_cuts(song: Path, kind: str) -> None:
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
        likeness = [np.corrcoef(np.roll(segment, lag), expected)[0, 1] for lag in lags]
        assert max(likeness) > (0.75 if tolerance else 0.999)


def test_positions_are_spread_over_the_song() -> None:
    assert evenly_spaced_positions(80, 4) == [10, 30, 50, 70]
    assert evenly_spaced_positions(3, 8) == [0, 1, 2]
    assert evenly_spaced_positions(5, 1) == [2]
    for whole in range(1, 50):
        for count in range(1, 60):
            positions = evenly_spaced_positions(whole, count)
            assert len(set(positions)) == min(whole, count)
            assert set(positions) <= set(range(whole))


def test_what_cannot_be_sought_is_decoded_and_picked(tmp_path: Path) -> None:
    path = tmp_path / "raw.aac"
    write_with_ffmpeg(path, "aac", "adts", 44_100)
    with pytest.raises(CannotSeekError):
        list(seek_segments(path, MFCC_CONFIG, 4))
    whole = all_segments(path)
    for position, segment in zip(
        evenly_spaced_positions(len(whole), 4), select_segments(path, MFCC_CONFIG, 4), strict=True
    ):
        np.testing.assert_array_equal(segment, whole[position])
    assert Classifier.load().segment_probabilities(path, 4).shape == (4, 10)


@pytest.mark.parametrize("ending", ["flac", "mp3", "m4a", "wav"])
def test_a_song_that_is_cut_off_gives_segments_of_what_is_there(
    tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"song.{ending}"
    WRITERS[ending](path)
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size // 2)
    classifier = Classifier.load()
    try:
        whole = classifier.segment_probabilities(path)
    except AudioError:
        assert ending == "m4a"  # its table of contents stands at the end
        return
    some = classifier.segment_probabilities(path, 3)
    expected = whole[evenly_spaced_positions(len(whole), 3)]
    np.testing.assert_allclose(some, expected, atol=0.1)


def test_a_short_song_is_taken_as_a_whole(tmp_path: Path) -> None:
    path = write_tone(tmp_path / "short.wav", 7.0)
    classifier = Classifier.load()
    np.testing.assert_array_equal(
        classifier.segment_probabilities(path, 5), classifier.segment_probabilities(path)
    )
