"""The page's rules are the package's: each is asked what the other says."""

import csv
import io
import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketgenre.audio.formats import SONG_SUFFIXES
from pocketgenre.audio.segments import cut_segments
from pocketgenre.errors import AudioError
from pocketgenre.features.config import FeatureConfig
from pocketgenre.library.discovery import is_song_name
from pocketgenre.library.label import Thresholds, label_song
from pocketgenre.library.playlists import file_names, make_playlists
from pocketgenre.library.serialize import song_fields, to_csv
from pocketgenre.library.timeline import timeline
from pocketgenre.text import printable
from pocketgenre.vote import VOTES
from tests.conftest import GENRES
from tests.library.songs import catalog_song, failed_song, labelled
from tests.web.rules import Call, float32


def table_of(values: np.ndarray) -> dict[str, Any]:
    return {"values": float32(values), "width": len(GENRES)}


def tables(count: int) -> list[np.ndarray]:
    """What networks say of songs, with many a tie and many a close race."""
    rng = np.random.default_rng(7)
    found = []
    for number in range(count):
        length = int(rng.integers(1, 90))
        if number % 2:
            rows = rng.integers(0, 5, (length, len(GENRES))) + 1e-9
            rows[length // 2 :] = rng.permutation(rows[0])
        else:
            rows = rng.dirichlet(np.full(len(GENRES), 0.3), length)
            rows = 0.3 * rows + 0.7 * rows[: 1 + length // 8].repeat(8, axis=0)[:length]
        found.append((rows / rows.sum(axis=1, keepdims=True)).astype(np.float32))
    return found


def test_segments_are_cut_alike(rules: Call) -> None:
    feature_config = FeatureConfig(sample_rate=8, segment_samples=24)
    card = {"front_end": {"sample_rate": 8, "segment_samples": 24}}
    sounds = [np.random.default_rng(n).normal(size=n).astype(np.float32) for n in range(80)]
    told = rules(*(("cutSegments", float32(sound), card) for sound in sounds))
    for sound, segments in zip(sounds, told, strict=True):
        assert segments == cut_or_why(sound, feature_config)


def cut_or_why(sound: np.ndarray, feature_config: FeatureConfig) -> list[list[float]] | str:
    try:
        return [segment.tolist() for segment in cut_segments([sound], feature_config)]
    except AudioError as error:
        return str(error)


@pytest.mark.parametrize("rule", VOTES)
def test_votes_are_counted_alike(rules: Call, rule: str) -> None:
    songs = tables(300)
    told = rules(*((f"{rule}Vote", table_of(song)) for song in songs))
    for song, vote in zip(songs, told, strict=True):
        expected = VOTES[rule](song, GENRES)
        assert GENRES[vote["winner"]] == expected.genre
        assert vote["votes"] == list(expected.votes.values())
        assert vote["segments"] == expected.segments
        assert vote["confidence"] == pytest.approx(expected.confidence, abs=1e-12)
        assert vote["probabilities"] == pytest.approx(list(expected.probabilities.values()))


def test_songs_are_labelled_alike(rules: Call) -> None:
    songs = tables(200)
    for rule in VOTES:
        limits = Thresholds(confidence=0.4, margin=0.05)
        given = {"confidence": limits.confidence, "margin": limits.margin}
        told = rules(*(("labelSong", table_of(song), GENRES, rule, given) for song in songs))
        for song, label in zip(songs, told, strict=True):
            expected = label_song(song, GENRES, rule, limits)
            assert label["genre"] == expected.genre
            assert label["margin"] == pytest.approx(expected.margin, abs=1e-12)
            assert label["probability"] == pytest.approx(expected.probability)
            assert [genre for genre, _ in label["top"]] == [genre for genre, _ in expected.top]


def test_timelines_are_drawn_alike(rules: Call) -> None:
    songs = tables(300)
    told = rules(*(("timeline", table_of(song), 3.0) for song in songs))
    changing = 0
    for song, parts in zip(songs, told, strict=True):
        expected = timeline(catalog_song("/a.mp3", song))
        changing += len(expected) > 1
        assert [(GENRES[p["genre"]], p["start"], p["end"]) for p in parts] == [
            (part.genre, part.start, part.end) for part in expected
        ]
        for part, theirs in zip(parts, expected, strict=True):
            assert part["shares"] == pytest.approx(list(theirs.shares.values()), abs=1e-6)
    assert changing > 50


def test_names_are_made_printable_alike(rules: Call) -> None:
    rng = np.random.default_rng(5)
    codes = [*range(0x3100), *range(0xD800, 0xD900), 0xFEFF, 0x1F3B5, 0xE0001, 0x10FFFF]
    # What has no character yet may get one in the Unicode of one side before the other's.
    codes = [code for code in codes if unicodedata.category(chr(code)) != "Cn"]
    texts = ["".join(map(chr, rng.choice(codes, 20))) for _ in range(400)]
    assert rules(*(("printable", text) for text in texts)) == [printable(text) for text in texts]


def test_the_same_files_are_songs(rules: Call) -> None:
    names = [f"a{suffix}" for suffix in SONG_SUFFIXES]
    names += [name.upper() for name in names]
    names += [".a.mp3", "mp3", "a.mp3.txt", "a.jpg", "a.m3u8", ".mp3", "a b.OGG"]
    told = rules(*(("isSongName", name) for name in names))
    assert told == [is_song_name(name) for name in names]


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


def page_songs() -> tuple[list[Any], list[Any]]:
    """The same songs for the package and for the page."""
    songs = tables(len(NAMES))
    ours = labelled(
        *(catalog_song(f"/{n}", song) for n, song in zip(NAMES, songs, strict=True)),
        failed_song("/Music/broken.mp3", "=not audio"),
        folder=Path("/"),
    )
    how = {"labels": GENRES, "seconds": 3.0, "rule": "majority",
           "thresholds": {"confidence": 0, "margin": -1}}  # fmt: skip
    common = {"size": 1, "modified": 1, "model": "0" * 64, "passing": False}
    theirs: list[Any] = [
        {**common, "path": n, "error": None, "probabilities": float32(song)}
        for n, song in zip(NAMES, songs, strict=True)
    ]
    theirs.append(
        {**common, "path": "Music/broken.mp3", "error": "=not audio", "probabilities": None}
    )
    return ours, [how, theirs]


def page_labels(rules: Call, how: Any, songs: list[Any], corrected: str | None = None) -> list[Any]:
    told = rules(*(("labelledSong", song, how, corrected) for song in songs))
    for one in told:  # through JSON a table is a list
        for holder, key in ((one["song"], "probabilities"), (one["table"] or {}, "values")):
            if holder.get(key):
                holder[key] = {"float32": holder[key]}
    return told


def test_results_are_written_alike(rules: Call) -> None:
    ours, (how, given) = page_songs()
    songs = page_labels(rules, how, given)
    as_json, as_csv = rules(("toJson", songs, how), ("toCsv", songs, how))
    expected = [{**song_fields(song), "corrected": None} for song in ours]
    assert json.loads(as_json) == json.loads(json.dumps(expected))
    rows = [list(csv.reader(io.StringIO(text))) for text in (as_csv, to_csv(ours, GENRES).decode())]
    assert rows[0][0] == [*rows[1][0], "corrected"]
    for theirs, mine in zip(rows[0][1:], rows[1][1:], strict=True):
        assert [number_of(cell) for cell in theirs] == [*map(number_of, mine), ""]


def number_of(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell


def test_a_correction_is_written_as_the_genre(rules: Call) -> None:
    _, (how, given) = page_songs()
    songs = page_labels(rules, how, given, corrected="zydeco")
    rows = json.loads(rules(("toJson", songs, how))[0])
    assert {row["genre"] for row in rows} == {"zydeco"}
    assert {row["corrected"] for row in rows} == {"zydeco"}
    assert rows[0]["votes"]


def test_playlists_are_the_same_to_the_byte(rules: Call) -> None:
    ours, (how, given) = page_songs()
    expected = make_playlists(ours, Path("/Music"))
    (told,) = rules(("makePlaylists", page_labels(rules, how, given), 3.0, "Music"))
    assert told["files"] == {name: data.decode() for name, data in expected.files.items()}
    assert told["leftOut"] == [str(name) for name in expected.left_out]


def test_playlists_have_different_names(rules: Call) -> None:
    genres = ["rock", "Rock", "a/b", "a:b", "", "..", "x" * 200, "hip hop & r'n'b"]
    assert rules(("fileNames", genres)) == [file_names(genres)]


def test_half_way_is_rounded_as_in_python(rules: Call) -> None:
    values = [n / 32 for n in range(-33, 33)] + [0.12345, 2.00005, 1e-9, 0.99995, 0.5, 1.5, 2.5]
    for digits in (0, 2, 4):
        told = rules(*(("rounded", value, digits) for value in values))
        assert told == [round(value, digits) for value in values]
