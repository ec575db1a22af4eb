"""Store songs in the catalogue; open, convert and refuse its files."""

import json
import os
import shutil
import sqlite3
import subprocess
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketgenre.errors import CatalogError
from pocketgenre.inference import InferenceResult
from pocketgenre.library import schema
from pocketgenre.library.catalog import Catalog, _pack, _unpack
from pocketgenre.library.discovery import SongFile
from pocketgenre.library.file_hash import hash_file
from pocketgenre.library.queries import Selection, compute_statistics, select_songs
from pocketgenre.prediction import LabelConfig, SongAnalysis, VoteRule, predict_song
from tests.library.conftest import mounted, names_of, scan, write_files
from tests.library.fake_models import probabilities_of, scan_config

CARD = scan_config().card
RNG = np.random.default_rng(0)


def result(segments: int = 5) -> InferenceResult:
    return InferenceResult(b"0" * 16, SongAnalysis(RNG.dirichlet(np.ones(10), size=segments)))


def test_song_is_read_as_recorded(catalog: Catalog) -> None:
    raw = b"/music/caf\xe9 \n\x1b[31m.mp3"
    recorded = result(7)
    catalog.record(SongFile(os.fsdecode(raw), 2**40, 2**62), CARD, 0, recorded)
    (song,) = catalog.songs()
    assert os.fsencode(song.path) == raw
    assert (song.size, song.modified_ns, song.model) == (2**40, 2**62, CARD.sha256)
    assert (song.state, song.error) == ("labelled", None)
    assert song.prediction.seconds_per_segment == 3.0
    assert song.prediction.labels == CARD.labels
    assert song.prediction.segment_probabilities.dtype == np.float32
    np.testing.assert_allclose(
        song.prediction.segment_probabilities, recorded.analysis.probabilities, atol=3e-4
    )
    assert catalog.song(os.fsdecode(raw)).path == song.path
    assert catalog.song("/music/other.mp3") is None


def test_songs_of_several_models_keep_their_labels(catalog: Catalog) -> None:
    other = replace(CARD, sha256="1" * 64, labels=CARD.labels[::-1])
    tables = {}
    for n in range(210):
        recorded = result()
        tables[f"/music/{n:03}.mp3"] = recorded.analysis.probabilities
        file = SongFile(f"/music/{n:03}.mp3", n, n)
        catalog.record(file, other if n % 3 else CARD, 0, recorded)
    songs = list(catalog.songs())
    assert [str(song.path) for song in songs] == list(tables)
    for n, song in enumerate(songs):
        assert song.prediction.labels == (other if n % 3 else CARD).labels
        expected = tables[str(song.path)]
        np.testing.assert_allclose(song.prediction.segment_probabilities, expected, atol=3e-4)


def test_later_result_replaces_the_earlier(catalog: Catalog) -> None:
    file = SongFile("/music/1.mp3", 1, 1)
    for recorded in (result(3), InferenceResult(None, None, "it is bad"), result(4)):
        catalog.record(file, CARD, 0, recorded)
        (song,) = catalog.songs()
        assert song.state == ("labelled" if recorded.error is None else "failed")
    assert len(song.prediction.segment_probabilities) == 4


@pytest.mark.parametrize("rule", ["majority", "probability"])
def test_lists_agree_with_predictions(catalog: Catalog, rule: VoteRule) -> None:
    for n in range(30):
        catalog.record(SongFile(f"/music/{n % 3}/{n}.mp3", n, n), CARD, 0, result())
    rows = select_songs(catalog, Selection(label_config=LabelConfig(rule)))
    assert len(rows) == 30
    for row, song in zip(rows, catalog.songs(), strict=True):
        table = song.prediction.segment_probabilities
        prediction = predict_song(table, song.prediction.labels, LabelConfig(rule))
        assert os.fsdecode(row.path) == str(song.path)
        assert (row.genre, row.segments) == (prediction.genre, prediction.segments)
        assert row.confidence == pytest.approx(prediction.confidence)
        assert row.margin == pytest.approx(prediction.margin)
    thresholds = LabelConfig(rule, min_confidence=0.3, min_margin=0.02)
    expected = [r for r in rows if r.confidence >= 0.3 and r.margin >= 0.02]
    assert select_songs(catalog, Selection(label_config=thresholds)) == expected
    genres = (rows[0].genre, rows[1].genre)
    expected = [r for r in rows if r.genre in genres and r.path.startswith(b"/music/1/")]
    selection = Selection(genres=genres, folder=Path("/music/1"), label_config=LabelConfig(rule))
    assert select_songs(catalog, selection) == expected
    statistics = compute_statistics(catalog, rule)
    assert sum(genre.songs for genre in statistics.genres) == 30
    assert statistics.segments == 150
    assert statistics.seconds == 450


