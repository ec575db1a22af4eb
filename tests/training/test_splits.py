"""Splits keep songs, artists and duplicates together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketgenre.features.config import MFCC_CONFIG
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.groups import group_songs
from pocketgenre.training.data.labelled_songs import LabelledSong
from pocketgenre.training.data.splits import (
    Split,
    hold_out_folds,
    hold_out_validation,
    leave_out_songs,
    limit_songs,
    require_all_genres,
    split_segments,
)
from pocketgenre.training.errors import DataError
from pocketgenre.training.evaluation.metrics import compute_metrics


def dataset(artists: dict[str, list[str]], segments: int = 3) -> Dataset:
    """Make a data set without features from the artists of each genre's songs."""
    songs = [
        LabelledSong(f"{genre}.{i}", Path(f"{genre}.{i}"), genre, artist)
        for genre, names in artists.items()
        for i, artist in enumerate(names)
    ]
    counts = np.full(len(songs), segments, dtype=np.int64)
    return Dataset(Path(), Path(), MFCC_CONFIG, tuple(group_songs(songs)), counts)


artists = st.lists(st.sampled_from(["", "A", "B", "C", "D"]), min_size=8, max_size=20)


@settings(max_examples=60)
@given(jazz=artists, rock=artists, folds=st.integers(2, 4), seed=st.integers(0, 100))
def test_songs_protocol_keeps_groups_and_tests_all_once(jazz, rock, folds, seed) -> None:
    data = dataset({"jazz": jazz, "rock": rock})
    try:
        splits = split_segments(data, "songs", folds, seed)
    except DataError:
        return
    groups = data.song_groups[data.segment_songs]
    for split in splits:
        assert not set(groups[split.train]) & set(groups[split.test])
        assert not set(data.segment_songs[split.train]) & set(data.segment_songs[split.test])
        assert len(split.train) + len(split.test) == len(data.segment_songs)
    tested = np.sort(np.concatenate([split.test for split in splits]))
    np.testing.assert_array_equal(tested, np.arange(len(data.segment_songs)))


def test_published_protocol_leaks_songs() -> None:
    data = dataset({"jazz": [""] * 20, "rock": [""] * 20}, segments=10)
    split = split_segments(data, "segments", 5, seed=1)[0]
    songs = data.segment_songs
    assert set(songs[split.test]) <= set(songs[split.train])
    assert len(set(songs[split.train]) & set(songs[split.test])) > 30


