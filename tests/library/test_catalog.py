"""The catalogue's file: what it is, what it is not, and who else uses it."""

import os
import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.errors import CatalogError
from pocketgenre.library.catalog import Catalog, InferenceResult
from pocketgenre.library.discovery import SongFile
from pocketgenre.library.label import Thresholds, label_song
from pocketgenre.library.queries import Selection, count_songs, select_songs
from tests.library.conftest import scan, write
from tests.library.fake_models import listener

CARD = listener().card
RNG = np.random.default_rng(0)


def heard(segments: int = 5) -> InferenceResult:
    return InferenceResult(b"0" * 16, RNG.dirichlet(np.ones(10), size=segments))


def test_a_song_comes_back_as_it_was_kept(catalog: Catalog) -> None:
    raw = b"/music/caf\xe9 \n\x1b[31m.mp3"
    table = heard(7)
    catalog.record(SongFile(os.fsdecode(raw), 2**40, 2**62), CARD, 0, table)
    (song,) = catalog.songs()
    assert os.fsencode(song.path) == raw
    assert (song.size, song.modified_ns, song.model) == (2**40, 2**62, CARD.sha256)
    assert (song.state, song.error, song.seconds_per_segment) == ("labelled", None, 3.0)
    assert song.labels == CARD.labels
    assert song.probabilities.dtype == np.float32
    np.testing.assert_allclose(song.probabilities, table.probabilities, atol=3e-4)
    assert catalog.song(os.fsdecode(raw)).path == song.path
    assert catalog.song("/music/other.mp3") is None


def test_a_song_stands_once_in_it_however_often_it_is_kept(catalog: Catalog) -> None:
    file = SongFile("/music/1.mp3", 1, 1)
    for outcome in (heard(3), InferenceResult(None, None, "it is bad"), heard(4)):
        catalog.record(file, CARD, 0, outcome)
        (song,) = catalog.songs()
        assert song.state == ("labelled" if outcome.error is None else "failed")
    assert len(song.probabilities) == 4


@pytest.mark.parametrize("rule", ["majority", "probability"])
def test_lists_say_what_the_label_says(catalog: Catalog, rule: str) -> None:
    for n in range(30):
        catalog.record(SongFile(f"/music/{n % 3}/{n}.mp3", n, n), CARD, 0, heard())
    rows = select_songs(catalog, Selection(rule=rule))
    assert len(rows) == 30
    for row, song in zip(rows, catalog.songs(), strict=True):
        label = label_song(song.probabilities, song.labels, rule)
        assert os.fsdecode(row.path) == str(song.path)
        assert (row.genre, row.segments) == (label.genre, label.segments)
        assert row.confidence == pytest.approx(label.confidence)
        assert row.margin == pytest.approx(label.margin)
    sure = Thresholds(confidence=0.3, margin=0.02)
    expected = [r for r in rows if r.confidence >= 0.3 and r.margin >= 0.02]
    assert select_songs(catalog, Selection(rule=rule, thresholds=sure)) == expected
    genres = (rows[0].genre, rows[1].genre)
    expected = [r for r in rows if r.genre in genres and r.path.startswith(b"/music/1/")]
    selection = Selection(rule=rule, genres=genres, folder=Path("/music/1"))
    assert select_songs(catalog, selection) == expected
    statistics = count_songs(catalog, rule)
    assert sum(genre.songs for genre in statistics.genres) == 30
    assert statistics.segments == 150
    assert statistics.seconds == 450


def test_a_folder_is_not_its_neighbour(catalog: Catalog) -> None:
    paths = ("/a/b/1.mp3", "/a/b0/1.mp3", "/a/b.mp3", "/a/b-/1.mp3", "/a/b/c/1.mp3")
    for path in paths:
        catalog.record(SongFile(path, 1, 1), CARD, 0, heard())
    inside = [os.fsdecode(r.path) for r in select_songs(catalog, Selection(folder=Path("/a/b")))]
    assert inside == ["/a/b/1.mp3", "/a/b/c/1.mp3"]
    assert len(select_songs(catalog, Selection(folder=Path("/")))) == 5


def test_when_picked_segments_are_is_not_known(catalog: Catalog) -> None:
    catalog.record(SongFile("/picked.mp3", 1, 1), CARD, 5, heard())
    catalog.record(SongFile("/short.mp3", 1, 1), CARD, 20, heard())
    seconds = {song.path.name: song.seconds_per_segment for song in catalog.songs()}
    assert seconds == {"picked.mp3": 0.0, "short.mp3": 3.0}


def test_forgotten_is_forgotten(catalog: Catalog, music: Path) -> None:
    write(music, "1.mp3", "2.mp3")
    scan(music, catalog)
    catalog.forget([str(music.resolve() / "1.mp3")])
    assert [song.path.name for song in catalog.songs()] == ["2.mp3"]
    assert catalog.select("SELECT count(*) FROM evidence") == [(1,)]
    assert (music / "1.mp3").exists()


def write_sqlite(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def test_what_is_no_catalogue_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
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
        "song.mp3": "has a song's ending",
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


def test_reading_makes_no_catalogue(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="scan-library makes one"):
        Catalog(tmp_path / "c.sqlite")
    assert not list(tmp_path.iterdir())


def test_a_catalogue_of_the_future_is_refused(catalog: Catalog) -> None:
    catalog.select("PRAGMA user_version = 99")
    with pytest.raises(CatalogError, match="newer pocketgenre"):
        Catalog(catalog.file)


def test_a_damaged_catalogue_is_named(catalog: Catalog) -> None:
    catalog.record(SongFile("/1.mp3", 1, 1), CARD, 0, heard())
    for statement in (
        "UPDATE evidence SET probabilities = x'0102'",
        "UPDATE models SET labels = '[1]'",
        "UPDATE models SET labels = 'blues'",
        "UPDATE models SET labels = '[]'",
    ):
        catalog.select(statement)
        with pytest.raises(CatalogError, match="is damaged"):
            list(catalog.songs())


def test_two_programs_may_write_at_once(tmp_path: Path) -> None:
    file = tmp_path / "catalog.sqlite"

    def write_many(number: int) -> None:
        with Catalog(file, create=True) as catalog:
            for n in range(100):
                catalog.record(SongFile(f"/{number}/{n}.mp3", 1, 1), CARD, 0, heard())
                catalog.record(SongFile(f"/both/{n}.mp3", 1, 1), CARD, 0, heard())

    threads = [threading.Thread(target=write_many, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Catalog(file) as catalog:
        assert len(list(catalog.songs())) == 400


def test_a_catalogue_that_stays_locked_is_an_error(catalog: Catalog) -> None:
    blocker = sqlite3.connect(catalog.file, isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    with (
        pytest.raises(CatalogError, match="in use by another program"),
        Catalog(catalog.file, patience=0.1) as other,
    ):
        other.record(SongFile("/1.mp3", 1, 1), CARD, 0, heard())
    blocker.close()
