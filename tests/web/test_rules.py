"""Compare the page's rules with those of the Python package."""

import csv
import io
import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketgenre.audio.segments import cut_segments
from pocketgenre.audio.silence import level, silence_threshold
from pocketgenre.confidence import ConfidenceModel
from pocketgenre.constants import NOT_MUSIC, PAGE_SONG_SUFFIXES, UNCERTAIN
from pocketgenre.errors import AudioError
from pocketgenre.features.config import FeatureConfig
from pocketgenre.library.discovery import is_song_name
from pocketgenre.library.library_song import LibrarySong
from pocketgenre.library.playlists import file_names, make_playlists
from pocketgenre.library.serialize import song_fields, to_csv
from pocketgenre.prediction import (
    DEFAULT_LABELS,
    VOTE_RULES,
    LabelConfig,
    SongAnalysis,
    VoteRule,
    predict_song,
)
from pocketgenre.text import count_of, printable
from pocketgenre.timeline import timeline
from tests.conftest import GENRES
from tests.web.rule_calls import RuleCalls, float32

WITH_NOT_MUSIC = (*GENRES[:4], NOT_MUSIC, *GENRES[5:])
CONFIDENCE = {
    "intercept": -0.7,
    "weights": {"probability": 0.5, "vote_share": 1.3, "margin": 0.8, "segments": 0.4},
    "min_confidence": 0.62,
}


def encode_table(values: np.ndarray) -> dict[str, Any]:
    return {"values": float32(values), "width": len(GENRES)}


