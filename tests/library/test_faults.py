"""Whatever ends a scan, the next one goes on: nothing is lost, doubled or harmed."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pocketgenre.library.catalog import Catalog
from pocketgenre.library.discovery import list_songs
from pocketgenre.library.library_diff import Wanted
from pocketgenre.library.scan import listen, look
from tests.conftest import REPOSITORY, until, write_tone
from tests.library.fake_models import listener

SCAN = [sys.executable, "-m", "pocketgenre.cli.scan_library"]
SONGS = 120


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Songs that differ, so that one's evidence can't pass for another's."""
    folder = tmp_path_factory.mktemp("songs")
    for n in range(6):
        write_tone(folder / f"{n}.flac", 20.0 + n, 44_100, 2)
    for n in range(6, SONGS):
        shutil.copy(folder / f"{n % 6}.flac", folder / f"{n}.flac")
    return folder


def scan(folder: Path, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [*SCAN, str(folder), "--catalog", str(file), "--workers", "2", *options]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def contents(file: Path) -> dict[str, tuple]:
    """Everything that a catalogue knows, after a look at whether it is whole."""
    with sqlite3.connect(file) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert not raw.execute("PRAGMA foreign_key_check").fetchall()
    raw.close()
    with Catalog(file) as catalog:
        known = [(song.path.name, song.state, song.probabilities) for song in catalog.songs()]
        assert catalog.select(
            "SELECT count(*) FROM songs WHERE (error IS NULL) !="
            " EXISTS (SELECT 1 FROM evidence WHERE song = id)"
        ) == [(0,)]
    assert len({name for name, *_ in known}) == len(known)
    return {name: (state, table.tobytes()) for name, state, table in known}


@pytest.fixture(scope="module")
def reference(songs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple]:
    """What a scan finds that nothing disturbs."""
    file = tmp_path_factory.mktemp("reference") / "c.sqlite"
    assert scan(songs, file).returncode == 0
    known = contents(file)
    assert len(known) == SONGS
    return known


def workers_of(pid: int) -> list[int]:
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def kill_scans(songs: Path, folder: Path, reference: dict[str, tuple], times: int) -> int:
    """Kill as many scans at random moments; return how many were at listening."""
    chance = random.Random(times)
    file = folder / "c.sqlite"
    known: dict[str, tuple] = {}
    listening = 0
    for _ in range(times):
        command = [*SCAN, str(songs), "--catalog", str(file), "--workers", "2"]
        process = subprocess.Popen(
            command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(chance.uniform(0.2, 3.0))
        workers = workers_of(process.pid)
        process.kill()
        process.wait()
        now = contents(file) if file.exists() else {}
        assert known.items() <= now.items()  # nothing lost, nothing changed
        assert now.items() <= reference.items()  # nothing wrong
        listening += len(known) < len(now) < SONGS
        known = now
        if len(known) == SONGS:
            shutil.rmtree(folder)
            folder.mkdir()
            known = {}
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))  # noqa: B023
    assert scan(songs, file).returncode == 0
    assert contents(file) == reference
    return listening


def test_killed_it_goes_on(songs: Path, tmp_path: Path, reference: dict[str, tuple]) -> None:
    (tmp_path / "killed").mkdir()
    kill_scans(songs, tmp_path / "killed", reference, 4)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_killed_fifty_times_it_goes_on(
    songs: Path, tmp_path: Path, reference: dict[str, tuple]
) -> None:
    (tmp_path / "killed").mkdir()
    listening = kill_scans(songs, tmp_path / "killed", reference, 50)
    print(f"50 scans killed, {listening} of them at listening")
    assert listening >= 20


def test_two_scans_of_one_folder_at_once(
    songs: Path, tmp_path: Path, reference: dict[str, tuple]
) -> None:
    command = [*SCAN, str(songs), "--catalog", str(tmp_path / "c.sqlite"), "--workers", "1"]
    both = [subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert contents(tmp_path / "c.sqlite") == reference


def test_interrupted_it_goes_on(songs: Path, tmp_path: Path, reference: dict[str, tuple]) -> None:
    file = tmp_path / "c.sqlite"
    command = [*SCAN, str(songs), "--catalog", str(file), "--workers", "2"]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    until(lambda: file.exists() and workers_of(process.pid))
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) in (130, 0)
    assert contents(file).items() <= reference.items()
    assert scan(songs, file).returncode == 0
    assert contents(file) == reference


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of eight megabytes: two for the catalogue, four for its log."""
    yield from mounted(tmp_path / "disk", "size=8m")


def mounted(folder: Path, options: str) -> Iterator[Path]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip("mounting a small disk is not permitted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, leave: int) -> Path:
    """Use up a disk but for so many bytes."""
    free = shutil.disk_usage(folder).free
    (folder / "filler").write_bytes(bytes(free - leave))
    return folder / "filler"


@pytest.mark.parametrize("leave", [0, 60_000, 400_000])
def test_on_a_full_disk_it_says_so_and_goes_on_later(
    songs: Path, small_disk: Path, reference: dict[str, tuple], leave: int
) -> None:
    file = small_disk / "c.sqlite"
    filler = fill(small_disk, leave)
    result = scan(songs, file)
    assert result.returncode == 1
    assert "full" in result.stderr
    assert "Traceback" not in result.stderr
    filler.unlink()
    before = contents(file) if file.exists() else {}
    assert before.items() <= reference.items()
    if leave == 400_000:
        assert before, "some fitted"
    assert scan(songs, file).returncode == 0
    assert contents(file) == reference


def test_a_library_that_can_only_be_read(songs: Path, tmp_path: Path) -> None:
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


def test_a_file_that_changes_while_it_is_heard_is_heard_again(tmp_path: Path) -> None:
    song = write_tone(tmp_path / "song.wav", 4.0)

    def touch() -> bool:
        os.utime(song, ns=(7, 7))
        return False

    wanted = Wanted(listener().card.sha256)
    with Catalog(tmp_path / "c.sqlite", create=True) as catalog:
        assert list(listen(list_songs(tmp_path).files, catalog, listener(), touch))
        _, changes = look(tmp_path, catalog, wanted)
        assert [Path(file.path).name for file in changes.listen] == ["song.wav"]
