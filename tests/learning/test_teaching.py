"""Evaluate what was learned on songs of other artists."""

import numpy as np
import pytest

from pocketgenre.constants import NOT_MUSIC
from pocketgenre.learning.regression import Layer
from pocketgenre.learning.teaching import TaughtSongs, confusions, learn, recalls

WIDTH = 20
OLD_LABELS = ("jazz", "metal", NOT_MUSIC)
CENTRES = np.random.default_rng(1).normal(scale=3, size=(6, WIDTH)).astype(np.float32)
OLD = Layer(OLD_LABELS, CENTRES[:3].T / 9, -0.5 * (CENTRES[:3] ** 2).sum(axis=1) / 9)
GENRES = {"jazz": 0, "metal": 1, "dub": 3, "fado": 4}


def songs_of(
    counts: dict[str, int], groups: int | None = None, others: int = 0, seed: int = 0
) -> TaughtSongs:
    """Draw songs of three segments, ``groups`` artists a genre, and other songs of old genres."""
    rng = np.random.default_rng(seed)
    genres = [genre for genre, count in counts.items() for _ in range(count)]
    features = [
        (CENTRES[GENRES[genre]] + rng.normal(size=(3, WIDTH))).astype(np.float32)
        for genre in genres
    ]
    artists = [
        (list(counts).index(genre), i % groups if groups else i) for i, genre in enumerate(genres)
    ]
    _, group = np.unique(artists, axis=0, return_inverse=True)
    rows = CENTRES[np.arange(others) % 2] + rng.normal(size=(others, WIDTH))
    return TaughtSongs(features, genres, group.reshape(-1), rows.astype(np.float32))


def predict(layer: Layer, genre: int, count: int = 50) -> list[str]:
    rows = CENTRES[genre] + np.random.default_rng(9).normal(size=(count, WIDTH))
    return [layer.labels[i] for i in layer.logits(rows.astype(np.float32)).argmax(axis=1)]


def share(labels: list[str], label: str) -> float:
    return labels.count(label) / len(labels)


def test_new_genres_are_learned() -> None:
    songs = songs_of({"dub": 8, "fado": 8})
    lesson = learn(songs, OLD, ("dub", "fado", NOT_MUSIC))
    assert min(recalls(songs, lesson.evaluation).values()) >= 0.75
    assert share(predict(lesson.layer, GENRES["fado"]), "fado") > 0.8


def test_untaught_genres_are_not_forgotten() -> None:
    songs = songs_of({"dub": 5}, others=40)
    layer = learn(songs, OLD, ("jazz", "metal", "dub", NOT_MUSIC)).layer
    assert share(predict(layer, GENRES["dub"]), "dub") > 0.9
    assert share(predict(layer, GENRES["jazz"]), "jazz") > 0.85
    assert share(predict(layer, GENRES["metal"]), "metal") > 0.85


def test_not_music_is_kept() -> None:
    layer = learn(songs_of({"dub": 8, "fado": 8}), OLD, ("dub", "fado", NOT_MUSIC)).layer
    assert share(predict(layer, OLD_LABELS.index(NOT_MUSIC)), NOT_MUSIC) > 0.9


def test_artists_are_never_in_training_and_test() -> None:
    """Songs of one artist are alike, and their genre is arbitrary: it can't be predicted."""
    rng = np.random.default_rng(2)
    artists = np.repeat(np.arange(24), 4)
    centres = rng.normal(scale=5, size=(24, WIDTH))
    features = [
        (centres[artist] + rng.normal(scale=0.1, size=(3, WIDTH))).astype(np.float32)
        for artist in artists
    ]
    genres = [("dub", "fado")[artist % 2] for artist in artists]
    others = np.empty((0, WIDTH), np.float32)
    labels = ("dub", "fado")
    apart = TaughtSongs(features, genres, artists, others)
    mixed = TaughtSongs(features, genres, np.arange(len(artists)), others)
    known = learn(mixed, OLD, labels).evaluation
    unknown = learn(apart, OLD, labels).evaluation
    assert np.mean(list(recalls(mixed, known).values())) > 0.85
    assert np.mean(list(recalls(apart, unknown).values())) < 0.75


def test_genre_of_one_artist_is_not_tested() -> None:
    songs = songs_of({"dub": 6, "fado": 6}, groups=3)
    songs.groups[-6:] = 99
    evaluation = learn(songs, OLD, ("dub", "fado")).evaluation
    assert set(recalls(songs, evaluation)) == {"dub"}


def test_two_songs_a_genre_are_tested() -> None:
    songs = songs_of({"dub": 2, "fado": 2})
    evaluation = learn(songs, OLD, ("dub", "fado", NOT_MUSIC)).evaluation
    assert len(evaluation.songs) == 4


@pytest.mark.parametrize("counts", [{"dub": 1}, {"dub": 1, "fado": 1}])
def test_single_songs_have_no_evaluation(counts: dict[str, int]) -> None:
    lesson = learn(songs_of(counts), OLD, (*counts, "jazz", NOT_MUSIC))
    assert lesson.evaluation is None
    assert lesson.confidence is None
    assert np.isfinite(lesson.layer.kernel).all()


def test_curve_rises() -> None:
    songs = songs_of({"jazz": 30, "metal": 30, "dub": 30, "fado": 30})
    evaluation = learn(songs, OLD, ("jazz", "metal", "dub", "fado")).evaluation
    counts = [count for count, _ in evaluation.curve]
    assert counts == [1, 2, 5, 10, 20]
    assert evaluation.curve[-1][1] >= evaluation.curve[0][1]


def test_equal_genres_are_confused() -> None:
    songs = songs_of({"dub": 10, "fado": 10, "jazz": 10})
    same = [songs.features[i] if i < 10 else rows for i, rows in enumerate(songs.features)]
    same[10:20] = songs_of({"dub": 10}, seed=5).features
    alike = TaughtSongs(same, songs.genres, songs.groups, songs.others)
    evaluation = learn(alike, OLD, ("dub", "fado", "jazz")).evaluation
    one, other, share_confused = confusions(alike, evaluation)[0]
    assert {one, other} == {"dub", "fado"}
    assert share_confused > 0.25


def test_many_songs_calibrate_the_confidence() -> None:
    rng = np.random.default_rng(4)
    songs = songs_of({"dub": 60, "fado": 60})
    noisy = [rows + rng.normal(scale=6, size=(1, WIDTH)).astype(np.float32)
             for rows in songs.features]  # fmt: skip
    songs = TaughtSongs(noisy, songs.genres, songs.groups, songs.others)
    lesson = learn(songs, OLD, ("dub", "fado"))
    assert lesson.confidence is not None
    assert lesson.confidence.calibration.ece < 0.15
    assert lesson.temperature > 0