def card_of(labels: Sequence[str], confidence: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a model card as the page has it, with segments of 3 s."""
    front_end = {"sample_rate": 8, "segment_samples": 24}
    card = {"labels": labels, "front_end": front_end, "sha256": "0" * 64}
    return {**card, "confidence": confidence} if confidence else card


def random_tables(count: int) -> list[np.ndarray]:
    """Return segment probabilities of random songs: ties, close cases and silent segments."""
    rng = np.random.default_rng(7)
    tables = []
    for number in range(count):
        length = int(rng.integers(1, 90))
        if number % 2:
            rows = rng.integers(0, 5, (length, len(GENRES))) + 1e-9
            rows[length // 2 :] = rng.permutation(rows[0])
        else:
            rows = rng.dirichlet(np.full(len(GENRES), 0.3), length)
            rows = 0.3 * rows + 0.7 * rows[: 1 + length // 8].repeat(8, axis=0)[:length]
        table = (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)
        if number % 3 == 0:
            table[rng.random(length) < 0.3] = 0.0
            table[: length // 3] = 0.0
            table[-1] = rows[-1] / rows[-1].sum()
        tables.append(table)
    return tables


def test_segments_match(rules: RuleCalls) -> None:
    feature_config = FeatureConfig(sample_rate=8, segment_samples=24)
    card = {"front_end": {"sample_rate": 8, "segment_samples": 24}}
    songs = [np.random.default_rng(n).normal(size=n).astype(np.float32) for n in range(80)]
    results = rules(*(("cutSegments", float32(song), card) for song in songs))
    for song, segments in zip(songs, results, strict=True):
        assert segments == segments_or_error(song, feature_config)


def segments_or_error(song: np.ndarray, feature_config: FeatureConfig) -> list[list[float]] | str:
    try:
        return [segment.tolist() for segment in cut_segments([song], feature_config)]
    except AudioError as error:
        return str(error)


def test_silence_matches(rules: RuleCalls) -> None:
    rng = np.random.default_rng(3)
    loud = rng.normal(size=24)
    segments = [(loud * 10 ** (-decibels / 20)).astype(np.float32) for decibels in range(0, 140, 3)]
    segments += [np.zeros(24, np.float32), np.full(24, 0.5, np.float32)]
    levels = [level(segment) for segment in segments]
    assert rules(*(("level", float32(segment)) for segment in segments)) == pytest.approx(levels)
    starts = range(len(levels))
    thresholds = rules(*(("silenceThreshold", levels[start:]) for start in starts))
    assert thresholds == [silence_threshold(levels[start:]) for start in starts]


def test_segments_after_loud_one_are_silent(rules: RuleCalls) -> None:
    card = card_of(GENRES)
    quiet = np.tile([1e-3, -1e-3], 12)
    song = np.concatenate([quiet, 500 * quiet, 0.5 * quiet, np.zeros(24), 200 * quiet])
    broken = {"float32": [*song[:-1].tolist(), 1e39]}  # infinite in single precision
    whole, damaged, silent, short = rules(
        ("songSegments", float32(song), card),
        ("songSegments", broken, card),
        ("songSegments", float32(0.05 * quiet), card),
        ("songSegments", {"float32": broken["float32"][-24:]}, card),
    )
    assert whole["silent"] == [True, False, True, True, False]
    assert not whole["isDamaged"]
    assert damaged["silent"] == [True, False, True, True]
    assert damaged["isDamaged"]
    assert silent == "it holds only silence"
    assert short == "damaged: some samples are not finite"


@pytest.mark.parametrize("confidence", [None, CONFIDENCE], ids=["plain", "calibrated"])
@pytest.mark.parametrize("labels", [GENRES, WITH_NOT_MUSIC], ids=["genres", "with not-music"])
@pytest.mark.parametrize("vote", VOTE_RULES)
@pytest.mark.parametrize("thresholds", [(None, -1.0), (0.0, -1.0), (0.4, 0.05)])
def test_predictions_match(
    rules: RuleCalls,
    vote: VoteRule,
    thresholds: tuple[float | None, float],
    labels: tuple[str, ...],
    confidence: dict[str, Any] | None,
) -> None:
    min_confidence, min_margin = thresholds
    config = {"vote": vote, "minConfidence": min_confidence, "minMargin": min_margin}
    tables = random_tables(300)
    for table in tables[:60]:
        table[:, labels.index(labels[4])] += 0.6 * table.any(axis=1)
    model = ConfidenceModel.from_dict(confidence) if confidence else None
    results = rules(
        *(("predictSong", encode_table(t), labels, config, 3.0, confidence) for t in tables)
    )
    label_config = LabelConfig(vote, min_confidence, min_margin)
    genres = set()
    for table, prediction in zip(tables, results, strict=True):
        expected = predict_song(table, labels, label_config, 3.0, model)
        genres.add(expected.genre)
        assert prediction["genre"] == expected.genre
        assert prediction["winner"] == expected.winner
        assert prediction["voteShare"] == expected.vote_share
        assert prediction["votes"] == list(expected.votes.values())
        assert prediction["segments"] == expected.segments
        assert prediction["confidence"] == pytest.approx(expected.confidence, abs=1e-12)
        assert prediction["probability"] == pytest.approx(expected.probability)
        assert prediction["margin"] == pytest.approx(expected.margin, abs=1e-12)
        assert prediction["probabilities"] == pytest.approx(list(expected.probabilities.values()))
        assert [genre for genre, _ in prediction["top"]] == [genre for genre, _ in expected.top]
    assert (NOT_MUSIC in genres) == (NOT_MUSIC in labels)
    has_threshold = min_margin > -1.0 or (confidence and min_confidence is None)
    assert (UNCERTAIN in genres) == bool(has_threshold)


def test_timelines_match(rules: RuleCalls) -> None:
    tables = random_tables(300)
    results = rules(*(("timeline", encode_table(table), 3.0) for table in tables))
    changing = 0
    for table, parts in zip(tables, results, strict=True):
        expected = timeline(table, GENRES, 3.0)
        changing += len(expected) > 1
        assert [(GENRES[p["genre"]], p["start"], p["end"]) for p in parts] == [
            (part.genre, part.start, part.end) for part in expected
        ]
        for part, python_part in zip(parts, expected, strict=True):
            expected_means = list(python_part.probabilities.values())
            assert part["probabilities"] == pytest.approx(expected_means, abs=1e-6)
    assert changing > 50


def test_printable_text_matches(rules: RuleCalls) -> None:
    rng = np.random.default_rng(5)
    codes = [*range(0x3100), *range(0xD800, 0xD900), 0xFEFF, 0x1F3B5, 0xE0001, 0x10FFFF]
    # The two sides may have different versions of Unicode, which differ in unassigned characters.
    codes = [code for code in codes if unicodedata.category(chr(code)) != "Cn"]
    texts = ["".join(map(chr, rng.choice(codes, 20))) for _ in range(400)]
    assert rules(*(("printable", text) for text in texts)) == [printable(text) for text in texts]


def test_counts_match(rules: RuleCalls) -> None:
    counts = (0, 1, 2, 999, 1_200, 1_234_567, 1.5)
    results = rules(*(("countOf", count, "song") for count in counts))
    assert results == [count_of(count, "song") for count in counts]


def test_song_names_match(rules: RuleCalls) -> None:
    names = [f"a{suffix}" for suffix in PAGE_SONG_SUFFIXES]
    names += [name.upper() for name in names]
    names += [".a.mp3", "mp3", "a.mp3.txt", "a.jpg", "a.m3u8", ".mp3", "a b.OGG"]
    results = rules(*(("isSongName", name) for name in names))
    assert results == [is_song_name(name) for name in names]


NAMES = [
    "Music/rock/AC-DC.mp3",
    "Music/C# minor.ogg",
    "Music/#1 hit.mp3",
    "Music/a: b.flac",
    'Music/"quoted", comma.wav',
    "Music/=SUM(A1).mp3",
    "Music/line\nbreak.mp3",
    "Music/no ending",
    "Music/böse ✓ 音楽.m4a",
    "Music/.hidden.but.named.mp3",
]


def library_song(name: str, table: np.ndarray | None, failure: str | None = None) -> LibrarySong:
    prediction = None
    if table is not None:
        cut = name.endswith(".flac")
        seconds = 3.0 * len(table)
        analysis = SongAnalysis(table, seconds, 2 * seconds if cut else None, cut)
        model = ConfidenceModel.from_dict(CONFIDENCE)
        prediction = predict_song(analysis, WITH_NOT_MUSIC, DEFAULT_LABELS, 3.0, model)
    state = "failed" if table is None else "labelled"
    path = Path("/songs", name)
    return LibrarySong(path, Path(name), state, 1, 1, "0" * 64, prediction, failure)


def example_songs() -> tuple[list[LibrarySong], list[Any]]:
    """Return the same songs for the package and for the page."""
    tables = random_tables(len(NAMES))
    tables[1][:, WITH_NOT_MUSIC.index(NOT_MUSIC)] = 1.0
    package = [library_song(name, table) for name, table in zip(NAMES, tables, strict=True)]
    package.append(library_song("Music/broken.mp3", None, "=not audio"))
    common = {"size": 1, "modified": 1, "model": "0" * 64, "passing": False}
    page: list[Any] = []
    for song, table in zip(package, [*tables, None], strict=True):
        prediction = song.prediction
        page.append(
            {
                **common,
                "path": str(song.name),
                "error": song.error,
                "probabilities": None if table is None else float32(table),
                "analyzedSeconds": prediction and prediction.analyzed_seconds,
                "durationSeconds": prediction and prediction.duration_seconds,
                "partial": bool(prediction and prediction.is_partial),
            }
        )
    return package, page


def label_on_page(rules: RuleCalls, songs: list[Any], corrected: str | None = None) -> list[Any]:
    """Return the page's labelled songs, encoded for a further call."""
    config = {"vote": "majority", "minConfidence": None, "minMargin": -1}
    card = card_of(WITH_NOT_MUSIC, CONFIDENCE)
    results = rules(*(("labelSong", song, card, config, corrected) for song in songs))
    for result in results:
        if prediction := result["prediction"]:
            table = prediction["segmentProbabilities"]
            table["values"] = {"float32": table["values"]}
    return results


def test_json_and_csv_match(rules: RuleCalls) -> None:
    package, songs = example_songs()
    page = label_on_page(rules, songs)
    as_json, as_csv = rules(("toJson", page), ("toCsv", page, WITH_NOT_MUSIC))
    expected = [{**song_fields(song), "corrected": None} for song in package]
    assert json.loads(as_json) == json.loads(json.dumps(expected))
    assert {NOT_MUSIC, UNCERTAIN} < {row["genre"] for row in expected}
    package_csv = to_csv(package, WITH_NOT_MUSIC).decode()
    page_rows, package_rows = ([*csv.reader(io.StringIO(t))] for t in (as_csv, package_csv))
    assert page_rows[0] == [*package_rows[0], "corrected"]
    for page_row, package_row in zip(page_rows[1:], package_rows[1:], strict=True):
        assert [as_number(cell) for cell in page_row] == [*map(as_number, package_row), ""]


def as_number(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell


def test_correction_is_exported_as_genre(rules: RuleCalls) -> None:
    _, songs = example_songs()
    page = label_on_page(rules, songs, corrected="zydeco")
    rows = json.loads(rules(("toJson", page))[0])
    assert {row["genre"] for row in rows} == {"zydeco"}
    assert {row["corrected"] for row in rows} == {"zydeco"}
    assert rows[0]["votes"]


def test_playlists_match(rules: RuleCalls) -> None:
    package, songs = example_songs()
    expected = make_playlists(package, Path("/songs/Music"))
    (playlists,) = rules(("makePlaylists", label_on_page(rules, songs), "Music"))
    assert "not-music.m3u8" not in playlists["files"]
    assert playlists["files"] == {name: data.decode() for name, data in expected.files.items()}
    assert playlists["leftOut"] == [str(name) for name in expected.left_out]


def test_playlist_names_match(rules: RuleCalls) -> None:
    genres = ["rock", "Rock", "a/b", "a:b", "", "..", "x" * 200, "hip hop & r'n'b"]
    assert rules(("fileNames", genres)) == [file_names(genres)]


def test_rounding_matches(rules: RuleCalls) -> None:
    values = [n / 32 for n in range(-33, 33)] + [0.12345, 2.00005, 1e-9, 0.99995, 0.5, 1.5, 2.5]
    for digits in (0, 2, 4):
        results = rules(*(("rounded", value, digits) for value in values))
        assert results == [round(value, digits) for value in values]