def test_selected_folder_excludes_its_neighbours(catalog: Catalog) -> None:
    paths = ("/a/b/1.mp3", "/a/b0/1.mp3", "/a/b.mp3", "/a/b-/1.mp3", "/a/b/c/1.mp3")
    for path in paths:
        catalog.record(SongFile(path, 1, 1), CARD, 0, result())
    inside = [os.fsdecode(r.path) for r in select_songs(catalog, Selection(folder=Path("/a/b")))]
    assert inside == ["/a/b/1.mp3", "/a/b/c/1.mp3"]
    assert len(select_songs(catalog, Selection(folder=Path("/")))) == 5


def test_selected_segments_have_no_times(catalog: Catalog) -> None:
    catalog.record(SongFile("/selected.mp3", 1, 1), CARD, 5, result())
    catalog.record(SongFile("/short.mp3", 1, 1), CARD, 20, result())
    seconds = {song.path.name: song.prediction.seconds_per_segment for song in catalog.songs()}
    assert seconds == {"selected.mp3": 0.0, "short.mp3": 3.0}


def test_forgotten_song_leaves_no_rows(catalog: Catalog, music: Path) -> None:
    write_files(music, "1.mp3", "2.mp3")
    scan(music, catalog)
    catalog.forget([str(music.resolve() / "1.mp3")])
    assert [song.path.name for song in catalog.songs()] == ["2.mp3"]
    assert catalog.select("SELECT count(*) FROM segment_probabilities") == [(1,)]
    assert (music / "1.mp3").exists()


def test_stored_probabilities_of_int8_are_exact() -> None:
    table = np.random.default_rng(0).integers(0, 256, (7, 10)) / np.float32(256)
    np.testing.assert_array_equal(_unpack(_pack(table), 10), table)
    for packed, genres in ((b"", 10), (b"123", 10), (b"1" * 20, 0), (b"\xff" * 20, 10)):
        with pytest.raises(ValueError, match="are not"):
            _unpack(packed, genres)


