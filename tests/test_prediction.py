"""Predict a song's genre from its segments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pocketgenre.prediction import DEFAULT_LABELS, UNCERTAIN, LabelConfig, predict_song

LABELS = ("blues", "jazz", "rock")
TWO_WEAK_ONE_STRONG = np.array([[0.4, 0.3, 0.3], [0.4, 0.3, 0.3], [0.0, 0.0, 1.0]])
BY_PROBABILITY = LabelConfig("probability")


def test_majority_outvotes_a_larger_probability() -> None:
    song = predict_song(TWO_WEAK_ONE_STRONG, LABELS)
    assert song.genre == "blues"
    assert song.votes == {"blues": 2, "jazz": 0, "rock": 1}
    assert song.segments == 3
    assert song.confidence == pytest.approx(2 / 3)
    assert song.probability == pytest.approx(0.8 / 3)
    assert song.probabilities["rock"] == pytest.approx(1.6 / 3)
    assert song.margin == pytest.approx(-0.8 / 3)


def test_probability_rule_weighs_strong_segments_more() -> None:
    song = predict_song(TWO_WEAK_ONE_STRONG, LABELS, BY_PROBABILITY)
    assert song.genre == "rock"
    assert song.confidence == song.probability == pytest.approx(1.6 / 3)
    assert song.margin == pytest.approx(0.8 / 3)
    assert song.votes == {"blues": 2, "jazz": 0, "rock": 1}


@pytest.mark.parametrize("config", [DEFAULT_LABELS, BY_PROBABILITY])
def test_top_genres_are_sorted_by_probability(config: LabelConfig) -> None:
    song = predict_song(TWO_WEAK_ONE_STRONG, LABELS, config)
    assert [genre for genre, _ in song.top] == ["rock", "blues", "jazz"]
    assert song.top == tuple((genre, song.probabilities[genre]) for genre, _ in song.top)


def test_top_has_at_most_three_genres() -> None:
    assert len(predict_song(np.eye(5), "abcde").top) == 3
    assert predict_song(np.ones((1, 1)), ["rock"]).top == (("rock", 1.0),)


def test_single_genre_has_its_probability_as_margin() -> None:
    assert predict_song(np.full((2, 1), 0.5), ["rock"]).margin == 0.5


def test_tie_is_broken_by_summed_probability() -> None:
    song = predict_song(np.array([[0.6, 0.2, 0.2], [0.1, 0.0, 0.9]]), LABELS)
    assert song.genre == "rock"
    assert song.confidence == 0.5


@pytest.mark.parametrize(
    ("config", "genre"),
    [
        (LabelConfig(min_confidence=0.66), "blues"),
        (LabelConfig(min_confidence=0.67), UNCERTAIN),
        (LabelConfig(min_margin=-0.27), "blues"),
        (LabelConfig(min_margin=-0.26), UNCERTAIN),
        (LabelConfig("probability", min_confidence=0.53, min_margin=0.26), "rock"),
        (LabelConfig("probability", min_confidence=0.54), UNCERTAIN),
        (LabelConfig("probability", min_margin=0.27), UNCERTAIN),
    ],
)
def test_thresholds_make_songs_uncertain(config: LabelConfig, genre: str) -> None:
    assert config.has_thresholds
    certain = predict_song(TWO_WEAK_ONE_STRONG, LABELS, LabelConfig(config.vote))
    song = predict_song(TWO_WEAK_ONE_STRONG, LABELS, config)
    assert song.genre == genre
    assert (song.confidence, song.margin, song.votes, song.top) == (
        certain.confidence, certain.margin, certain.votes, certain.top,
    )  # fmt: skip


def test_default_labels_have_no_thresholds() -> None:
    assert not DEFAULT_LABELS.has_thresholds
    assert LabelConfig() == DEFAULT_LABELS


@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 30), st.just(3)),
        elements=st.floats(0.015625, 1, width=32),
    )
)
def test_prediction_does_not_depend_on_order(table: np.ndarray) -> None:
    song = predict_song(table, LABELS)
    assert sum(song.votes.values()) == song.segments == len(table)
    assert song.votes[song.genre] == max(song.votes.values())
    assert 0 < song.confidence <= 1
    assert predict_song(table[::-1], LABELS).votes == song.votes


@pytest.mark.parametrize("shape", [(0, 3), (4, 2), (3,)])
def test_table_of_another_shape_is_rejected(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="probabilities"):
        predict_song(np.zeros(shape), LABELS)
