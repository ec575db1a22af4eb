"""Results as JSON, JSON lines and CSV, whatever the songs are called."""

import csv
import io
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketgenre.library.label import Thresholds
from pocketgenre.library.labelled import genres_of
from pocketgenre.library.serialize import to_csv, to_json, to_json_lines
from tests.conftest import GENRES
from tests.library.songs import failed_song, labelled, song

# Any name that a file can bear: bytes without a slash or a zero.
NAMES = (
    st.binary(min_size=1, max_size=60)
    .map(lambda raw: os.fsdecode(raw.replace(b"/", b"").replace(b"\0", b"")) or "x")
    .filter(lambda name: name not in (".", ".."))
)
NASTY = ["=1+1", "@SUM(A1)", "-2", "+3", "\t=1", 'a"b,c;d', "new\nline", "caf\udce9", "\u2028"]


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def test_a_song_has_what_a_person_needs_to_judge_it() -> None:
    songs = labelled(song("/music/a/b.mp3", ["rock"] * 3 + ["jazz"]), failed_song("/music/c.mp3"))
    good, bad = json.loads(to_json(songs))
    assert list(good) == [
        "path", "genre", "confidence", "probability", "margin", "top", "votes", "segments",
        "probabilities", "timeline", "error",
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


def test_where_a_song_changes_its_timeline_is_there() -> None:
    (fields,) = json.loads(to_json(labelled(song("/music/a.mp3", ["rock"] * 20 + ["pop"] * 20))))
    first, second = fields["timeline"]
    assert (first["start"], first["end"], first["genre"]) == (0, 60, "rock")
    assert (second["start"], second["end"], second["genre"]) == (60, 120, "pop")
    assert first["shares"]["rock"] == 1
    assert set(second["shares"]) == set(GENRES)


def test_below_a_threshold_a_song_is_uncertain() -> None:
    songs = labelled(song("/music/a.mp3", ["rock", "jazz"]), thresholds=Thresholds(margin=0.1))
    (fields,) = json.loads(to_json(songs))
    assert fields["genre"] == "uncertain"
    assert fields["top"][0]["probability"] == 0.5


def test_a_song_outside_of_the_folder_is_named_in_full_and_a_vanished_one_says_so() -> None:
    songs = labelled(song("/elsewhere/a.mp3", state="vanished"))
    (fields,) = json.loads(to_json(songs))
    assert fields["path"] == "/elsewhere/a.mp3"
    assert fields["error"] == "it is no longer there"


@settings(deadline=None)  # the machine may be busy
@given(st.lists(NAMES, max_size=5))
def test_json_and_json_lines_hold_every_name_to_the_byte(names: list[str]) -> None:
    songs = labelled(*[song(f"/music/{name}") for name in names])
    for content in (
        json.loads(to_json(songs)),
        list(map(json.loads, to_json_lines(songs).split(b"\n")[:-1])),
    ):
        assert [os.fsencode(row["path"]) for row in content] == [os.fsencode(n) for n in names]
    assert len(to_json_lines(songs).decode().splitlines()) == len(names)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(NAMES | st.sampled_from(NASTY), max_size=5), st.sampled_from(NASTY) | st.text())
def test_csv_has_a_row_a_song_and_no_formula(names: list[str], error: str) -> None:
    failed = failed_song("/music/x", error)
    songs = labelled(*[song(f"/music/{name}") for name in names], failed)
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
def test_in_csv_every_text_is_quoted(name: str) -> None:
    """So that a spreadsheet that takes ``;`` for the separator doesn't cut a name to a formula."""
    songs = labelled(song(f"/music/a;{name}"))
    line = to_csv(songs, GENRES).decode().partition("\n")[2]
    assert line.startswith('"a;')


def test_csv_columns() -> None:
    (row,) = rows(to_csv(labelled(song("/music/a.mp3", ["rock", "rock", "jazz"])), GENRES))
    assert row["top1"] == "rock"
    assert row["top2"] == "jazz"
    assert float(row["top2_probability"]) == pytest.approx(0.3333)
    assert row["votes_rock"] == "2"
    assert float(row["margin"]) == pytest.approx(0.3333)
    assert row["error"] == ""
