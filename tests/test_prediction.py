"""Predict a song's genre from its segments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pocketgenre.confidence import ConfidenceModel, SongEvidence
from pocketgenre.constants import NOT_MUSIC
from pocketgenre.prediction import (
    DEFAULT_LABELS,
    UNCERTAIN,
    VOTE_RULES,
    LabelConfig,
    SongAnalysis,
    VoteRule,
    predict_song,
    predict_songs,
)

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


@pytest.mark.parametrize("rule", VOTE_RULES)
def test_songs_of_a_batch_equal_single_ones(rule: VoteRule) -> None:
    rng = np.random.default_rng(3)
    songs = []
    for segments in (1, 5, 80):
        table = rng.dirichlet(np.ones(len(LABELS)), size=segments)
        table[1::3] = 0.0  # silent
        songs.append((SongAnalysis(table, duration_seconds=float(segments)), 3.0))
    single = [predict_song(analysis, LABELS, LabelConfig(rule), 3.0) for analysis, _ in songs]
    assert predict_songs(songs, LABELS, LabelConfig(rule)) == single
    assert predict_songs([], LABELS) == []


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


ROCK, JAZZ, SPEECH, SILENT = [0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.1, 0.1, 0.8], [0.0, 0.0, 0.0]
WITH_NOT_MUSIC = ("rock", "jazz", NOT_MUSIC)


@pytest.mark.parametrize(
    ("rows", "genre"),
    [
        ([SPEECH], NOT_MUSIC),
        ([SPEECH, SPEECH, ROCK], NOT_MUSIC),
        ([SPEECH, ROCK], "rock"),  # half is not most
        ([SPEECH] * 3 + [ROCK, ROCK, JAZZ], "rock"),
        ([SPEECH, SILENT, SILENT, SILENT], NOT_MUSIC),
    ],
)
def test_song_of_mostly_speech_is_not_music(rows: list[list[float]], genre: str) -> None:
    song = predict_song(np.array(rows), WITH_NOT_MUSIC)
    assert song.genre == song.winner == genre
    assert song.has_genre == (genre != NOT_MUSIC)
    assert song.probability == song.probabilities[genre]
    assert song.vote_share == song.votes[genre] / sum(song.votes.values())


def test_probability_rule_finds_speech_by_its_mean() -> None:
    for rows, genre in (([SPEECH, ROCK, ROCK], "rock"), ([SPEECH, SPEECH, ROCK], NOT_MUSIC)):
        assert predict_song(np.array(rows), WITH_NOT_MUSIC, BY_PROBABILITY).genre == genre


@pytest.mark.parametrize("rule", ["majority", "probability"])
def test_silent_segments_have_no_vote(rule: VoteRule) -> None:
    config = LabelConfig(rule)
    song = predict_song(np.array([ROCK, SILENT, SILENT, JAZZ, ROCK]), WITH_NOT_MUSIC, config)
    audible = predict_song(np.array([ROCK, JAZZ, ROCK]), WITH_NOT_MUSIC, config)
    assert song.segments == 5
    assert (song.genre, song.votes, song.confidence) == ("rock", audible.votes, audible.confidence)
    assert song.probabilities == audible.probabilities


def test_song_of_silence_only_is_rejected() -> None:
    with pytest.raises(ValueError, match="must not be silent"):
        predict_song(np.array([SILENT, SILENT]), WITH_NOT_MUSIC)


CALIBRATED = ConfidenceModel(0.0, SongEvidence(1.0, 0.0, 0.0, 0.0), min_confidence=0.65)
"""A confidence that equals the mean probability of the label."""


@pytest.mark.parametrize("rule", ["majority", "probability"])
def test_confidence_is_that_of_the_model(rule: VoteRule) -> None:
    table = np.array([ROCK, JAZZ, ROCK])
    config = LabelConfig(rule)
    song = predict_song(table, WITH_NOT_MUSIC, config, confidence_model=CALIBRATED)
    assert song.confidence == pytest.approx(song.probability)
    assert song.vote_share == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("min_confidence", "genre"), [(None, UNCERTAIN), (0.0, "rock"), (0.5, "rock"), (0.9, UNCERTAIN)]
)
def test_default_threshold_is_that_of_the_model(min_confidence: float | None, genre: str) -> None:
    config = LabelConfig(min_confidence=min_confidence)
    table = np.array([ROCK, JAZZ])
    song = predict_song(table, WITH_NOT_MUSIC, config, confidence_model=CALIBRATED)
    assert (song.genre, song.winner) == (genre, "rock")
    assert not song.has_genre or genre == "rock"


def test_prediction_has_the_extent_of_the_analysis() -> None:
    analysis = SongAnalysis(np.array([ROCK]), 3.04, 180.0, is_partial=True)
    fields = predict_song(analysis, WITH_NOT_MUSIC).to_dict()
    assert (fields["analyzed_seconds"], fields["duration_seconds"]) == (3.0, 180.0)
    assert fields["partial"] is True


@pytest.mark.parametrize("options", [("majorty",), ("majority", 1.5), ("majority", 0.5, -2.0)])
def test_label_config_out_of_range_is_rejected(options: tuple) -> None:
    with pytest.raises(ValueError, match="must be"):
        LabelConfig(*options)
