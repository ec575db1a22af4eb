"""Serialize songs as JSON, JSON lines and CSV, with any file name."""

import csv
import io
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketgenre.library.library_song import genres_of
from pocketgenre.library.serialize import to_csv, to_json, to_json_lines
from pocketgenre.prediction import LabelConfig
from tests.conftest import GENRES
from tests.library.songs import NAMES, failed_song, song

NASTY = ["=1+1", "@SUM(A1)", "-2", "+3", "\t=1", 'a"b,c;d', "new\nline", "caf\udce9", "\u2028"]


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def test_json_has_all_fields() -> None:
    songs = [song("/music/a/b.mp3", ["rock"] * 3 + ["jazz"]), failed_song("/music/c.mp3")]
    good, bad = json.loads(to_json(songs))
    assert list(good) == [
        "path", "genre", "confidence", "vote_share", "probability", "margin", "top", "votes",
        "segments", "probabilities", "analyzed_seconds", "duration_seconds", "partial",
        "timeline", "error",
    ]  # fmt: skip
    assert good["path"] == "a/b.mp3"
    assert (good["genre"], good["confidence"], good["probability"]) == ("rock", 0.75, 0.75)
    assert good["margin"] == 0.5
    assert good["top"][:2] == [
        {"genre": "rock", "probability": 0.75},
        {"genre": "jazz", "probability": 0.25},
    ]
    assert good["timeline"] is None
    assert list(bad) == list(good)
    assert bad["error"] == "the file is empty"
    assert {bad[field] for field in ("genre", "margin", "timeline")} == {None}


def test_json_has_timeline_of_two_genres() -> None:
    (fields,) = json.loads(to_json([song("/music/a.mp3", ["rock"] * 20 + ["pop"] * 20)]))
    first, second = fields["timeline"]
    assert (first["start"], first["end"], first["genre"]) == (0, 60, "rock")
    assert (second["start"], second["end"], second["genre"]) == (60, 120, "pop")
    assert first["shares"]["rock"] == 1
    assert set(second["shares"]) == set(GENRES)


def test_song_below_threshold_is_uncertain() -> None:
    config = LabelConfig(min_margin=0.1)
    (fields,) = json.loads(to_json([song("/music/a.mp3", ["rock", "jazz"], label_config=config)]))
    assert fields["genre"] == "uncertain"
    assert fields["top"][0]["probability"] == 0.5


def test_vanished_song_outside_has_absolute_path() -> None:
    (fields,) = json.loads(to_json([song("/elsewhere/a.mp3", state="vanished")]))
    assert fields["path"] == "/elsewhere/a.mp3"
    assert fields["error"] == "the file is gone"


@given(st.lists(NAMES, max_size=5))
def test_json_keeps_every_byte_of_names(names: list[str]) -> None:
    songs = [song(f"/music/{name}") for name in names]
    for content in (
        json.loads(to_json(songs)),
        list(map(json.loads, to_json_lines(songs).split(b"\n")[:-1])),
    ):
        assert [os.fsencode(row["path"]) for row in content] == [os.fsencode(n) for n in names]
    assert len(to_json_lines(songs).decode().splitlines()) == len(names)


@given(st.lists(NAMES | st.sampled_from(NASTY), max_size=5), st.sampled_from(NASTY) | st.text())
def test_csv_rows_hold_no_formula(names: list[str], error: str) -> None:
    songs = [*[song(f"/music/{name}") for name in names], failed_song("/music/x", error)]
    content = to_csv(songs, genres_of(songs))
    table = rows(content)
    assert len(table) == len(names) + 1
    for row, name in zip(table, names, strict=False):
        shown = row["path"].encode().decode()
        assert Path(shown) == Path(name.encode("utf-8", "backslashreplace").decode())
    for cells in csv.reader(io.StringIO(content.decode(), newline="")):
        for cell in cells:
            number = cell.replace(".", "").replace("-", "").isdigit()
            assert number or not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


@pytest.mark.parametrize("name", NASTY)
def test_csv_quotes_every_text(name: str) -> None:
    """A spreadsheet that splits at ``;`` must not cut a name to a formula."""
    line = to_csv([song(f"/music/a;{name}")], GENRES).decode().partition("\n")[2]
    assert line.startswith('"a;')


def test_csv_has_columns_by_genre() -> None:
    (row,) = rows(to_csv([song("/music/a.mp3", ["rock", "rock", "jazz"])], GENRES))
    assert row["top1"] == "rock"
    assert row["top2"] == "jazz"
    assert float(row["top2_probability"]) == pytest.approx(0.3333)
    assert row["votes_rock"] == "2"
    assert float(row["margin"]) == pytest.approx(0.3333)
    assert row["error"] == ""
