"""Split a song into parts of one genre each."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketgenre.prediction import predict_song
from pocketgenre.timeline import TimelinePart, timeline, window_bounds, window_means
from tests.conftest import GENRES


def certain_table(*genres: str) -> np.ndarray:
    """Return segment probabilities of 1 for one genre each."""
    return np.eye(len(GENRES), dtype=np.float32)[[GENRES.index(genre) for genre in genres]]


def timeline_of(*genres: str) -> tuple[TimelinePart, ...]:
    return timeline(certain_table(*genres), GENRES, 3.0)


def parts(*genres: str) -> list[tuple[float, float, str]]:
    return [(part.start, part.end, part.genre) for part in timeline_of(*genres)]


def test_constant_genre_gives_one_part() -> None:
    assert parts(*["rock"] * 23) == [(0, 69, "rock")]
    assert parts("rock") == [(0, 3, "rock")]


def test_empty_table_has_no_parts() -> None:
    assert timeline(np.empty((0, len(GENRES)), np.float32), GENRES, 3.0) == ()


def test_changing_genre_gives_a_part_each() -> None:
    assert parts(*["rock"] * 20, *["jazz"] * 10) == [(0, 60, "rock"), (60, 90, "jazz")]
    (first, _) = timeline_of(*["rock"] * 15, *["jazz"] * 10)
    assert first.probabilities["rock"] == 1.0
    assert set(first.probabilities) == set(GENRES)


def test_selected_segments_have_no_timeline() -> None:
    table = certain_table(*["rock"] * 20, *["jazz"] * 10)
    assert predict_song(table, GENRES).timeline == ()
    assert predict_song(table, GENRES, seconds_per_segment=3.0).timeline == timeline_of(
        *["rock"] * 20, *["jazz"] * 10
    )


def test_short_change_is_ignored() -> None:
    assert parts(*["rock"] * 9, "metal", "metal", *["rock"] * 9) == [(0, 60, "rock")]


def test_similar_genres_do_not_alternate() -> None:
    table = np.zeros((60, len(GENRES)), np.float32)
    table[:, GENRES.index("rock")] = 0.50
    table[:, GENRES.index("metal")] = np.where(np.arange(60) // 5 % 2, 0.55, 0.45)
    assert [part.genre for part in timeline(table, GENRES, 3.0)] == ["rock"]


@given(segments=st.integers(1, 5000), seconds=st.floats(0.5, 60), most=st.integers(1, 50))
def test_windows_cover_a_song_without_gaps(segments: int, seconds: float, most: int) -> None:
    for bounds in (window_bounds(segments, seconds), window_bounds(segments, seconds, most)):
        assert bounds[0] == 0
        assert bounds[-1] == segments
        assert all(start < end for start, end in pairwise(bounds))
    assert len(window_bounds(segments, seconds, most)) <= most + 1


@given(st.lists(st.sampled_from(GENRES), min_size=1, max_size=200))
def test_parts_are_consecutive_and_probabilities_sum(genres: list[str]) -> None:
    found = timeline_of(*genres)
    assert found[0].start == 0
    assert found[-1].end == 3 * len(genres)
    for one, other in pairwise(found):
        assert one.end == other.start
        assert one.genre != other.genre
    for part in found:
        assert sum(part.probabilities.values()) == pytest.approx(1, abs=1e-4)
    weighted = sum(part.probabilities["rock"] * (part.end - part.start) for part in found)
    assert weighted == pytest.approx(3 * genres.count("rock"), rel=1e-4, abs=1e-3)


def test_window_means_average_the_segments() -> None:
    table = np.arange(12, dtype=np.float32).reshape(6, 2)
    assert window_means(table, [0, 4, 6]).tolist() == [[3, 4], [9, 10]]


def test_silent_segments_do_not_count() -> None:
    silent = np.zeros((1, len(GENRES)), np.float32)
    rock, jazz = certain_table("rock"), certain_table("jazz")
    table = np.concatenate([silent] * 5 + [rock, silent] * 5 + [jazz, silent, silent] * 5)
    found = timeline(table, GENRES, 3.0)
    assert [(part.start, part.genre) for part in found] == [(0, "rock"), (45, "jazz")]
    assert found[0].probabilities["rock"] == 1.0
