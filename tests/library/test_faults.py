"""Continue scans that were killed, interrupted or stopped by a full disk."""

import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from pocketgenre.errors import CatalogError
from pocketgenre.library.catalog import Catalog
from tests.conftest import REPOSITORY, invoke, until, write_tone
from tests.library.conftest import mounted

pytestmark = pytest.mark.slow

SCAN = "pocketgenre.cli.scan_library"
MODEL = ("--model", "standard")  # three times faster than the default one
SONGS = 120

Contents = dict[str, tuple[str, bytes]]
"""State and segment probabilities of each song of a catalogue, by name."""


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six songs with different predictions, and copies of them."""
    folder = tmp_path_factory.mktemp("songs")
    for n in range(6):
        write_tone(folder / f"{n}.flac", 4.0 + 2 * n, 22_050, 2)
    for n in range(6, SONGS):
        shutil.copy(folder / f"{n % 6}.flac", folder / f"{n}.flac")
    return folder


def scan(folder: Path, file: Path) -> subprocess.CompletedProcess[str]:
    """Scan a folder to the end."""
    return invoke(SCAN, folder, *MODEL, "--catalog", file, "--workers", 2)


def start_scan(folder: Path, file: Path, workers: int = 2) -> "subprocess.Popen[bytes]":
    """Start a process that scans a folder."""
    options = [*MODEL, "--catalog", str(file), "--workers", str(workers)]
    return subprocess.Popen(
        [sys.executable, "-m", SCAN, str(folder), *options],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def contents(file: Path) -> Contents:
    """Return the content of a catalogue, and check that it is intact."""
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert not connection.execute("PRAGMA foreign_key_check").fetchall()
    with Catalog(file) as catalog:
        songs = list(catalog.songs())
        assert catalog.select(
            "SELECT count(*) FROM songs WHERE (error IS NULL) !="
            " EXISTS (SELECT 1 FROM segment_probabilities WHERE song = id)"
        ) == [(0,)]
    found = {
        song.path.name: (song.state, song.prediction.segment_probabilities.tobytes())
        for song in songs
    }
    assert len(found) == len(songs)
    return found


def count_songs(file: Path) -> int:
    """Return the number of songs in a catalogue that a process may be creating."""
    with suppress(CatalogError), Catalog(file) as catalog:
        return len(catalog.entries())
    return 0


@pytest.fixture(scope="module")
def reference(songs: Path, tmp_path_factory: pytest.TempPathFactory) -> Contents:
    """Content of the catalogue after an undisturbed scan."""
    file = tmp_path_factory.mktemp("reference") / "c.sqlite"
    assert scan(songs, file).returncode == 0
    found = contents(file)
    assert len(found) == SONGS
    return found


def workers_of(pid: int) -> list[int]:
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def kill_scans(songs: Path, folder: Path, reference: Contents, times: int) -> int:
    """Kill scans at random moments; return the number of those killed while classifying.

    Every fourth is killed while it starts, the others after some more songs.
    """
    rng = random.Random(times)
    file = folder / "c.sqlite"
    before: Contents = {}
    while_classifying = 0
    for kill in range(times):
        process = start_scan(songs, file)
        if kill % 4:
            enough = len(before) + rng.randrange(1, SONGS // 3)
            until(lambda: count_songs(file) >= enough or process.poll() is not None)  # noqa: B023
        time.sleep(rng.uniform(0.0, 0.1 if kill % 4 else 1.0))
        workers = workers_of(process.pid)
        process.kill()
        process.wait()
        now = contents(file) if file.exists() else {}
        assert before.items() <= now.items(), "no song is lost or changed"
        assert now.items() <= reference.items(), "no song is wrong"
        while_classifying += len(before) < len(now) < SONGS
        before = now
        if len(before) == SONGS:
            shutil.rmtree(folder)
            folder.mkdir()
            before = {}
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))  # noqa: B023
    assert scan(songs, file).returncode == 0
    assert contents(file) == reference
    return while_classifying


def test_killed_scans_are_continued(songs: Path, tmp_path: Path, reference: Contents) -> None:
    (tmp_path / "killed").mkdir()
    assert kill_scans(songs, tmp_path / "killed", reference, 4) >= 2


@pytest.mark.long
@pytest.mark.timeout(900)
def test_fifty_killed_scans_are_continued(songs: Path, tmp_path: Path, reference: Contents) -> None:
    (tmp_path / "killed").mkdir()
    while_classifying = kill_scans(songs, tmp_path / "killed", reference, 50)
    print(f"50 scans killed, {while_classifying} of them while classifying")
    assert while_classifying >= 20


def test_two_scans_share_a_catalogue(songs: Path, tmp_path: Path, reference: Contents) -> None:
    both = [start_scan(songs, tmp_path / "c.sqlite", workers=1) for _ in range(2)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert contents(tmp_path / "c.sqlite") == reference


def test_interrupted_scan_is_continued(songs: Path, tmp_path: Path, reference: Contents) -> None:
    file = tmp_path / "c.sqlite"
    process = start_scan(songs, file)
    until(lambda: count_songs(file) > 0)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    assert contents(file).items() <= reference.items()
    assert scan(songs, file).returncode == 0
    assert contents(file) == reference


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB: 2 MB for the catalogue, 4 MB for its write-ahead log."""
    yield from mounted(tmp_path / "disk", "size=8m")


def fill(folder: Path, remaining: int) -> Path:
    """Fill a disk up to a number of bytes; return the file that fills it."""
    free = shutil.disk_usage(folder).free
    (folder / "filler").write_bytes(bytes(free - remaining))
    return folder / "filler"


@pytest.mark.parametrize("remaining", [0, 60_000, 400_000])
def test_scan_on_full_disk_is_continued(
    songs: Path, small_disk: Path, reference: Contents, remaining: int
) -> None:
    file = small_disk / "c.sqlite"
    filler = fill(small_disk, remaining)
    result = scan(songs, file)
    assert result.returncode == 1
    assert "full" in result.stderr
    assert "Traceback" not in result.stderr
    filler.unlink()
    before = contents(file) if file.exists() else {}
    assert before.items() <= reference.items()
    if remaining == 400_000:
        assert before, "some songs were stored"
    assert scan(songs, file).returncode == 0
    assert contents(file) == reference


def test_read_only_library_is_scanned(songs: Path, tmp_path: Path) -> None:
    for folder in mounted(tmp_path / "card", "size=30m"):
        for n in range(3):
            shutil.copy2(songs / f"{n}.flac", folder)
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        assert scan(folder, tmp_path / "c.sqlite").returncode == 0
        assert len(contents(tmp_path / "c.sqlite")) == 3
        result = scan(folder, folder / "c.sqlite")
        assert result.returncode == 1
        assert result.stderr.startswith("Error: The catalogue")
        assert result.stderr.count("\n") == 1
