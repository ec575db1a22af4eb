"""Interrupt scans: results so far are kept, and complete ones are not replaced."""

import json
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from pocketgenre.errors import PocketGenreError
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.playlists import make_playlists, write_playlists
from tests.conftest import GENRES, REPOSITORY, until
from tests.library.songs import song

SCAN = "pocketgenre.cli.scan_library"


@pytest.fixture
def music(library: Path, tmp_path: Path) -> Path:
    """Write more songs than are classified before the interruption."""
    folder = tmp_path / "music"
    folder.mkdir()
    for number in range(400):
        (folder / f"{number}.m4a").symlink_to(library / "Bells.m4a")
    return folder


def has_songs(catalog: Path) -> bool:
    """Check whether a catalogue, which may not exist yet, has songs."""
    with suppress(PocketGenreError), Catalog(catalog) as opened:
        return bool(opened.entries())
    return False


def interrupted_scan(music: Path, *options: object) -> str:
    """Interrupt a scan after a few songs; return its messages."""
    catalog = music.with_name("c.sqlite")
    command = [sys.executable, "-m", SCAN, music, "--catalog", catalog, *options]
    process = subprocess.Popen(
        list(map(str, command)), cwd=REPOSITORY, stderr=subprocess.PIPE, text=True
    )
    until(lambda: has_songs(catalog))
    process.send_signal(signal.SIGINT)
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 130, stderr
    assert "Interrupted" in stderr
    assert "the same command continues" in stderr
    return stderr


def test_interrupted_scan_writes_results_so_far(music: Path, tmp_path: Path) -> None:
    out, lists, report = (tmp_path / name for name in ("genres.json", "lists", "report.html"))
    interrupted_scan(
        music, "--format", "json", "--out", out, "--playlists", lists, "--report", report
    )
    assert 0 < len(json.loads(out.read_text())) < 400
    assert not lists.exists()
    assert not report.exists()


def test_interrupted_scan_keeps_complete_results(music: Path, tmp_path: Path) -> None:
    out, lists, report = (tmp_path / name for name in ("genres.csv", "lists", "report.html"))
    out.write_text("all of it")
    report.write_text("all of it")
    write_playlists(make_playlists([song("/a.mp3", ["jazz"])], lists), lists, GENRES)
    before = {path: path.read_bytes() for path in (out, report, lists / "jazz.m3u8")}
    stderr = interrupted_scan(
        music, "--format", "csv", "--out", out, "--playlists", lists, "--report", report
    )
    assert f"Interrupted; {out} is unchanged" in stderr
    assert {path: path.read_bytes() for path in before} == before
    assert list(lists.iterdir()) == [lists / "jazz.m3u8"]


@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_interrupted_import_shows_no_traceback(debug: list[str]) -> None:
    code = """
import sys
from pocketgenre.cli.commands import scan_library
class Interrupt:
    def find_spec(self, *_):
        raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
scan_library()
"""
    command = [sys.executable, "-c", code, *debug]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert result.returncode == (-signal.SIGINT if debug else 130)
    assert ("Traceback" in result.stderr) == bool(debug)
