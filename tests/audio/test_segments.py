"""Cut songs into consecutive 3 s segments."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketgenre.audio.segments import TooShortError, cut_segments


@settings(max_examples=50)
@given(lengths=st.lists(st.integers(1, 90_000), min_size=1, max_size=6))
def test_segments_do_not_depend_on_blocks(lengths: list[int]) -> None:
    song = np.arange(sum(lengths), dtype=np.float32)
    blocks = np.split(song, np.cumsum(lengths)[:-1])
    if len(song) < 22_050:
        with pytest.raises(TooShortError):
            list(cut_segments(blocks))
        return
    segments = list(cut_segments(blocks))
    assert len(segments) == max(1, len(song) // 66_150)
    joined = np.concatenate(segments)
    np.testing.assert_array_equal(joined, np.resize(song, len(joined)))


def test_remainder_shorter_than_a_segment_is_dropped() -> None:
    assert len(list(cut_segments([np.ones(2 * 66_150 - 1, np.float32)]))) == 1


def test_short_song_is_repeated_to_a_segment() -> None:
    second = np.arange(22_050, dtype=np.float32)
    (segment,) = cut_segments([second])
    np.testing.assert_array_equal(segment, np.tile(second, 3))


@pytest.mark.parametrize("blocks", [[], [np.ones(22_049, np.float32)]])
def test_song_under_one_second_raises_its_length(blocks: list) -> None:
    with pytest.raises(TooShortError, match=r"\d\.\d\d s of audio"):
        list(cut_segments(blocks))