def write_sqlite(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_foreign_files_are_refused_unchanged(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("Dear diary, " * 1000)
    write_sqlite(tmp_path / "other.db", "CREATE TABLE songs (id)")
    write_sqlite(tmp_path / "versioned.db", "PRAGMA user_version = 1")
    (tmp_path / "song.mp3").write_bytes(b"")
    (tmp_path / "folder.db").mkdir()
    os.mkfifo(tmp_path / "pipe.db")
    sentences = {
        "text.db": "is not a catalogue",
        "other.db": "belongs to another program",
        "versioned.db": "belongs to another program",
        "song.mp3": "has the suffix of a song",
        "folder.db": "is not a file",
        "pipe.db": "is not a file",
        "no/such/folder/c.db": "is not a folder",
    }
    for name, sentence in sentences.items():
        path = tmp_path / name
        before = path.read_bytes() if path.is_file() else None
        with pytest.raises(CatalogError, match=sentence):
            Catalog(path, create=True)
        assert (path.read_bytes() if path.is_file() else None) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        name for name in sentences if "/" not in name
    )


def test_reading_creates_no_catalogue(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="scan-library creates one"):
        Catalog(tmp_path / "c.sqlite")
    assert not list(tmp_path.iterdir())


def test_newer_catalogue_is_refused(catalog: Catalog) -> None:
    catalog.select("PRAGMA user_version = 99")
    with pytest.raises(CatalogError, match="newer pocketgenre"):
        Catalog(catalog.file)


def test_damaged_catalogue_is_named(catalog: Catalog) -> None:
    catalog.record(SongFile("/1.mp3", 1, 1), CARD, 0, result())
    for statement in (
        "UPDATE segment_probabilities SET probabilities = x'0102'",
        "UPDATE models SET labels = '[1]'",
        "UPDATE models SET labels = 'blues'",
        "UPDATE models SET labels = '[]'",
    ):
        catalog.select(statement)
        with pytest.raises(CatalogError, match="is damaged"):
            list(catalog.songs())


def test_programs_can_write_at_once(tmp_path: Path) -> None:
    file = tmp_path / "catalog.sqlite"

    def write_many(number: int) -> None:
        with Catalog(file, create=True) as catalog:
            for n in range(100):
                catalog.record(SongFile(f"/{number}/{n}.mp3", 1, 1), CARD, 0, result())
                catalog.record(SongFile(f"/both/{n}.mp3", 1, 1), CARD, 0, result())

    threads = [threading.Thread(target=write_many, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Catalog(file) as catalog:
        assert len(list(catalog.songs())) == 400


def test_locked_catalogue_is_an_error(catalog: Catalog) -> None:
    blocker = sqlite3.connect(catalog.file, isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    with (
        pytest.raises(CatalogError, match="in use by another program"),
        Catalog(catalog.file, lock_timeout=0.1) as other,
    ):
        other.record(SongFile("/1.mp3", 1, 1), CARD, 0, result())
    blocker.close()


_LABEL_COLUMNS = "".join(
    f", {rule}_genre TEXT, {rule}_confidence REAL, {rule}_probability REAL, {rule}_margin REAL"
    for rule in ("majority", "probability")
)
_VERSION_1 = f"""
CREATE TABLE models (
    id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    labels TEXT NOT NULL,
    seconds_per_segment REAL NOT NULL
);
CREATE TABLE songs (
    id INTEGER PRIMARY KEY,
    path BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL,
    content BLOB,
    model INTEGER NOT NULL REFERENCES models(id),
    asked INTEGER NOT NULL,
    segments INTEGER NOT NULL,
    error TEXT,
    passing INTEGER NOT NULL,
    vanished INTEGER NOT NULL{_LABEL_COLUMNS}
);
CREATE TABLE evidence (
    song INTEGER PRIMARY KEY REFERENCES songs(id) ON DELETE CASCADE,
    probabilities BLOB NOT NULL
);
CREATE INDEX majority ON songs(majority_genre, majority_confidence);
CREATE INDEX probability ON songs(probability_genre, probability_confidence);
PRAGMA application_id = 0x706F6367;
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
"""
"""Statements that created a catalogue of version 1."""


def version_1_row(path: Path, **values: Any) -> dict[str, Any]:
    """Return a song's row in a catalogue of version 1; it is labelled unless it has an error."""
    status = path.stat() if path.exists() else None
    row: dict[str, Any] = {
        "path": os.fsencode(path), "size": status.st_size if status else 7,
        "modified_ns": status.st_mtime_ns if status else 7, "content": None, "model": 1,
        "asked": 0, "segments": 0, "error": None, "passing": 0, "vanished": 0,
    }  # fmt: skip
    if "error" not in values:
        row["content"] = hash_file(path) if status else b"0" * 16
        table = probabilities_of(path, 0).astype(np.float16).astype(np.float32)
        row["segments"] = len(table)
        for rule in ("majority", "probability"):
            prediction = predict_song(table, CARD.labels, LabelConfig(rule))
            for name in ("genre", "confidence", "probability", "margin"):
                row[f"{rule}_{name}"] = getattr(prediction, name)
    return row | values


@pytest.fixture
def version_1(tmp_path: Path, music: Path) -> Path:
    """A catalogue of version 1 with songs in every state."""
    write_files(music, "labelled.mp3", "selected.mp3", "old/moved.mp3", "bad.mp3", "busy.mp3")
    folder = music.resolve()
    rows = [
        version_1_row(folder / "labelled.mp3"),
        version_1_row(folder / "selected.mp3", asked=5),
        version_1_row(folder / "old" / "moved.mp3"),
        version_1_row(folder / "bad.mp3", error="it is bad"),
        version_1_row(folder / "busy.mp3", error="cannot be read: Input/output error", passing=1),
        version_1_row(folder / "vanished.mp3", vanished=1),
    ]
    file = tmp_path / "version 1.sqlite"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executescript(_VERSION_1)
        connection.execute(
            "INSERT INTO models VALUES (1, ?, ?, 3.0)", (CARD.sha256, json.dumps(CARD.labels))
        )
        for row in rows:
            columns, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
            song = connection.execute(f"INSERT INTO songs ({columns}) VALUES ({marks})", row)
            if row["error"] is None:
                packed = probabilities_of(Path(os.fsdecode(row["path"])), 0).astype("<f2")
                values = (song.lastrowid, packed.tobytes())
                connection.execute("INSERT INTO evidence VALUES (?, ?)", values)
    return file


def tables_of(file: Path) -> dict[str, list[tuple]]:
    """Return the columns of each table and index of an SQLite file."""
    with closing(sqlite3.connect(file)) as connection:
        names = connection.execute("SELECT name FROM sqlite_schema WHERE sql NOT NULL").fetchall()
        return {
            name: connection.execute(f"PRAGMA table_info({name})").fetchall()
            or connection.execute(f"PRAGMA index_info({name})").fetchall()
            for (name,) in names
        }


def dump(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()
        return [str(version), *connection.iterdump()]


def test_version_1_catalogue_keeps_all_songs(version_1: Path, catalog: Catalog) -> None:
    with Catalog(version_1) as opened:
        songs = {song.path.name: song for song in opened.songs()}
        entries = {Path(entry.path).name: entry for entry in opened.entries()}
        rows = {Path(os.fsdecode(row.path)).name: row for row in select_songs(opened, Selection())}
        assert opened.select("PRAGMA user_version") == [(schema.VERSION,)]
    assert {name: song.state for name, song in songs.items()} == {
        "labelled.mp3": "labelled", "selected.mp3": "labelled", "moved.mp3": "labelled",
        "bad.mp3": "failed", "busy.mp3": "failed", "vanished.mp3": "vanished",
    }  # fmt: skip
    for name in ("labelled.mp3", "selected.mp3", "moved.mp3", "vanished.mp3"):
        prediction = songs[name].prediction
        expected = probabilities_of(Path(name), 0).astype(np.float16)
        np.testing.assert_array_equal(prediction.segment_probabilities, expected)
        assert prediction.labels == CARD.labels
        assert prediction.seconds_per_segment == (0.0 if name == "selected.mp3" else 3.0)
        if name != "vanished.mp3":
            assert rows[name].genre == prediction.genre
            assert rows[name].confidence == prediction.confidence
    assert songs["bad.mp3"].error == "it is bad"
    assert {name for name, entry in entries.items() if entry.is_transient} == {"busy.mp3"}
    assert {name for name, entry in entries.items() if entry.is_vanished} == {"vanished.mp3"}
    assert entries["selected.mp3"].requested_segments == 5
    assert entries["bad.mp3"].file_hash is None
    assert entries["labelled.mp3"].file_hash == hash_file(songs["labelled.mp3"].path)
    assert tables_of(version_1) == tables_of(catalog.file)


def test_version_1_catalogue_spares_a_rescan(version_1: Path, music: Path) -> None:
    (music / "old").rename(music / "new")
    write_files(music, "new song.mp3")
    with Catalog(version_1, create=True) as opened:
        diff, scanned = scan(music, opened, scan_config(segments=5))
        assert names_of(scanned) == ["busy.mp3", "new song.mp3"]
        assert [Path(file.path).name for _, file in diff.moved] == ["moved.mp3"]
        assert len(diff.unchanged) == 3
        opened.forget([str(music.resolve() / "labelled.mp3")])
        assert opened.select("SELECT count(*) FROM segment_probabilities") == [(5,)]
    with Catalog(version_1) as opened:
        assert len(list(opened.songs())) == 6


def test_version_3_catalogue_is_read_unchanged(version_1: Path) -> None:
    with closing(sqlite3.connect(version_1)) as connection, connection:
        connection.executescript(schema._MIGRATIONS[1] + schema._MIGRATIONS[2])
        connection.execute("PRAGMA user_version = 3")
    before = dump(version_1)
    with Catalog(version_1, access="read") as opened:
        songs = list(opened.songs())
    assert len(songs) == 6
    assert dump(version_1) == before
    with Catalog(version_1) as opened:
        assert [song.path for song in opened.songs()] == [song.path for song in songs]
        assert len(opened.files_without_metadata()) == 3


def test_read_only_catalogue_is_read(tmp_path: Path, version_1: Path) -> None:
    """Read a catalogue on a drive that is mounted read-only, in the current and an old version."""
    for folder in mounted(tmp_path / "card", "size=5m"):
        shutil.copy(version_1, folder / "old.sqlite")
        with Catalog(version_1):
            pass
        shutil.copy(version_1, folder / "new.sqlite")
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        for name in ("old.sqlite", "new.sqlite"):
            with Catalog(folder / name, access="read") as opened:
                assert len(list(opened.songs())) == 6
            assert sorted(p.name for p in folder.iterdir()) == ["new.sqlite", "old.sqlite"]


def test_reading_changes_no_catalogue(catalog: Catalog) -> None:
    catalog.record(SongFile("/music/1.mp3", 1, 1), CARD, 0, result())
    with Catalog(catalog.file, access="read") as opened:
        assert len(list(opened.songs())) == 1
        with pytest.raises(CatalogError, match="cannot be written"):
            opened.forget(["/music/1.mp3"])
    with Catalog(catalog.file, access="copy") as opened:
        opened.forget(["/music/1.mp3"])
    assert len(list(catalog.songs())) == 1


@pytest.mark.parametrize("statements", range(6))
def test_failed_conversion_leaves_version_1(
    version_1: Path, statements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dump(version_1)
    done = schema._MIGRATIONS[1].split(";")[:statements]
    with monkeypatch.context() as failing:
        failing.setitem(schema._MIGRATIONS, 1, ";".join([*done, "SELECT * FROM missing"]))
        with pytest.raises(CatalogError, match="cannot be used: no such table: missing"):
            Catalog(version_1)
    assert dump(version_1) == before
    with Catalog(version_1) as opened:
        assert len(list(opened.songs())) == 6
