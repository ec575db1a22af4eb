"""Run ``prepare-dataset``, from labelled audio to features on disk."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketgenre.demo.synthetic import write_audio
from pocketgenre.features.config import LOG_MEL_CONFIG, MFCC_CONFIG, FeatureConfig
from pocketgenre.jobs.executors import LocalExecutor
from pocketgenre.library.discovery import SongFile, list_songs
from pocketgenre.training.data.dataset import load_dataset, save_dataset
from pocketgenre.training.data.dataset_builder import DatasetBuilder
from pocketgenre.training.data.feature_files import (
    FileContent,
    feature_file_name,
    find_files,
    prepare_songs,
)
from pocketgenre.training.data.labelled_songs import LabelledSong, songs_from_listing
from pocketgenre.training.data.librosa_features import librosa_log_mel, librosa_mfcc, song_segments
from pocketgenre.training.data.shard_writer import plan_shards
from pocketgenre.training.data.storage import FolderStore
from pocketgenre.training.errors import DataError
from tests.conftest import Command, invoke, tone, write_genres, write_tone
from tests.training.commands import prepare as run_prepare
from tests.training.fabricated import fabricate_dataset

PREPARE = "pocketgenre.training.cli.prepare_dataset"
TRAIN = "pocketgenre.training.cli.train_model"
ROUNDING = 1e-4
"""Matrix products are summed in another order if they use several threads."""


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_genres(tmp_path_factory.mktemp("audio"), songs=2)


@pytest.fixture
def audio_copy(audio: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(audio, tmp_path / "audio"))


@dataclass
class Report:
    """Messages and progress of a preparation in this process."""

    messages: list[str] = field(default_factory=list)
    progress: list[tuple[str, int, int]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(self.messages)


def prepare(
    audio: Path,
    out: Path,
    songs_per_shard: int = 0,
    feature_config: FeatureConfig = MFCC_CONFIG,
    report: Report | None = None,
) -> Report:
    """Build a data set in this process, without a command line."""
    report = report or Report()
    builder = DatasetBuilder(
        audio,
        FolderStore(out),
        feature_config,
        LocalExecutor(0),
        report.messages.append,
        lambda *step: report.progress.append(step),
    )
    songs = builder.list_songs()
    if songs_per_shard:
        builder.build_shards(songs, songs_per_shard)
    else:
        builder.build(songs)
    return report


def test_command_writes_librosa_mfcc(audio: Path, tmp_path: Path, run_command: Command) -> None:
    result = run_command(PREPARE, audio, "--out", tmp_path / "data")
    assert result.returncode == 0, result.stderr
    assert "6 songs, 12 segments" in result.stderr
    assert "Computing segments of 6 songs" in result.stderr
    data = load_dataset(tmp_path / "data")
    assert data.labels == ("bass", "flute", "noise")
    assert data.feature_config == MFCC_CONFIG
    assert data.features.shape == (12, 130, 13)
    second = song_segments(audio / data.songs[0].path)[1]
    np.testing.assert_allclose(data.features[1], librosa_mfcc(second), rtol=0, atol=ROUNDING)
    assert not (tmp_path / "data" / "parts").exists()


def test_option_features_selects_log_mel(audio: Path, tmp_path: Path) -> None:
    run_prepare(audio, "--out", tmp_path / "data", "--features", "log-mel")
    data = load_dataset(tmp_path / "data")
    assert data.feature_config == LOG_MEL_CONFIG
    assert data.features.shape == (12, 188, 96)
    first = song_segments(audio / data.songs[0].path, LOG_MEL_CONFIG)[0]
    np.testing.assert_allclose(data.features[0], librosa_log_mel(first), rtol=0, atol=ROUNDING)


def test_network_for_mfcc_refuses_log_mel(tmp_path: Path) -> None:
    songs = [
        LabelledSong(f"{genre}/{i}", Path(f"{genre}/{i}"), genre, group=i + 9 * (genre == "jazz"))
        for genre in ("jazz", "rock")
        for i in range(9)
    ]
    np.save(tmp_path / "features.npy", np.zeros((1, *LOG_MEL_CONFIG.shape), np.float32))
    files = [tmp_path / "features.npy"] * len(songs)
    (tmp_path / "data").mkdir()
    save_dataset(tmp_path / "data", tmp_path, LOG_MEL_CONFIG, songs, files)
    options = [tmp_path / "data", "--out", tmp_path / "run", "--model", "residual"]
    result = invoke(TRAIN, *options)
    assert result.returncode == 1
    assert "log-mel" in result.stderr
    assert "mfcc" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "run").exists()


def test_feature_options_change_the_configuration(audio: Path, tmp_path: Path) -> None:
    options = ["--segment-seconds", 2, "--sample-rate", 16_000, "--n-mfcc", 20, "--n-mels", 64]
    run_prepare(audio, "--out", tmp_path / "data", *options)
    data = load_dataset(tmp_path / "data")
    expected = FeatureConfig(sample_rate=16_000, segment_samples=32_000, n_mfcc=20, n_mels=64)
    assert data.feature_config == expected
    assert data.segment_counts.tolist() == [3] * 6
    assert data.features.shape == (18, 63, 20)
    first = song_segments(audio / data.songs[0].path, expected)[0]
    reference = librosa_mfcc(first, expected)
    np.testing.assert_allclose(data.features[0], reference, rtol=0, atol=ROUNDING)


def test_sample_rate_keeps_the_segment_length(audio: Path, tmp_path: Path) -> None:
    options = ["--features", "log-mel", "--sample-rate", 8_000, "--n-mels", 40]
    run_prepare(audio, "--out", tmp_path / "data", *options)
    config = load_dataset(tmp_path / "data").feature_config
    assert config.segment_seconds == 3
    assert (config.kind, config.sample_rate, config.n_mels) == ("log-mel", 8_000, 40)
    assert (config.n_fft, config.hop_length) == (512, 256)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--sample-rate", 0], "sample_rate is out of range: 0"),
        (["--sample-rate", -22_050], "sample_rate is out of range: -22050"),
        (["--sample-rate", 10**400], "sample_rate is out of range"),
        (["--n-mfcc", 0], "n_mfcc is out of range: 0"),
        (["--n-mels", -1], "n_mels is out of range: -1"),
        (["--n-mfcc", 20, "--n-mels", 19], "20 MFCC need at least as many mel bands; there are 19"),
        (["--segment-seconds", 0], "--segment-seconds must be between"),
        (["--segment-seconds", "nan"], "--segment-seconds must be between"),
        (["--segment-seconds", "inf"], "--segment-seconds must be between"),
        (["--segment-seconds", 600, "--sample-rate", 44_100], "segment_samples is out of range"),
        (["--segment-seconds", 0.09], "the length of a frame (0.093)"),
        (["--sample-rate", 192_000], "some would be empty; use fewer --n-mels"),
        (["--features", "log-mel", "--n-mfcc", 13], "log-mel have no parameter n_mfcc"),
        (["--features", "log-mel", "--spectra"], "require --features mfcc"),
        (["--shards", 4, "--spectra"], "in one file"),
        (["--cluster", "tcp://127.0.0.1:9", "--workers", 1], "leave it out with --cluster"),
    ],
)
def test_unusable_options_are_refused(
    audio: Path, tmp_path: Path, options: list[Any], sentence: str
) -> None:
    result = invoke(PREPARE, audio, "--out", tmp_path / "data", *options)
    assert result.returncode == 1
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "data").exists()


def test_unknown_features_are_refused_with_a_list(audio: Path, tmp_path: Path) -> None:
    result = invoke(PREPARE, audio, "--out", tmp_path / "data", "--features", "chroma")
    assert result.returncode == 2
    assert "mfcc, log-mel" in result.stderr
    assert "chroma" in result.stderr
    assert not (tmp_path / "data").exists()


def test_builder_reports_messages_and_progress(audio: Path, tmp_path: Path) -> None:
    report = prepare(audio, tmp_path / "data")
    assert report.progress == [("Computing segments of 6 songs", done, 6) for done in range(7)]
    assert report.messages == [
        f"{tmp_path / 'data'}: 6 songs, 12 segments, 6 groups of songs that splits keep together,"
        " 3 genres: bass, flute, noise."
    ]


def test_unreadable_songs_are_listed(audio_copy: Path, tmp_path: Path) -> None:
    (audio_copy / "bass" / "broken.mp3").write_text("no music")
    report = prepare(audio_copy, tmp_path / "data")
    assert "Left out bass/broken.mp3: not audio" in report.text
    assert len(load_dataset(tmp_path / "data").songs) == 6


def test_unusable_genres_are_listed_at_once(audio_copy: Path, tmp_path: Path) -> None:
    for genre in ("polka", "tango", "waltz"):
        (audio_copy / genre).mkdir()
    for number in range(3):
        (audio_copy / "waltz" / f"{number}.mp3").write_text("no music")
    write_tone(audio_copy / "tango" / "one.wav")
    with pytest.raises(DataError, match="has 3 genres that cannot be learned") as error:
        prepare(audio_copy, tmp_path / "data")
    assert "polka has no song; tango has songs of one group only" in str(error.value)
    assert "waltz has no readable song (waltz/0.mp3: not audio" in str(error.value)
    assert not (tmp_path / "data").exists()


def test_genre_of_one_song_is_a_warning(audio_copy: Path, tmp_path: Path) -> None:
    (audio_copy / "tango").mkdir()
    write_tone(audio_copy / "tango" / "one.wav")
    assert "Warning: all songs of tango are of one group" in prepare(audio_copy, tmp_path).text
    assert "tango" in load_dataset(tmp_path).labels


def test_one_readable_song_of_a_genre_suffices(audio_copy: Path, tmp_path: Path) -> None:
    for number in range(3):
        (audio_copy / "bass" / f"!{number}.mp3").write_text("no music")
    report = prepare(audio_copy, tmp_path / "data")
    assert report.text.count("Left out bass/!") == 3


def test_genre_of_silence_is_an_error(audio_copy: Path, tmp_path: Path) -> None:
    (audio_copy / "silence").mkdir()
    write_audio(audio_copy / "silence" / "a.wav", np.zeros((66_150, 1), np.float32), 22_050)
    report = Report()
    with pytest.raises(DataError, match="No song of silence could be read"):
        prepare(audio_copy, tmp_path / "data", report=report)
    assert "Left out silence/a.wav: it holds only silence." in report.text
    with pytest.raises(DataError, match="not a finished data set"):
        load_dataset(tmp_path / "data")


def test_truncated_song_is_left_out(audio_copy: Path, tmp_path: Path) -> None:
    song = audio_copy / "bass" / "0.wav"
    song.write_bytes(song.read_bytes()[:150_000])
    report = prepare(audio_copy, tmp_path / "data")
    assert "Left out bass/0.wav: ends early: 3 of 6 s." in report.text


def test_recording_of_two_genres_is_reported(audio_copy: Path, tmp_path: Path) -> None:
    shutil.copy(audio_copy / "bass" / "0.wav", audio_copy / "noise" / "copy.wav")
    for songs_per_shard in (0, 4):
        report = prepare(audio_copy, tmp_path / "data", songs_per_shard)
        assert (
            "Warning: bass/0.wav (bass) and noise/copy.wav (noise) are the same recording; remove"
            " the wrong one." in report.messages
        )


def test_song_that_outweighs_its_genre_is_reported(audio_copy: Path, tmp_path: Path) -> None:
    write_tone(audio_copy / "bass" / "long.wav", seconds=90.0)
    warning = "Warning: bass/long.wav has 30 of the 34 segments of bass; train-model takes 20 of a"
    assert warning in prepare(audio_copy, tmp_path / "data").text


def test_folders_follow_the_rules_of_the_scanner(audio_copy: Path, tmp_path: Path) -> None:
    (audio_copy / "flute").rename(tmp_path / "elsewhere")
    (audio_copy / "flute").symlink_to(tmp_path / "elsewhere")
    for ignored in (".hidden", "@eaDir", "marked"):
        (audio_copy / ignored).mkdir()
    (audio_copy / "marked" / ".nomedia").touch()
    (audio_copy / "bass" / ".trash").mkdir()
    shutil.copy(audio_copy / "bass" / "0.wav", audio_copy / "bass" / ".trash" / "0.wav")
    write_tone(audio_copy / "loose.wav")
    report = prepare(audio_copy, tmp_path / "data")
    assert "Left out 1 song that is in no genre folder: loose.wav." in report.messages
    assert "flute leads out of the folder and is scanned" in report.text
    data = load_dataset(tmp_path / "data")
    assert data.labels == ("bass", "flute", "noise")
    assert len(data.songs) == 6


def test_interrupted_preparation_continues(audio_copy: Path, tmp_path: Path) -> None:
    (audio_copy / "polka").mkdir()
    silence = np.zeros((66_150, 1), np.float32)
    write_audio(audio_copy / "polka" / "silent.wav", silence, 22_050)
    with pytest.raises(DataError):  # fails at the end and keeps the feature files
        prepare(audio_copy, tmp_path / "data")
    parts = tmp_path / "data" / "parts"
    before = {file: file.stat().st_mtime_ns for file in parts.iterdir()}
    assert len(before) == 6
    shutil.rmtree(audio_copy / "polka")
    first = audio_copy / "bass" / "0.wav"
    first.unlink()
    write_tone(first, 7.0)  # changed: computed again
    builder = DatasetBuilder(audio_copy, FolderStore(parts.parent), MFCC_CONFIG, LocalExecutor(0))
    files = find_files(builder.list_songs(), audio_copy, builder.executor)
    list(prepare_songs(files, builder.store, MFCC_CONFIG, builder.executor))
    assert len(list(parts.iterdir())) == 7
    assert all(file.stat().st_mtime_ns == time for file, time in before.items())
    prepare(audio_copy, tmp_path / "data")
    data = load_dataset(tmp_path / "data")
    assert data.segment_counts.tolist() == [2] * 6
    expected = librosa_mfcc(song_segments(first)[0])
    np.testing.assert_allclose(data.features[0], expected, rtol=0, atol=ROUNDING)
    assert not parts.exists()


@pytest.mark.parametrize(
    ("feature_config", "content", "digest"),
    [
        (MFCC_CONFIG, "segments", "5b6f48ef8b5fc7c08a1f330450c54cd4"),
        (MFCC_CONFIG, "spectra", "8cd067da8f7070beb8c35465c0c3d18c"),
        (LOG_MEL_CONFIG, "segments", "c73c4b2ef20175abcbb8d6723315a5c1"),
    ],
)
def test_feature_file_names_are_stable(
    feature_config: FeatureConfig, content: FileContent, digest: str
) -> None:
    file = SongFile("/music/jazz/\udce9 it's.wav", 123456, 1700000000123456789)
    name = feature_file_name(file, feature_config, content)
    assert name.startswith(f"parts/{digest}")
    assert len(name) == len("parts/.npy") + 64


def test_shard_names_are_stable() -> None:
    file = SongFile("/music/jazz/\udce9 it's.wav", 123456, 1700000000123456789)
    song = LabelledSong("jazz/a", Path("jazz/a.wav"), "jazz")
    (plan,) = plan_shards({song: file}, MFCC_CONFIG, 4)
    assert plan.name == "000000-371ae798e2f2bfeb"


def test_copies_of_a_recording_share_a_group(audio_copy: Path, tmp_path: Path) -> None:
    shutil.copy(audio_copy / "bass" / "0.wav", audio_copy / "bass" / "the same.wav")
    (audio_copy / "exact_duplicates.txt").write_text("flute/0.wav flute/1.wav\n")
    prepare(audio_copy, tmp_path / "data")
    group = {song.name: song.group for song in load_dataset(tmp_path / "data").songs}
    assert group["bass/0.wav"] == group["bass/the same.wav"] != group["bass/1.wav"]
    assert group["flute/0.wav"] == group["flute/1.wav"]


def test_short_clip_is_repeated_to_a_segment(tmp_path: Path) -> None:
    (segment,) = song_segments(write_tone(tmp_path / "clip.wav", 2.0))
    clip = tone(440.0, 2.0)[:, 0]
    np.testing.assert_allclose(segment, np.resize(clip, 66_150), atol=1e-4)


def test_non_finite_features_are_named(audio: Path, tmp_path: Path) -> None:
    prepare(audio, tmp_path / "data")
    features = np.load(tmp_path / "data" / "features.npy")
    features[3, 5, 2] = np.nan
    np.save(tmp_path / "data" / "features.npy", features)
    with pytest.raises(DataError, match=r"bass/1\.wav contain non-finite values"):
        load_dataset(tmp_path / "data").check()


@dataclass(frozen=True)
class CrashingSetup:
    """Set up a worker that exits at some songs and does nothing for the others."""

    def __call__(self) -> Callable[[Any], None]:
        def run(job: Any) -> None:
            if "1.wav" in job.path:
                os._exit(3)

        return run


def test_crashed_worker_loses_only_its_song(
    audio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    songs = songs_from_listing(list_songs(audio))
    setup = "pocketgenre.training.data.feature_files._FeatureSetup"
    monkeypatch.setattr(setup, lambda *_: CrashingSetup())
    executor = LocalExecutor(2)
    files = find_files(songs, audio, executor)
    prepared = list(prepare_songs(files, FolderStore(tmp_path), MFCC_CONFIG, executor))
    failed = [item for item in prepared if item.error]
    assert {item.song.name for item in failed} == {f"{g}/1.wav" for g in ("bass", "flute", "noise")}
    assert all("(exit status 3)" in (item.error or "") for item in failed)
    assert not any(item.is_transient for item in failed)
    assert len(prepared) == 6


def test_shards_contain_the_same_features(audio: Path, tmp_path: Path) -> None:
    for out, songs_per_shard in (("one", 0), ("shards", 4)):
        report = prepare(audio, tmp_path / out, songs_per_shard)
        assert "6 songs, 12 segments" in report.text
    one, shards = load_dataset(tmp_path / "one"), load_dataset(tmp_path / "shards")
    assert one.shards == ()
    manifest = json.loads((tmp_path / "shards" / "manifest.json").read_text())
    assert [len(shard["songs"]) for shard in manifest["shards"]] == [4, 2]
    for shard in manifest["shards"]:
        content = (tmp_path / "shards" / "shards" / f"{shard['name']}.npy").read_bytes()
        assert hashlib.sha256(content).hexdigest() == shard["sha256"]
        assert len(content) == shard["size"]
    position = {song.name: number for number, song in enumerate(one.songs)}
    for number, song in enumerate(shards.songs):
        sharded = shards.features[shards.segment_songs == number]
        whole = one.features[one.segment_songs == position[song.name]]
        np.testing.assert_array_equal(sharded, whole)
    assert not (tmp_path / "shards" / "parts").exists()


def test_option_shards_writes_shards(audio: Path, tmp_path: Path) -> None:
    result = invoke(PREPARE, audio, "--out", tmp_path, "--shards", 4, "--workers", 1)
    assert result.returncode == 0, result.stderr
    assert "6 songs, 12 segments" in result.stderr
    assert [len(shard.songs) for shard in load_dataset(tmp_path).shards] == [4, 2]


def test_left_out_songs_keep_their_stored_keys(audio_copy: Path, tmp_path: Path) -> None:
    (audio_copy / "bass" / "broken.mp3").write_text("no music")
    prepare(audio_copy, tmp_path / "data", songs_per_shard=8)
    (shard,) = json.loads((tmp_path / "data" / "manifest.json").read_text())["shards"]
    assert list(shard) == ["name", "songs", "counts", "digests", "left_out", "size", "sha256"]
    (left_out,) = shard["left_out"]
    assert list(left_out) == ["song", "reason", "passing"]
    assert left_out["song"] == "bass/broken.mp3"
    assert left_out["passing"] is False
    (loaded,) = load_dataset(tmp_path / "data").shards
    assert loaded.to_dict() == {
        **shard, "songs": tuple(shard["songs"]), "counts": tuple(shard["counts"]),
        "digests": tuple(shard["digests"]),
    }  # fmt: skip


def test_sharded_features_index_like_an_array(audio: Path, tmp_path: Path) -> None:
    prepare(audio, tmp_path, songs_per_shard=2)
    features = load_dataset(tmp_path).features
    whole = np.asarray(features)
    assert features.shape == whole.shape == (12, 130, 13)
    assert len(features) == 12
    for index in (np.array([11, 0, 5, 5]), slice(2, 9, 3), np.arange(12) % 2 == 0, 3, -1,
                  np.array([], int)):  # fmt: skip
        np.testing.assert_array_equal(features[index], whole[index])
    with pytest.raises(IndexError):
        features[np.array([12])]


def test_only_damaged_shards_are_replaced(audio: Path, tmp_path: Path) -> None:
    prepare(audio, tmp_path, songs_per_shard=1)
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in tmp_path.rglob("*.npy")}
    assert len(before) == 6
    flipped, cut, lost, *intact = sorted(before)
    content = bytearray(before[flipped][1])
    content[-1] ^= 1
    flipped.write_bytes(content)
    with pytest.raises(DataError, match=f"{flipped.stem}.npy is damaged: its checksum is wrong"):
        load_dataset(tmp_path).check()
    cut.write_bytes(before[cut][1][:-1])
    lost.unlink()
    report = prepare(audio, tmp_path, songs_per_shard=1)
    assert "Found 3 intact shards of 6." in report.messages
    assert report.progress[-1] == ("Computing segments of 3 songs", 3, 3)
    load_dataset(tmp_path).check()
    assert {p: p.read_bytes() for p in before} == {p: c for p, (_, c) in before.items()}
    assert all(path.stat().st_mtime_ns == before[path][0] for path in intact)


def test_changed_song_replaces_its_shard(audio_copy: Path, tmp_path: Path) -> None:
    prepare(audio_copy, tmp_path / "data", songs_per_shard=1)
    before = {path.name for path in (tmp_path / "data" / "shards").iterdir()}
    write_tone(audio_copy / "bass" / "0.wav", 7.0)
    report = prepare(audio_copy, tmp_path / "data", songs_per_shard=1)
    assert "Found 5 intact shards of 6." in report.messages
    after = {path.name for path in (tmp_path / "data" / "shards").iterdir()}
    assert len(after) == len(before) == 12
    assert len(after - before) == 2


@pytest.mark.parametrize("content", ["{", '{"shards": [{}]}', '{"shards": [{"name": "../x"}]}'])
def test_damaged_manifest_is_an_error(audio: Path, tmp_path: Path, content: str) -> None:
    prepare(audio, tmp_path, songs_per_shard=4)
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(DataError, match=r"manifest\.json cannot be used"):
        load_dataset(tmp_path)


def test_shard_name_must_not_leave_its_folder(audio: Path, tmp_path: Path) -> None:
    prepare(audio, tmp_path, songs_per_shard=4)
    manifest = tmp_path / "manifest.json"
    content = json.loads(manifest.read_text())
    content["shards"][0]["name"] = "../x"
    manifest.write_text(json.dumps(content))
    with pytest.raises(DataError, match="its name is not alphanumeric"):
        load_dataset(tmp_path)


def test_damaged_data_set_is_an_error(audio: Path, tmp_path: Path) -> None:
    prepare(audio, tmp_path / "data")
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
