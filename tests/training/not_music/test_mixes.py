"""Mixes have the requested level ratio, and noises are deterministic."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from pocketgenre.training.not_music.index import IndexRow
from pocketgenre.training.not_music.mixes import (
    JINGLE,
    SAMPLE_RATE,
    Mix,
    plan_mixes,
    write_mix,
)
from pocketgenre.training.not_music.noises import NOISES

SPEECH_HZ, MUSIC_HZ = 1000.0, 300.0


def row(name: str, kind: str, seconds: float) -> IndexRow:
    return IndexRow(f"{name}.wav", name, "", name.split("-", maxsplit=1)[0], kind, "en", seconds)


def write_tone(folder: Path, name: str, hz: float, seconds: float) -> None:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    soundfile.write(folder / f"{name}.wav", 0.2 * np.sin(2 * np.pi * hz * time), SAMPLE_RATE)


def tone_level(samples: np.ndarray, hz: float) -> float:
    """Return the RMS of a tone in samples."""
    time = np.arange(len(samples)) / SAMPLE_RATE
    return abs(np.mean(samples * np.exp(-2j * np.pi * hz * time))) * np.sqrt(2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tone(tmp_path, "voice-1", SPEECH_HZ, 4.0)
    write_tone(tmp_path, "voice-2", SPEECH_HZ, 3.0)
    write_tone(tmp_path, "game-1", MUSIC_HZ, 24.0)
    return tmp_path


SPOKEN = (row("voice-1", "prompt", 4.0), row("voice-2", "prompt", 3.0))
TRACK = row("game-1", "music", 24.0)


@pytest.mark.parametrize("ratio", [20, 10, -10, -20])
def test_written_mix_has_the_ratio(ratio: int, folder: Path) -> None:
    mix = Mix("speech-over-music", SPOKEN, TRACK, ratio, 0)
    write_mix(mix, folder)
    samples, rate = soundfile.read(folder / mix.row.path)
    start = samples[: 4 * SAMPLE_RATE]  # the first prompt
    measured = 20 * np.log10(tone_level(start, SPEECH_HZ) / tone_level(start, MUSIC_HZ))
    assert measured == pytest.approx(ratio, abs=1)
    assert (rate, len(samples)) == (SAMPLE_RATE, 24 * SAMPLE_RATE)
    assert np.abs(samples).max() == pytest.approx(0.7, abs=0.001)


def test_jingle_is_followed_by_speech(folder: Path) -> None:
    mix = Mix(JINGLE, SPOKEN, TRACK, 0, 0)
    write_mix(mix, folder)
    samples, _ = soundfile.read(folder / mix.row.path)
    jingle, speech = samples[: 5 * SAMPLE_RATE], samples[5 * SAMPLE_RATE : 9 * SAMPLE_RATE]
    assert tone_level(jingle, MUSIC_HZ) == pytest.approx(tone_level(speech, SPEECH_HZ), rel=0.05)
    assert tone_level(jingle, SPEECH_HZ) < 0.01
    assert mix.row.genre == "not-music"


def test_plan_is_deterministic_and_pairs_sources() -> None:
    rows = [*SPOKEN, TRACK, row("other-1", "tts", 5), row("loop-1", "music", 12)]
    plan = plan_mixes(rows, "train", 8, 2)
    assert plan == plan_mixes(rows, "train", 8, 2)
    assert [mix.kind for mix in plan].count("music-over-speech") == 4
    assert {(mix.speech[0].artist, mix.music.artist) for mix in plan} == {
        ("voice", "game"),
        ("other", "loop"),
    }
    assert all(mix.ratio > 0 for mix in plan if mix.kind == "speech-over-music")
    assert plan_mixes(SPOKEN, "train", 8, 2) == []


@pytest.mark.parametrize("name", NOISES)
def test_noise_is_deterministic_and_in_range(name: str) -> None:
    first, again = (NOISES[name](np.random.default_rng(1), 24_000, 8000) for _ in range(2))
    other = NOISES[name](np.random.default_rng(2), 24_000, 8000)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.shape == (24_000,)
    assert np.abs(first).max() <= 1
    assert np.abs(first).max() > 0
