"""How a song goes from genre to genre."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketgenre.library.timeline import timeline, window_bounds, window_shares
from tests.conftest import GENRES
from tests.library.songs import catalog_song, failed_song, song


def parts(*genres: str) -> list[tuple[float, float, str]]:
    return [(part.start, part.end, part.genre) for part in timeline(song("/a.mp3", genres))]


def test_a_song_that_stays_has_one_part_and_a_failed_one_none() -> None:
    assert parts(*["rock"] * 23) == [(0, 69, "rock")]
    assert parts("rock") == [(0, 3, "rock")]
    assert timeline(failed_song("/a.mp3")) == ()


def test_a_song_that_changes_has_a_part_for_each_genre() -> None:
    assert parts(*["rock"] * 20, *["jazz"] * 10) == [(0, 60, "rock"), (60, 90, "jazz")]
    (first, _) = timeline(song("/a.mp3", ["rock"] * 15 + ["jazz"] * 10))
    assert first.shares["rock"] == 1.0
    assert set(first.shares) == set(GENRES)


def test_when_the_segments_are_is_not_known_where_some_were_picked() -> None:
    picked = replace(song("/a.mp3", ["rock"] * 20 + ["jazz"] * 10), seconds_per_segment=0.0)
    assert timeline(picked) == ()


def test_one_odd_segment_is_no_change() -> None:
    assert parts(*["rock"] * 9, "metal", "metal", *["rock"] * 9) == [(0, 60, "rock")]


def test_two_genres_near_each_other_do_not_flicker() -> None:
    table = np.zeros((60, len(GENRES)), np.float32)
    table[:, GENRES.index("rock")] = 0.50
    table[:, GENRES.index("metal")] = np.where(np.arange(60) // 5 % 2, 0.55, 0.45)
    assert [part.genre for part in timeline(catalog_song("/a.mp3", table))] == ["rock"]


@settings(deadline=None)  # the machine may be busy
@given(segments=st.integers(1, 5000), seconds=st.floats(0.5, 60), most=st.integers(1, 50))
def test_windows_cover_a_song_without_gaps(segments: int, seconds: float, most: int) -> None:
    for bounds in (window_bounds(segments, seconds), window_bounds(segments, seconds, most)):
        assert bounds[0] == 0
        assert bounds[-1] == segments
        assert all(start < end for start, end in pairwise(bounds))
    assert len(window_bounds(segments, seconds, most)) <= most + 1


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.sampled_from(GENRES), min_size=1, max_size=200))
def test_parts_follow_each_other_and_shares_add_up(genres: list[str]) -> None:
    found = timeline(song("/a.mp3", genres))
    assert found[0].start == 0
    assert found[-1].end == 3 * len(genres)
    for one, other in pairwise(found):
        assert one.end == other.start
        assert one.genre != other.genre
    for part in found:
        assert sum(part.shares.values()) == pytest.approx(1, abs=1e-4)
    weighted = sum(part.shares["rock"] * (part.end - part.start) for part in found)
    assert weighted == pytest.approx(3 * genres.count("rock"), rel=1e-4, abs=1e-3)


def test_window_shares_are_means() -> None:
    table = np.arange(12, dtype=np.float32).reshape(6, 2)
    assert window_shares(table, [0, 4, 6]).tolist() == [[3, 4], [9, 10]]
