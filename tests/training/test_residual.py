"""``train-model --model residual``: what it learns from, and what it becomes."""

import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pocketgenre.features import compute_features
from pocketgenre.features.config import MFCC_CONFIG
from pocketgenre.training.data.dataset import Dataset, load_dataset
from pocketgenre.training.data.librosa_features import song_segments
from pocketgenre.training.data.mel_spectra import load_spectra
from pocketgenre.training.data.mfcc_songs import MfccSongs, read_mfcc_songs
from pocketgenre.training.data.songs import DataError
from pocketgenre.training.data.splits import Split
from pocketgenre.training.models.residual.augmentation import Excerpt, decibels_to_mfcc, mix_up
from pocketgenre.training.models.residual.network import STRIDE, training_network, whole_network
from pocketgenre.training.models.residual.segment_sampler import SegmentSampler
from tests.conftest import REPOSITORY, Command, tone, until, write_genres

PREPARE, TRAIN = "pocketgenre.training.cli.prepare_dataset", "pocketgenre.training.cli.train_model"
THIRD = ("--validation", 0.34)
NO_MEAN = np.zeros(13, np.float32)


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_genres(tmp_path_factory.mktemp("audio"), songs=3)


@pytest.fixture(scope="module")
def dataset(audio: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data") / "data"
    command = [sys.executable, "-m", PREPARE, audio, "--out", folder, "--spectra"]
    subprocess.run(command, check=True)
    return load_dataset(folder)


def spectrum_of(samples: np.ndarray) -> np.ndarray:
    power = librosa.feature.melspectrogram(y=samples, sr=22_050)
    return librosa.power_to_db(power, top_db=None).T.astype(np.float16)


def write_mfcc_songs(path: Path, songs: list[tuple[str, str, str]]) -> Path:
    names, genres, artists = zip(*songs, strict=True)
    rng = np.random.default_rng(3)
    frames = rng.normal(size=(len(songs), 60, 13)).astype(np.float32)
    np.savez(path, mfcc=frames, song=names, genre=genres, artist=artists)
    return path


def test_the_whole_network_averages_the_logits_of_three_views_and_all_members() -> None:
    rng = np.random.default_rng(1)
    mean, variance = np.full(13, 0.5, np.float32), np.full(13, 4.0, np.float32)
    members = []
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        members.append(training_network(44, 10, mean, variance))
    segments = rng.normal(size=(4, 130, 13)).astype(np.float32)
    filled = np.concatenate([segments, np.broadcast_to(mean, (4, 2, 13))], axis=1)
    logs = [
        np.log(m(filled[:, view::STRIDE], training=False)) for m in members for view in (0, 1, 2)
    ]
    expected = np.exp(np.mean(logs, axis=0))
    expected /= expected.sum(axis=1, keepdims=True)
    whole = whole_network(members, 130)
    np.testing.assert_allclose(whole(segments, training=False), expected, atol=1e-5)


def test_the_mfcc_of_a_spectrum_are_those_of_the_device() -> None:
    samples = tone(440.0, 3.0)[: MFCC_CONFIG.segment_samples, 0]
    decibels = spectrum_of(samples).astype(np.float32)
    assert decibels.min() < decibels.max() - MFCC_CONFIG.top_db  # the dynamic range is limited too
    mfcc = decibels_to_mfcc(decibels[np.newaxis], MFCC_CONFIG)[0]
    np.testing.assert_allclose(mfcc, compute_features(samples), atol=0.3)  # float16 decibels


@given(st.integers(0, 2**32 - 1))
def test_a_record_played_at_another_speed_moves_a_tone_by_no_more_than_a_tenth(seed: int) -> None:
    stretch = Excerpt(spectrum_of(tone(1_000.0, 4.0)[:, 0]))
    cut = stretch.cut(MFCC_CONFIG, np.random.default_rng(seed))
    assert cut.shape == (44, 128)
    centres = librosa.mel_frequencies(130, fmax=11_025)[1:-1]
    heard = centres[cut.mean(axis=0).argmax()]
    assert 850 < heard < 1_150


@given(
    arrays(np.float32, (5, 4, 13), elements=st.floats(-100, 100, width=32)),
    st.integers(0, 2**32 - 1),
)
def test_mixed_targets_are_shares_of_one(features: np.ndarray, seed: int) -> None:
    targets = np.eye(5, dtype=np.float32)
    mixed, shares = mix_up(features, targets, np.random.default_rng(seed))
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    assert (shares[np.arange(5), np.arange(5)] >= 0.5 - 1e-6).all()  # its own genre leads
    assert mixed.min() >= features.min() - 1e-3
    assert mixed.max() <= features.max() + 1e-3


def test_the_batches_of_an_epoch_depend_on_seed_and_number_alone(dataset: Dataset) -> None:
    everything = np.arange(len(dataset.segment_songs))
    lessons = SegmentSampler.of(dataset, Split(everything, everything[:0], everything[:0]), NO_MEAN)

    def batches(first_epoch: int) -> list[np.ndarray]:
        found = lessons.batches(8, 2, (7,), first_epoch).take(4)
        return [features.numpy() for features, _ in found]

    whole, later = batches(0), batches(1)
    np.testing.assert_array_equal(whole[2:], later[:2])
    assert not np.array_equal(whole[0], whole[2])


def test_only_what_is_to_be_learned_from_is_cut(dataset: Dataset) -> None:
    first_of_each = np.flatnonzero(np.diff(dataset.segment_songs, prepend=-1))
    rest = np.setdiff1d(np.arange(len(dataset.segment_songs)), first_of_each)
    lessons = SegmentSampler.of(dataset, Split(rest, first_of_each, rest[:0]), NO_MEAN)
    for stretches, spectrum in zip(lessons.stretches, load_spectra(dataset), strict=True):
        (stretch,) = stretches
        assert len(stretch.decibels) == len(spectrum) - 130  # the second segment begins at 129.2
        np.testing.assert_array_equal(stretch.decibels, spectrum[130:])


def test_songs_known_by_their_mfcc_are_left_out_where_kin_is_judged(
    audio: Path, dataset: Dataset, tmp_path: Path, run_command: Command
) -> None:
    index = tmp_path / "index.csv"
    lines = [
        f"{s.path},{s.path.stem}-{s.genre},{s.genre},Band {i}" for i, s in enumerate(dataset.songs)
    ]
    index.write_text("\n".join(["path,song,genre,artist", *lines]) + "\n")
    mine = [line.split(",")[1] for line in lines]
    songs = [
        (mine[0], "bass", ""),  # the same song
        ("other", "bass", "BAND 1"),  # an artist in common
        ("stranger", "noise", "Nobody"),
    ]
    file = write_mfcc_songs(tmp_path / "more.npz", songs)
    options = ["--index", index, "--spectra", "--mfcc-songs", file]
    result = run_command(PREPARE, audio, "--out", tmp_path / "data", *options)
    assert result.returncode == 0, result.stderr
    data = load_dataset(tmp_path / "data")
    more = MfccSongs.load(data.folder)
    assert more is not None
    groups = {song.artist: song.group for song in data.songs}
    assert more.strangers(np.array([groups["Band 0"]])).tolist() == [1, 2]
    assert more.strangers(np.array([groups["Band 1"]])).tolist() == [0, 2]
    judged = np.flatnonzero(data.song_groups[data.segment_songs] == groups["Band 1"])
    rest = np.setdiff1d(np.arange(len(data.segment_songs)), judged)
    lessons = SegmentSampler.of(data, Split(rest, judged, judged), NO_MEAN)
    assert lessons.mfcc_targets.tolist() == [data.labels.index("bass"), data.labels.index("noise")]

    again = run_command(PREPARE, audio, "--out", tmp_path / "data")
    assert again.returncode == 0, again.stderr
    assert MfccSongs.load(tmp_path / "data") is None  # the groups may be others now


def test_of_two_songs_of_one_name_both_are_kin_with_the_one_known_by_its_mfcc(
    dataset: Dataset, tmp_path: Path
) -> None:
    names = ("mine/rock/01.wav", "mine/jazz/01.wav", "mine/jazz/02.wav")
    songs = [
        replace(one, name=name, artist="", group=group)
        for group, (one, name) in enumerate(zip(dataset.songs[:3], names, strict=True))
    ]
    file = write_mfcc_songs(tmp_path / "more.npz", [("rock/01", "bass", ""), ("03", "bass", "")])
    few = replace(dataset, songs=(*songs, *dataset.songs[3:]))
    assert read_mfcc_songs(file, few, []).kin.tolist() == [[0, 0], [0, 1]]
    duplicates = [("mine/jazz/02.wav", "03.mp3")]
    assert read_mfcc_songs(file, few, duplicates).kin.tolist() == [[0, 0], [0, 1], [1, 2]]


def test_mfcc_of_songs_that_do_not_fit_together_are_an_error(
    dataset: Dataset, tmp_path: Path
) -> None:
    file = tmp_path / "more.npz"
    fields = {"song": ["a", "b"], "genre": ["bass", "bass"], "artist": ["", ""]}
    np.savez(file, mfcc=np.zeros((3, 60, 13), np.float32), **fields)
    with pytest.raises(DataError, match="as many"):
        read_mfcc_songs(file, dataset, [])
    np.savez(file, mfcc=np.zeros((2, 5, 13), np.float32), **fields)
    read_mfcc_songs(file, dataset, []).save(tmp_path)
    everything = np.arange(len(dataset.segment_songs))
    with pytest.raises(DataError, match="5 frames"):
        SegmentSampler.of(
            replace(dataset, folder=tmp_path),
            Split(everything, everything[:0], everything[:0]),
            NO_MEAN,
        )


def test_a_data_set_is_finished_when_all_that_was_asked_for_stands_beside_it(
    audio: Path, dataset: Dataset, tmp_path: Path, run_command: Command
) -> None:
    out = tmp_path / "data"
    shutil.copytree(dataset.folder, out)  # finished, and made anew with more beside it
    strangers = write_mfcc_songs(tmp_path / "others.npz", [("a", "polka", "")])
    result = run_command(PREPARE, audio, "--out", out, "--spectra", "--mfcc-songs", strangers)
    assert result.returncode == 1
    assert "knows genres that the data set doesn't: polka" in result.stderr
    assert "Traceback" not in result.stderr
    with pytest.raises(DataError, match="not a finished data set"):
        load_dataset(out)


def test_a_clip_shorter_than_a_segment_is_repeated_in_its_spectrum(
    tmp_path: Path, run_command: Command
) -> None:
    audio = write_genres(tmp_path / "audio", songs=1, seconds=2.2)
    result = run_command(PREPARE, audio, "--out", tmp_path / "data", "--spectra")
    assert result.returncode == 0, result.stderr
    data = load_dataset(tmp_path / "data")
    filled = song_segments(audio / data.songs[0].path)[0]
    np.testing.assert_array_equal(load_spectra(data)[0], spectrum_of(filled))


def test_without_spectra_it_says_how_to_get_them(
    audio: Path, tmp_path: Path, run_command: Command
) -> None:
    run_command(PREPARE, audio, "--out", tmp_path / "data")
    result = run_command(
        TRAIN, tmp_path / "data", "--model", "residual", *THIRD, "--out", tmp_path / "run"
    )
    assert result.returncode == 1
    assert "has no spectra; prepare it again with --spectra" in result.stderr


@pytest.mark.long
def test_killed_it_goes_on_and_ends_with_the_same_network(
    dataset: Dataset, tmp_path: Path, run_command: Command
) -> None:
    options = [dataset.folder, "--model", "residual", "--epochs", 2, "--members", 2]
    options += ["--batch-size", 8, *THIRD]
    whole = run_command(TRAIN, *options, "--out", tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr

    command = [sys.executable, "-m", TRAIN, *map(str, options), "--out", str(tmp_path / "killed")]
    process = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL)
    second = tmp_path / "killed.unfinished" / "checkpoints" / "member-2" / "last.keras"
    until(lambda: second.exists() or process.poll() is not None, 120)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    result = run_command(TRAIN, *options, "--out", tmp_path / "killed")
    assert result.returncode == 0, result.stderr
    one, two = (
        keras.models.load_model(tmp_path / run / "model.keras") for run in ("whole", "killed")
    )
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.input_shape == (None, 130, 13)
