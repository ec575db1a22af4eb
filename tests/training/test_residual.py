"""Augment training data, train the residual network, and join its members."""

import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import keras
import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pocketgenre.constants import NOT_MUSIC
from pocketgenre.features import compute_features
from pocketgenre.features.config import MFCC_CONFIG
from pocketgenre.training.augmentation import RESIDUAL_AUGMENTATION, Augmentation
from pocketgenre.training.data.dataset import Dataset, load_dataset
from pocketgenre.training.data.librosa_features import song_segments
from pocketgenre.training.data.mel_spectra import load_spectra
from pocketgenre.training.data.mfcc_songs import MfccSongs, read_mfcc_songs
from pocketgenre.training.data.splits import Split
from pocketgenre.training.errors import DataError
from pocketgenre.training.models.augmentation import (
    decibels_to_mfcc,
    mask_frames,
    mix_up,
)
from pocketgenre.training.models.residual.excerpts import Excerpt
from pocketgenre.training.models.residual.network import (
    STRIDE,
    build_ensemble,
    build_member,
    frames_per_view,
)
from pocketgenre.training.models.residual.segment_sampler import SegmentSampler
from pocketgenre.training.models.trainers import find_trainer
from tests.conftest import REPOSITORY, tone, until, write_genres
from tests.training.commands import PREPARE, TRAIN, prepare, refuse, succeed

THIRD = ("--validation", 0.34)
NO_MEAN = np.zeros(13, np.float32)


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_genres(tmp_path_factory.mktemp("audio"), songs=3)


