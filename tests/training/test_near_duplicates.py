"""Near duplicates: found by ``prepare-dataset``, and kept together in splits."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.demo.synthetic import write_aac, write_audio
from pocketgenre.training.data.dataset import load_dataset
from pocketgenre.training.data.near_duplicates import read_near_duplicates
from pocketgenre.training.errors import DataError
from tests.conftest import tone
from tests.training.commands import prepare

RATE = 22_050


def melody(seed: int, seconds: float = 8.0) -> np.ndarray:
    """Random notes with harmonics and noise, float32 (n, 1)."""
    rng = np.random.default_rng(seed)
    notes = []
    while sum(map(len, notes)) < seconds * RATE:
        time = np.arange(round(rng.uniform(0.12, 0.4) * RATE)) / RATE
        pitch, bright = rng.uniform(80, 900), rng.uniform(0.3, 0.9)
        note = sum(bright**k * np.sin(2 * np.pi * k * pitch * time) for k in range(1, 9))
        note = note + rng.uniform(0, 0.5) * rng.normal(size=len(time))
        notes.append(note * np.exp(-rng.uniform(1, 9) * time))
    wave = np.concatenate(notes)[: round(seconds * RATE)]
    return (0.3 * wave / np.abs(wave).max()).astype(np.float32)[:, np.newaxis]


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    """Two genres with three melodies each."""
    for seed in range(6):
        file = tmp_path / "audio" / ("jazz", "rock")[seed % 2] / f"{seed}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_audio(file, melody(seed), RATE)
    return tmp_path / "audio"


def prepared(audio: Path, *options: object) -> tuple[str, dict[str, int]]:
    """Prepare the songs; return the messages, and the group of each song."""
    out = audio.parent / "data"
    messages = prepare(audio, "--out", out, *options).stderr
    return messages, {song.name: song.group for song in load_dataset(out).songs}


def copy(path: Path, seed: int, start: float, gain: float) -> None:
    samples = gain * melody(seed)[round(start * RATE) :]
    (write_aac if path.suffix == ".m4a" else write_audio)(path, samples, RATE)


@pytest.mark.parametrize(
    ("suffix", "start", "options"),
    [
        (".mp3", 0.31, ()),
        (".ogg", 2.017, ("--features", "log-mel")),
        (".m4a", 1.234, ("--shards", 4)),
        (".flac", 3.1, ("--segment-seconds", 1, "--n-mfcc", 20)),
    ],
)
def test_copy_is_in_the_group_of_its_recording(
    audio: Path, suffix: str, start: float, options: Sequence[object]
) -> None:
    copy(audio / "jazz" / f"copy{suffix}", 2, start, 0.25)
    messages, groups = prepared(audio, *options)
    assert groups[f"jazz/copy{suffix}"] == groups["jazz/2.wav"]
    assert len(set(groups.values())) == 6
    file = audio.parent / "data" / "near_duplicates.csv"
    assert "Found 1 pair of near duplicates, which splits keep together;" in messages
    assert str(file) in messages.replace("\n", "")
    (row,) = csv.DictReader(file.read_text().splitlines())
    assert (row["song"], row["other"]) == ("jazz/2.wav", f"jazz/copy{suffix}")
    assert float(row["difference"]) < 0.15


def test_near_duplicates_of_two_genres_are_reported(audio: Path) -> None:
    copy(audio / "rock" / "copy.mp3", 2, 0.5, 0.7)
    assert (
        "Warning: jazz/2.wav (jazz) and rock/copy.mp3 (rock) are near duplicates; remove the wrong"
        " one." in prepared(audio)[0].replace("\n", " ").replace("  ", " ")
    )


def test_exact_duplicates_are_not_listed_again(audio: Path) -> None:
    (audio / "rock" / "same.wav").write_bytes((audio / "rock" / "1.wav").read_bytes())
    messages, groups = prepared(audio)
    assert groups["rock/same.wav"] == groups["rock/1.wav"]
    assert "near duplicates" not in messages
    assert not (audio.parent / "data" / "near_duplicates.csv").exists()


def test_different_songs_are_no_near_duplicates(audio: Path) -> None:
    for number in range(4):
        write_audio(audio / "jazz" / f"tone{number}.wav", tone(220.0 * (number + 1), 8.0), RATE)
        with_silence = np.concatenate([melody(9 + number, 4.0), np.zeros((4 * RATE, 1))])
        write_audio(audio / "rock" / f"end{number}.wav", with_silence.astype(np.float32), RATE)
    messages, groups = prepared(audio)
    assert "near duplicates" not in messages
    assert len(set(groups.values())) == 14


def test_search_for_near_duplicates_can_be_omitted(audio: Path) -> None:
    copy(audio / "jazz" / "copy.mp3", 2, 0.5, 0.7)
    _, groups = prepared(audio, "--no-near-duplicates")
    assert len(set(groups.values())) == 7


def test_too_few_coefficients_are_reported(audio: Path) -> None:
    messages, _ = prepared(audio, "--n-mfcc", 12)
    assert "Near duplicates are not searched" in messages


def test_outdated_list_of_near_duplicates_is_removed(audio: Path) -> None:
    copy(audio / "jazz" / "copy.mp3", 2, 0.5, 0.7)
    prepared(audio)
    (audio / "jazz" / "copy.mp3").unlink()
    prepared(audio)
    assert read_near_duplicates(audio.parent / "data") == []


def test_damaged_list_of_near_duplicates_is_refused(tmp_path: Path) -> None:
    (tmp_path / "near_duplicates.csv").write_text("song,other,difference\na,b,near\n")
    with pytest.raises(DataError, match="is damaged"):
        read_near_duplicates(tmp_path)
