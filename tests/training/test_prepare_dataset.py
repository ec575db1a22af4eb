"""``prepare-dataset``: from labelled audio to features on disk."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.features.config import LOG_MEL_CONFIG, MFCC_CONFIG
from pocketgenre.jobs.executors import LocalExecutor
from pocketgenre.training.data.dataset import load_dataset
from pocketgenre.training.data.feature_files import find_files, prepare_songs
from pocketgenre.training.data.librosa_features import librosa_log_mel, librosa_mfcc, song_segments
from pocketgenre.training.data.songs import DataError, songs_from_folders
from pocketgenre.training.data.storage import Folder
from tests.conftest import Command, tone, write_genres, write_tone
from tests.training.fabricated import fabricate_dataset

PREPARE = "pocketgenre.training.cli.prepare_dataset"
ROUNDING = 1e-4
"""Matrix products are added up otherwise where they may use several threads."""


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
    assert data.feature_config == MFCC_CONFIG
    assert data.features.shape == (12, 130, 13)
    second = song_segments(audio / data.songs[0].path)[1]
    np.testing.assert_allclose(data.features[1], librosa_mfcc(second), rtol=0, atol=ROUNDING)
    assert not (tmp_path / "data" / "parts").exists()


def test_it_holds_log_mel_bands_if_asked_to(
    audio: Path, tmp_path: Path, run_command: Command
) -> None:
    result = run_command(PREPARE, audio, "--out", tmp_path / "data", "--features", "log-mel")
    assert result.returncode == 0, result.stderr
    data = load_dataset(tmp_path / "data")
    assert data.feature_config == LOG_MEL_CONFIG
    assert data.features.shape == (12, 188, 96)
    first = song_segments(audio / data.songs[0].path, LOG_MEL_CONFIG)[0]
    np.testing.assert_allclose(data.features[0], librosa_log_mel(first), rtol=0, atol=ROUNDING)
    arguments = [tmp_path / "data", "--out", tmp_path / "run", "--epochs", 1]
    refused = run_command("pocketgenre.training.cli.train_model", *arguments)
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
    expected = librosa_mfcc(song_segments(first)[0])
    np.testing.assert_allclose(data.features[0], expected, rtol=0, atol=ROUNDING)


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


@dataclass(frozen=True)
class Mortal:
    """Computes songs, but for one that ends its process."""

    def __call__(self) -> Callable[[object], None]:
        def answer(job) -> None:
            if "1.wav" in job.path:
                os._exit(3)

        return answer


def test_a_song_that_kills_its_worker_costs_itself(
    audio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    songs = songs_from_folders(audio)
    monkeypatch.setattr("pocketgenre.training.data.feature_files._Computing", lambda *_: Mortal())
    engine = LocalExecutor(2)
    files = find_files(songs, audio, engine)
    prepared = list(prepare_songs(files, Folder(tmp_path), MFCC_CONFIG, engine))
    left_out = {item.song.name: item.error for item in prepared if item.error}
    reason = "it crashes its decoder (exit status 3)"
    assert left_out == {f"{genre}/1.wav": reason for genre in ("bass", "flute", "noise")}
    assert len(prepared) == 6


def test_in_shards_it_is_the_same_features_with_checksums_and_counts(
    audio: Path, tmp_path: Path, run_command: Command
) -> None:
    for out, options in (("one", []), ("shards", ["--shards", 4])):
        result = run_command(PREPARE, audio, "--out", tmp_path / out, *options)
        assert result.returncode == 0, result.stderr
        assert "6 songs, 12 segments" in result.stderr
    one, shards = load_dataset(tmp_path / "one"), load_dataset(tmp_path / "shards")
    assert one.shards == ()
    manifest = json.loads((tmp_path / "shards" / "manifest.json").read_text())
    assert [len(shard["songs"]) for shard in manifest["shards"]] == [4, 2]
    for shard in manifest["shards"]:
        content = (tmp_path / "shards" / "shards" / f"{shard['name']}.npy").read_bytes()
        assert hashlib.sha256(content).hexdigest() == shard["sha256"]
        assert len(content) == shard["size"]
    place = {song.name: number for number, song in enumerate(one.songs)}
    for number, song in enumerate(shards.songs):
        mine = shards.features[shards.segment_songs == number]
        theirs = one.features[one.segment_songs == place[song.name]]
        np.testing.assert_array_equal(mine, theirs)
    assert not (tmp_path / "shards" / "parts").exists()


def test_sharded_features_answer_as_an_array_does(
    audio: Path, tmp_path: Path, run_command: Command
) -> None:
    run_command(PREPARE, audio, "--out", tmp_path, "--shards", 2)
    features = load_dataset(tmp_path).features
    whole = np.asarray(features)
    assert features.shape == whole.shape == (12, 130, 13)
    assert len(features) == 12
    for index in (np.array([11, 0, 5, 5]), slice(2, 9, 3), np.arange(12) % 2 == 0, 3, -1,
                  np.array([], int)):  # fmt: skip
        np.testing.assert_array_equal(features[index], whole[index])
    with pytest.raises(IndexError):
        features[np.array([12])]


def test_a_damaged_shard_is_named_and_only_it_is_made_anew(
    audio: Path, tmp_path: Path, run_command: Command
) -> None:
    command = [PREPARE, audio, "--out", tmp_path, "--shards", 1]
    run_command(*command)
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in tmp_path.rglob("*.npy")}
    assert len(before) == 6
    flipped, cut, lost, *sound = sorted(before)
    content = bytearray(before[flipped][1])
    content[-1] ^= 1
    flipped.write_bytes(content)
    with pytest.raises(DataError, match=f"{flipped.stem}.npy is damaged: its checksum is wrong"):
        load_dataset(tmp_path).check()
    cut.write_bytes(before[cut][1][:-1])
    lost.unlink()
    result = run_command(*command)
    assert "3 of 6 shards are there as they were written" in result.stderr
    assert "Computing segments of 3 songs" in result.stderr
    load_dataset(tmp_path).check()
    assert {p: p.read_bytes() for p in before} == {p: c for p, (_, c) in before.items()}
    assert all(path.stat().st_mtime_ns == before[path][0] for path in sound)


def test_a_song_that_has_changed_makes_its_shard_anew_and_the_old_one_goes(
    audio: Path, tmp_path: Path, run_command: Command
) -> None:
    shutil.copytree(audio, tmp_path / "audio")
    command = [PREPARE, tmp_path / "audio", "--out", tmp_path / "data", "--shards", 1]
    run_command(*command)
    before = {path.name for path in (tmp_path / "data" / "shards").iterdir()}
    write_tone(tmp_path / "audio" / "bass" / "0.wav", 7.0)
    assert "5 of 6 shards are there" in run_command(*command).stderr
    after = {path.name for path in (tmp_path / "data" / "shards").iterdir()}
    assert len(after) == len(before) == 12
    assert len(after - before) == 2


@pytest.mark.parametrize("content", ["{", '{"shards": [{}]}', '{"shards": [{"name": "../x"}]}'])
def test_a_damaged_manifest_is_an_error(
    audio: Path, tmp_path: Path, run_command: Command, content: str
) -> None:
    run_command(PREPARE, audio, "--out", tmp_path, "--shards", 4)
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(DataError, match=r"manifest\.json cannot be used"):
        load_dataset(tmp_path)


def test_a_damaged_data_set_is_an_error(audio: Path, tmp_path: Path, run_command: Command) -> None:
    run_command(PREPARE, audio, "--out", tmp_path / "data")
    np.save(tmp_path / "data" / "features.npy", np.zeros((1, 130, 13), np.float32))
    with pytest.raises(DataError, match="prepare the data set again"):
        _ = load_dataset(tmp_path / "data").features
    (tmp_path / "data" / "dataset.json").write_text("{")
    with pytest.raises(DataError, match="is damaged"):
        load_dataset(tmp_path / "data")


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:30_000],
        lambda content: content[:60],
        lambda content: content[:10] + b"(" * 118 + content[128:],
        lambda content: b"something else",
        lambda content: b"",
    ],
)
def test_damaged_features_are_an_error(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    fabricate_dataset(tmp_path / "data", {"jazz": [3, 2], "rock": [4, 1]})
    file = tmp_path / "data" / "features.npy"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataError, match=r"features\.npy cannot be read: .*; prepare the data set"):
        _ = load_dataset(tmp_path / "data").features
    file.unlink()
    with pytest.raises(DataError, match=r"features\.npy cannot be read: .*No such file"):
        _ = load_dataset(tmp_path / "data").features