@pytest.fixture(scope="module")
def dataset(audio: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data") / "data"
    prepare(audio, "--out", folder, "--spectra")
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


def test_ensemble_averages_logits_of_views_and_members() -> None:
    rng = np.random.default_rng(1)
    mean, variance = np.full(13, 0.5, np.float32), np.full(13, 4.0, np.float32)
    members = []
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        members.append(build_member(44, 10, mean, variance))
    segments = rng.normal(size=(4, 130, 13)).astype(np.float32)
    filled = np.concatenate([segments, np.broadcast_to(mean, (4, 2, 13))], axis=1)
    logs = [
        np.log(m(filled[:, view::STRIDE], training=False)) for m in members for view in (0, 1, 2)
    ]
    expected = np.exp(np.mean(logs, axis=0))
    expected /= expected.sum(axis=1, keepdims=True)
    ensemble = build_ensemble(members, 130)
    np.testing.assert_allclose(ensemble(segments, training=False), expected, atol=1e-5)


def test_ensemble_takes_smallest_segments() -> None:
    frames, coefficients = find_trainer("residual").min_shape
    moments = np.zeros(coefficients, np.float32), np.ones(coefficients, np.float32)
    member = build_member(frames_per_view(frames), 3, *moments)
    segments = np.ones((2, frames, coefficients), np.float32)
    assert build_ensemble([member], frames)(segments).shape == (2, 3)
    rng = np.random.default_rng(1)
    mask_frames(segments[:, ::STRIDE], moments[0], RESIDUAL_AUGMENTATION.time_mask, rng)


def test_mfcc_of_spectrum_equal_library_features() -> None:
    samples = tone(440.0, 3.0)[: MFCC_CONFIG.segment_samples, 0]
    decibels = spectrum_of(samples).astype(np.float32)
    assert decibels.min() < decibels.max() - MFCC_CONFIG.top_db  # so that the limit matters
    mfcc = decibels_to_mfcc(decibels[np.newaxis], MFCC_CONFIG)[0]
    np.testing.assert_allclose(
        mfcc, compute_features(samples, MFCC_CONFIG), atol=0.3
    )  # float16 decibels


@cache
def excerpt_of_tone() -> Excerpt:
    return Excerpt(spectrum_of(tone(1_000.0, 4.0)[:, 0]))


@given(st.integers(0, 2**32 - 1))
def test_speed_change_shifts_tone_by_a_tenth(seed: int) -> None:
    view = excerpt_of_tone().sample_view(MFCC_CONFIG, 0.1, np.random.default_rng(seed))
    assert view.shape == (44, 128)
    centres = librosa.mel_frequencies(130, fmax=11_025)[1:-1]
    frequency = centres[view.mean(axis=0).argmax()]
    assert 850 < frequency < 1_150


@given(
    arrays(np.float32, (5, 4, 13), elements=st.floats(-100, 100, width=32)),
    st.integers(0, 2**32 - 1),
)
def test_mixed_targets_sum_to_one(features: np.ndarray, seed: int) -> None:
    targets = np.eye(5, dtype=np.float32)
    mixed, shares = mix_up(features, targets, 0.2, np.random.default_rng(seed))
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    assert (shares[np.arange(5), np.arange(5)] >= 0.5 - 1e-6).all()
    assert mixed.min() >= features.min() - 1e-3
    assert mixed.max() <= features.max() + 1e-3


def test_batches_depend_only_on_seed_and_epoch(dataset: Dataset) -> None:
    everything = np.arange(len(dataset.segment_songs))
    sampler = SegmentSampler.from_split(
        dataset, Split(everything, everything[:0], everything[:0]), NO_MEAN, RESIDUAL_AUGMENTATION
    )

    def batches(first_epoch: int) -> list[np.ndarray]:
        found = sampler.batches(8, 2, (7,), first_epoch).take(4)
        return [features.numpy() for features, _ in found]

    whole, later = batches(0), batches(1)
    np.testing.assert_array_equal(whole[2:], later[:2])
    assert not np.array_equal(whole[0], whole[2])


def test_augmentation_can_be_turned_off(dataset: Dataset) -> None:
    everything = np.arange(len(dataset.segment_songs))
    split = Split(everything, everything[:0], everything[:0])
    sampler = SegmentSampler.from_split(dataset, split, NO_MEAN, Augmentation())
    features, targets = next(iter(sampler.batches(20, 1, (1,), 0)))
    np.testing.assert_allclose(targets.numpy().max(axis=1), 0.9667, atol=1e-4)  # not mixed
    songs = [decibels_to_mfcc(s[np.newaxis].astype(np.float32), MFCC_CONFIG)[0] for s in
             load_spectra(dataset)]  # fmt: skip
    for view in features.numpy():
        nearest = min(np.abs(song[:, 1:] - view[0, 1:]).max(axis=1).min() for song in songs)
        assert nearest < 1.0


def test_excerpts_cover_only_training_segments(dataset: Dataset) -> None:
    first_of_each = np.flatnonzero(np.diff(dataset.segment_songs, prepend=-1))
    rest = np.setdiff1d(np.arange(len(dataset.segment_songs)), first_of_each)
    split = Split(rest, first_of_each, rest[:0])
    sampler = SegmentSampler.from_split(dataset, split, NO_MEAN, RESIDUAL_AUGMENTATION)
    for excerpts, spectrum in zip(sampler.recordings.excerpts, load_spectra(dataset), strict=True):
        (excerpt,) = excerpts
        assert len(excerpt.decibels) == len(spectrum) - 130  # the second segment starts at 129.2
        np.testing.assert_array_equal(excerpt.decibels, spectrum[130:])


def test_labels_are_drawn_equally(audio: Path, dataset: Dataset, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for name, genre, songs in (("music", "bass", 1), (NOT_MUSIC, "noise", 3)):
        shutil.copytree(audio / genre, other / name)
        for file in sorted((other / name).iterdir())[songs:]:
            file.unlink()
    prepare(other, "--out", tmp_path / "data", "--spectra")
    with_not_music = replace(dataset, more_labels=(NOT_MUSIC,))
    everything = np.arange(len(dataset.segment_songs))
    sampler = SegmentSampler.from_split(
        with_not_music,
        Split(everything, everything[:0], everything[:0]),
        NO_MEAN,
        RESIDUAL_AUGMENTATION,
        load_dataset(tmp_path / "data"),
    )
    shares = np.mean(
        [y.numpy().mean(axis=0) for _, y in sampler.batches(50, 40, (1,), 0).take(40)], axis=0
    )
    # Of 4.5 parts, the three genres and not-music have one each, and music of unknown genre half.
    smoothing = 0.05
    genre = (1 + 0.5 / 3) / 4.5 * (1 - smoothing) + smoothing / 4
    expected = [genre, genre, genre, 1 / 4.5 * (1 - smoothing) + smoothing / 4]
    np.testing.assert_allclose(shares, expected, atol=0.03)


def test_mfcc_songs_related_to_test_songs_are_excluded(
    audio: Path, dataset: Dataset, tmp_path: Path
) -> None:
    index = tmp_path / "index.csv"
    lines = [
        f"{s.path},{s.path.stem}-{s.genre},{s.genre},Band {i}" for i, s in enumerate(dataset.songs)
    ]
    index.write_text("\n".join(["path,song,genre,artist", *lines]) + "\n")
    names = [line.split(",")[1] for line in lines]
    songs = [
        (names[0], "bass", ""),  # the same song
        ("other", "bass", "BAND 1"),  # the same artist
        ("stranger", "noise", "Nobody"),
    ]
    file = write_mfcc_songs(tmp_path / "more.npz", songs)
    options = ["--index", index, "--spectra", "--mfcc-songs", file]
    prepare(audio, "--out", tmp_path / "data", *options)
    data = load_dataset(tmp_path / "data")
    more = MfccSongs.load(data.folder)
    assert more is not None
    groups = {song.artist: song.group for song in data.songs}
    assert more.unrelated_to(np.array([groups["Band 0"]])).tolist() == [1, 2]
    assert more.unrelated_to(np.array([groups["Band 1"]])).tolist() == [0, 2]
    test = np.flatnonzero(data.song_groups[data.segment_songs] == groups["Band 1"])
    rest = np.setdiff1d(np.arange(len(data.segment_songs)), test)
    sampler = SegmentSampler.from_split(
        data, Split(rest, test, test), NO_MEAN, RESIDUAL_AUGMENTATION
    )
    assert sampler.mfcc_songs is not None
    genres = sampler.mfcc_songs.targets.argmax(axis=1)
    assert [data.labels[genre] for genre in genres] == ["bass", "noise"]

    prepare(audio, "--out", tmp_path / "data")
    assert MfccSongs.load(tmp_path / "data") is None  # since the groups may have changed


def test_mfcc_song_is_related_to_all_namesakes(dataset: Dataset, tmp_path: Path) -> None:
    names = ("own/rock/01.wav", "own/jazz/01.wav", "own/jazz/02.wav")
    songs = [
        replace(one, name=name, artist="", group=group)
        for group, (one, name) in enumerate(zip(dataset.songs[:3], names, strict=True))
    ]
    file = write_mfcc_songs(tmp_path / "more.npz", [("rock/01", "bass", ""), ("03", "bass", "")])
    few = replace(dataset, songs=(*songs, *dataset.songs[3:]))
    assert read_mfcc_songs(file, few, []).related.tolist() == [[0, 0], [0, 1]]
    duplicates = [("own/jazz/02.wav", "03.mp3")]
    assert read_mfcc_songs(file, few, duplicates).related.tolist() == [[0, 0], [0, 1], [1, 2]]


def test_inconsistent_mfcc_songs_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    file = tmp_path / "more.npz"
    fields = {"song": ["a", "b"], "genre": ["bass", "bass"], "artist": ["", ""]}
    np.savez(file, mfcc=np.zeros((3, 60, 13), np.float32), **fields)
    with pytest.raises(DataError, match="of equal length"):
        read_mfcc_songs(file, dataset, [])
    np.savez(file, mfcc=np.zeros((2, 5, 13), np.float32), **fields)
    read_mfcc_songs(file, dataset, []).save(tmp_path)
    everything = np.arange(len(dataset.segment_songs))
    with pytest.raises(DataError, match="5 frames"):
        SegmentSampler.from_split(
            replace(dataset, folder=tmp_path),
            Split(everything, everything[:0], everything[:0]),
            NO_MEAN,
            RESIDUAL_AUGMENTATION,
        )


def test_failed_mfcc_songs_leave_dataset_unfinished(
    audio: Path, dataset: Dataset, tmp_path: Path
) -> None:
    out = tmp_path / "data"
    shutil.copytree(
        dataset.folder, out
    )  # a finished data set, which is prepared again with more songs
    more_songs = write_mfcc_songs(tmp_path / "others.npz", [("a", "polka", "")])
    options = ["--spectra", "--mfcc-songs", more_songs, "--workers", 1]
    message = refuse(PREPARE, audio, "--out", out, *options)
    assert "has genres that the data set lacks: polka" in message
    with pytest.raises(DataError, match="not a finished data set"):
        load_dataset(out)


def test_short_clip_is_repeated_in_spectrum(tmp_path: Path) -> None:
    audio = write_genres(tmp_path / "audio", songs=1, seconds=2.2)
    prepare(audio, "--out", tmp_path / "data", "--spectra")
    data = load_dataset(tmp_path / "data")
    filled = song_segments(audio / data.songs[0].path)[0]
    np.testing.assert_array_equal(load_spectra(data)[0], spectrum_of(filled))


def test_dataset_without_spectra_is_refused(audio: Path, tmp_path: Path) -> None:
    prepare(audio, "--out", tmp_path / "data")
    options = ["--model", "residual", *THIRD, "--out", tmp_path / "run"]
    assert "has no spectra; prepare it again with --spectra" in refuse(
        TRAIN, tmp_path / "data", *options
    )


@pytest.mark.long
def test_killed_training_resumes_to_same_network(dataset: Dataset, tmp_path: Path) -> None:
    options = [dataset.folder, "--model", "residual", "--epochs", 2, "--members", 2]
    options += ["--batch-size", 8, *THIRD]
    succeed(TRAIN, *options, "--out", tmp_path / "whole")

    command = [sys.executable, "-m", TRAIN, *map(str, options), "--out", str(tmp_path / "killed")]
    process = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL)
    second = tmp_path / "killed.unfinished" / "checkpoints" / "member-2" / "last.keras"
    until(lambda: second.exists() or process.poll() is not None, 120)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    succeed(TRAIN, *options, "--out", tmp_path / "killed")
    one, two = (
        keras.models.load_model(tmp_path / run / "model.keras") for run in ("whole", "killed")
    )
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.input_shape == (None, 130, 13)
