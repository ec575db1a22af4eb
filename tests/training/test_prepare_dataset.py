"""``prepare-dataset``: from labelled audio to features on disk."""

import multiprocessing
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from mobile_demo.frontend import LOG_MEL, STANDARD
from tests.conftest import Command, tone, write_genres, write_tone
from training.dataset import load_dataset
from training.features import librosa_log_mel, librosa_mfcc, song_segments
from training.prepare import prepare_songs
from training.songs import DataError, songs_from_folders

PREPARE = "training.cli.prepare_dataset"


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_genres(tmp_path_factory.mktemp("audio"), songs=2)


def test_it_holds_librosas_features_of_every_segment(
    audio: Path, tmp_path: Path, run_command: Command
) -> None:
    result = run_command(PREPARE, audio, "--out", tmp_path / "data")
    assert result.returncode == 0, result.stderr
    assert "6 songs, 12 segments" in result.stderr
    data = load_dataset(tmp_path / "data")
    assert data.labels == ("bass", "flute", "noise")
    assert data.front_end == STANDARD
    assert data.features.shape == (12, 130, 13)
    second = song_segments(audio / data.songs[0].path)[1]
    np.testing.assert_array_equal(data.features[1], librosa_mfcc(second))
    assert not (tmp_path / "data" / "parts").exists()


def test_it_holds_log_mel_bands_if_asked_to(
    audio: Path, tmp_path: Path, run_command: Command
) -> None:
    result = run_command(PREPARE, audio, "--out", tmp_path / "data", "--features", "log-mel")
    assert result.returncode == 0, result.stderr
    data = load_dataset(tmp_path / "data")
    assert data.front_end == LOG_MEL
    assert data.features.shape == (12, 188, 96)
    first = song_segments(audio / data.songs[0].path, LOG_MEL)[0]
    np.testing.assert_array_equal(data.features[0], librosa_log_mel(first))
    arguments = [tmp_path / "data", "--out", tmp_path / "run", "--epochs", 1]
    refused = run_command("training.cli.train_model", *arguments)
    assert refused.returncode == 1
    assert "another front end (" in refused.stderr


def test_unreadable_songs_are_listed_and_left_out(
    audio: Path, tmp_path: Path, run_command: Command
) -> None:
    mine = tmp_path / "audio"
    shutil.copytree(audio, mine)
    (mine / "bass" / "broken.mp3").write_text("no music")
    result = run_command(PREPARE, mine, "--out", tmp_path / "data")
    assert result.returncode == 0
    assert "Left out bass/broken.mp3: not audio" in result.stderr
    assert len(load_dataset(tmp_path / "data").songs) == 6


def test_a_genre_without_a_readable_song_is_an_error(
    audio: Path, tmp_path: Path, run_command: Command
) -> None:
    mine = tmp_path / "audio"
    shutil.copytree(audio, mine)
    (mine / "polka").mkdir()
    (mine / "polka" / "empty.mp3").touch()
    result = run_command(PREPARE, mine, "--out", tmp_path / "data")
    assert result.returncode == 1
    assert "No song of polka could be read" in result.stderr
    with pytest.raises(DataError, match="not a finished data set"):
        load_dataset(tmp_path / "data")


def test_an_interrupted_preparation_goes_on_where_it_stopped(
    audio: Path, tmp_path: Path, run_command: Command
) -> None:
    mine = tmp_path / "audio"
    shutil.copytree(audio, mine)
    (mine / "polka").mkdir()
    (mine / "polka" / "empty.mp3").touch()
    run_command(PREPARE, mine, "--out", tmp_path / "data")  # stops at the end, parts stay
    parts = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "data" / "parts").iterdir()}
    assert len(parts) == 6
    shutil.rmtree(mine / "polka")
    first = mine / "bass" / "0.wav"
    first.unlink()
    write_tone(first, 7.0)  # changed meanwhile: done again
    result = run_command(PREPARE, mine, "--out", tmp_path / "data")
    assert result.returncode == 0
    data = load_dataset(tmp_path / "data")
    assert data.segment_counts.tolist() == [2] * 6
    np.testing.assert_array_equal(data.features[0], librosa_mfcc(song_segments(first)[0]))


def test_copies_of_a_recording_stay_together(
    audio: Path, tmp_path: Path, run_command: Command
) -> None:
    mine = tmp_path / "audio"
    shutil.copytree(audio, mine)
    shutil.copy(mine / "bass" / "0.wav", mine / "bass" / "the same.wav")
    (mine / "exact_duplicates.txt").write_text("flute/0.wav flute/1.wav\n")
    run_command(PREPARE, mine, "--out", tmp_path / "data")
    group = {song.name: song.group for song in load_dataset(tmp_path / "data").songs}
    assert group["bass/0.wav"] == group["bass/the same.wav"] != group["bass/1.wav"]
    assert group["flute/0.wav"] == group["flute/1.wav"]


def test_a_clip_shorter_than_a_segment_is_repeated_to_fill_it(tmp_path: Path) -> None:
    (segment,) = song_segments(write_tone(tmp_path / "clip.wav", 2.0))
    clip = tone(440.0, 2.0)[:, 0]
    np.testing.assert_allclose(segment, np.resize(clip, 66_150), atol=1e-4)


def test_features_that_are_not_numbers_are_named(audio: Path, tmp_path: Path, run_command) -> None:
    run_command(PREPARE, audio, "--out", tmp_path / "data")
    features = np.load(tmp_path / "data" / "features.npy")
    features[3, 5, 2] = np.nan
    np.save(tmp_path / "data" / "features.npy", features)
    with pytest.raises(DataError, match=r"bass/1\.wav are not all numbers"):
        load_dataset(tmp_path / "data").check()


def test_a_worker_that_dies_is_an_error_and_what_was_done_stays(
    audio: Path, tmp_path: Path
) -> None:
    songs = songs_from_folders(audio)
    (tmp_path / "parts").mkdir()
    list(prepare_songs(songs[:2], audio, tmp_path / "parts", STANDARD, workers=1))
    before = sorted(tmp_path.rglob("*.npy"))

    def kill_the_workers() -> None:
        while not (children := multiprocessing.active_children()):
            time.sleep(0.01)
        for child in children:
            child.kill()

    threading.Thread(target=kill_the_workers).start()
    with pytest.raises(DataError, match="worker process died"):
        list(prepare_songs(songs, audio, tmp_path / "parts", STANDARD, workers=1))
    assert sorted(tmp_path.rglob("*.npy")) == before


def test_a_damaged_data_set_is_an_error(audio: Path, tmp_path: Path, run_command: Command) -> None:
    run_command(PREPARE, audio, "--out", tmp_path / "data")
    np.save(tmp_path / "data" / "features.npy", np.zeros((1, 130, 13), np.float32))
    with pytest.raises(DataError, match="prepare the data set again"):
        _ = load_dataset(tmp_path / "data").features
    (tmp_path / "data" / "dataset.json").write_text("{")
    with pytest.raises(DataError, match="is damaged"):
        load_dataset(tmp_path / "data")