def test_split_depends_on_the_seed_only() -> None:
    data = dataset({"jazz": [""] * 20, "rock": [""] * 20})
    one, again, other = (split_segments(data, "songs", 5, seed)[0].test for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_genres_of_one_artist_are_refused_at_once() -> None:
    data = dataset({"jazz": ["Nina"] * 10, "rock": [""] * 10})
    with pytest.raises(DataError, match=r"^jazz has only 1 group of songs"):
        split_segments(data, "songs", 2, seed=1)
    data = dataset({"jazz": ["Nina"] * 10, "pop": ["Ann"], "rock": [""] * 10})
    with pytest.raises(DataError, match=r"^jazz, pop have only 1 group of songs"):
        split_segments(data, "songs", 2, seed=1)


def test_more_folds_than_groups_are_refused() -> None:
    data = dataset({"jazz": ["", ""], "rock": ["", ""]})
    with pytest.raises(DataError, match="too few songs, or groups of songs, for 5 folds"):
        split_segments(data, "songs", 5, seed=1)


def test_long_song_is_limited_in_the_train_set() -> None:
    songs = dataset({"jazz": [""] * 3, "rock": [""] * 3})
    data = replace(songs, segment_counts=np.array([199, 3, 3, 3, 3, 3]))
    for split in split_segments(data, "songs", 3, seed=1):
        limited = limit_songs(data, split, 5)
        np.testing.assert_array_equal(limited.test, split.test)
        counts = np.bincount(data.segment_songs[limited.train], minlength=6)
        before = np.bincount(data.segment_songs[split.train], minlength=6)
        np.testing.assert_array_equal(counts, np.minimum(before, 5))
        assert set(limited.train) <= set(split.train)
        assert limit_songs(data, split, 0) is split
    long = limit_songs(data, Split(np.arange(199), np.arange(0), np.arange(0)), 5).train
    np.testing.assert_array_equal(long, [0, 50, 99, 148, 198])


def test_left_out_songs_leave_the_train_set_only() -> None:
    data = dataset({"jazz": [""] * 10, "rock": [""] * 10})
    names = ["jazz.3", "rock.0", "rock.9"]
    left_out = [i for i, song in enumerate(data.songs) if song.name in names]
    for split in split_segments(data, "songs", 5, seed=1):
        without = leave_out_songs(data, split, names)
        np.testing.assert_array_equal(without.test, split.test)
        gone = np.setdiff1d(split.train, without.train)
        expected = split.train[np.isin(data.segment_songs[split.train], left_out)]
        np.testing.assert_array_equal(gone, expected)


def test_unknown_songs_and_whole_genres_are_refused() -> None:
    data = dataset({"jazz": ["", "", ""], "rock": ["", "", ""]})
    split = split_segments(data, "songs", 3, seed=1)[0]
    with pytest.raises(DataError, match="a, b, c and 1 more"):
        leave_out_songs(data, split, ["a", "jazz.0", "b", "c", "d"])
    with pytest.raises(DataError, match="no jazz is left"):
        leave_out_songs(data, split, ["jazz.0", "jazz.1", "jazz.2"])


def test_metrics_count_segments_and_song_votes() -> None:
    data = dataset({"jazz": ["", ""], "rock": ["", ""]}, segments=3)
    truth = data.segment_targets
    probabilities = np.eye(2)[truth].astype(np.float32)
    probabilities[0] = [0.0, 1.0]  # one segment of the first song: the majority is correct
    probabilities[3:5] = [0.0, 1.0]  # two segments of the second: the majority is wrong
    metrics = compute_metrics(data, np.arange(12), probabilities)
    assert metrics.segment_accuracy == pytest.approx(9 / 12)
    assert metrics.song_accuracy == pytest.approx(3 / 4)
    assert metrics.song_mean_recall == pytest.approx((1 / 2 + 1) / 2)


def test_first_folds_can_be_held_out_together() -> None:
    data = dataset({"jazz": [""] * 20, "rock": [""] * 20})
    split = hold_out_folds(split_segments(data, "songs", 5, seed=1), 2)
    assert len(split.test) == 2 / 5 * len(data.segment_songs)
    both = np.sort(np.concatenate([split.train, split.test]))
    np.testing.assert_array_equal(both, np.arange(len(data.segment_songs)))


@settings(max_examples=40)
@given(rare=st.lists(st.sampled_from("AB"), min_size=2, max_size=6), seed=st.integers(0, 50))
def test_validation_never_holds_out_a_whole_genre(rare: list[str], seed: int) -> None:
    data = dataset({"jazz": [""] * 20, "rare": rare, "rock": [""] * 20})
    everything = np.arange(len(data.segment_songs))
    try:
        split = hold_out_validation(
            data, Split(everything, everything[:0], everything[:0]), "songs", seed
        )
    except DataError as error:
        assert len(set(rare)) == 1 or "too few songs" in str(error)  # noqa: PT017
        return
    assert set(data.segment_targets[split.train]) == {0, 1, 2}
    assert not set(split.train) & set(split.validation)


def test_train_set_without_a_genre_is_refused() -> None:
    data = dataset({"jazz": ["A", "B"], "rock": [""] * 4})
    jazz, rock = (np.flatnonzero(data.segment_targets == target) for target in (0, 1))
    with pytest.raises(DataError, match="fold-1 has no training songs of jazz"):
        require_all_genres(data, Split(rock, jazz, jazz), "fold-1")
    require_all_genres(data, Split(np.concatenate([jazz, rock[:3]]), rock[3:], rock[3:]), "fold-1")
