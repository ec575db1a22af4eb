"""The majority of a song's segments decides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pocketgenre.vote import majority_vote, probability_vote

LABELS = ("blues", "jazz", "rock")


def test_most_votes_win_even_against_a_larger_probability() -> None:
    vote = majority_vote(np.array([[0.4, 0.3, 0.3], [0.4, 0.3, 0.3], [0.0, 0.0, 1.0]]), LABELS)
    assert vote.genre == "blues"
    assert vote.votes == {"blues": 2, "jazz": 0, "rock": 1}
    assert vote.segments == 3
    assert vote.confidence == pytest.approx(2 / 3)
    assert vote.probabilities["rock"] == pytest.approx(1.6 / 3)


def test_by_probability_one_sure_segment_outweighs_two_doubting_ones() -> None:
    vote = probability_vote(np.array([[0.4, 0.3, 0.3], [0.4, 0.3, 0.3], [0.0, 0.0, 1.0]]), LABELS)
    assert vote.genre == "rock"
    assert vote.confidence == pytest.approx(1.6 / 3)
    assert vote.votes == {"blues": 2, "jazz": 0, "rock": 1}


def test_a_tie_goes_to_the_larger_summed_probability() -> None:
    vote = majority_vote(np.array([[0.6, 0.2, 0.2], [0.1, 0.0, 0.9]]), LABELS)
    assert vote.genre == "rock"
    assert vote.confidence == 0.5


@given(
    hnp.arrays(
        np.float32, st.tuples(st.integers(1, 30), st.just(3)), elements=st.floats(0, 1, width=32)
    )
)
def test_a_vote_is_consistent_and_does_not_depend_on_the_order(table: np.ndarray) -> None:
    vote = majority_vote(table, LABELS)
    assert sum(vote.votes.values()) == vote.segments == len(table)
    assert vote.votes[vote.genre] == max(vote.votes.values())
    assert 0 < vote.confidence <= 1
    assert majority_vote(table[::-1], LABELS).votes == vote.votes


@pytest.mark.parametrize("shape", [(0, 3), (4, 2), (3,)])
def test_a_table_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="probabilities"):
        majority_vote(np.zeros(shape), LABELS)
