"""The commands that read the catalogue, as a user runs them."""

import csv
import io
import json
import os
from pathlib import Path

import pytest

from tests.conftest import GENRES, Command, write_tone

CLI = "pocketgenre.cli."


@pytest.fixture
def scanned(run_command: Command, library: Path, tmp_path: Path) -> Path:
    """A scanned library with a song that failed, one that vanished, and an odd name."""
    folder = tmp_path / "music"
    folder.mkdir()
    for song in library.iterdir():
        os.link(song, folder / song.name)
    (folder / "bad.mp3").write_text("not music")
    gone = write_tone(folder / "gone.wav")
    write_tone(folder / "odd.wav", 5.0).rename(folder / os.fsdecode(b"caf\xe9 \x1b[31m.wav"))
    assert run_command(CLI + "scan_library", folder).returncode == 0
    gone.unlink()
    assert run_command(CLI + "scan_library", folder).returncode == 0
    return folder


def rows(run_command: Command, *options: object) -> list[dict]:
    result = run_command(CLI + "list_songs", "--format", "json", *options)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_list_songs(run_command: Command, scanned: Path) -> None:
    songs = rows(run_command)
    assert len(songs) == 6
    assert [song["path"] for song in songs] == sorted(song["path"] for song in songs)
    for song in songs:
        assert song["genre"] in GENRES
        assert Path(song["path"]).exists()
    genre = songs[0]["genre"]
    assert rows(run_command, "--genre", genre) == [s for s in songs if s["genre"] == genre]
    sure = [s for s in songs if s["confidence"] >= 0.9 and s["margin"] >= 0.3]
    assert rows(run_command, "--min-confidence", 0.9, "--min-margin", 0.3) == sure
    assert not rows(run_command, "--genre", "polka")
    assert not rows(run_command, "--folder", scanned / "no such folder")
    assert len(rows(run_command, "--folder", scanned)) == 6
    (failed,) = rows(run_command, "--failed")
    assert failed["path"].endswith("bad.mp3")
    assert "not audio" in failed["error"]
    (gone,) = rows(run_command, "--vanished")
    assert gone["path"].endswith("gone.wav")


@pytest.mark.parametrize("option", [["--genre", "rock"], ["--min-confidence", 0.1]])
def test_what_asks_for_a_label_is_refused_for_songs_without_one(
    run_command: Command, option: list
) -> None:
    result = run_command(CLI + "list_songs", "--failed", *option)
    assert result.returncode == 2
    assert "--failed lists songs without a label" in " ".join(result.stderr.split())


def test_list_songs_in_other_forms(run_command: Command, scanned: Path) -> None:
    table = run_command(CLI + "list_songs").stdout
    assert "Bells.m4a" in table
    assert "\x1b[31m" not in table
    paths = run_command(CLI + "list_songs", "--format", "paths", errors="surrogateescape").stdout
    assert all(Path(line).exists() for line in paths.splitlines())
    data = run_command(CLI + "list_songs", "--format", "csv").stdout
    assert len(list(csv.DictReader(io.StringIO(data)))) == 6


def test_show_statistics(run_command: Command, scanned: Path) -> None:
    text = run_command(CLI + "show_statistics").stdout
    assert "6 songs labelled" in text
    assert "1 could not be labelled" in text
    assert "1 have vanished" in text
    data = json.loads(run_command(CLI + "show_statistics", "--format", "json").stdout)
    assert sum(genre["songs"] for genre in data["genres"]) == 6
    assert (data["failed"], data["vanished"]) == (1, 1)


def test_export_catalog_writes_what_scan_library_wrote(run_command: Command, scanned: Path) -> None:
    scan = run_command(CLI + "scan_library", scanned, "--format", "json").stdout
    assert run_command(CLI + "export_catalog", "--folder", scanned).stdout == scan
    absolute = json.loads(run_command(CLI + "export_catalog").stdout)
    assert all(Path(song["path"]).is_absolute() for song in absolute)
    other = run_command(CLI + "export_catalog", "--vote", "probability", "--min-margin", 1.0)
    assert {s["genre"] for s in json.loads(other.stdout)} == {"uncertain", None}


def test_forget_songs(run_command: Command, scanned: Path) -> None:
    forget = CLI + "forget_songs"
    assert run_command(forget).returncode == 2
    result = run_command(forget, "--vanished", "--dry-run")
    assert result.stdout.strip().endswith("gone.wav")
    assert len(rows(run_command, "--vanished")) == 1
    run_command(forget, "--vanished")
    assert not rows(run_command, "--vanished")
    before = sorted(scanned.iterdir())
    run_command(forget, "--all", "--folder", scanned)
    assert not rows(run_command)
    assert sorted(scanned.iterdir()) == before


@pytest.mark.parametrize(
    "command", ["list_songs", "show_statistics", "export_catalog", "forget_songs"]
)
def test_without_a_catalogue_they_say_where_one_comes_from(
    run_command: Command, tmp_path: Path, command: str
) -> None:
    options = ["--all"] if command == "forget_songs" else []
    result = run_command(CLI + command, *options)
    assert result.returncode == 1
    assert "scan-library makes one" in result.stderr
    (tmp_path / "text").write_text("not a catalogue" * 100)
    result = run_command(CLI + command, "--catalog", tmp_path / "text", *options)
    assert result.returncode == 1
    assert "is not a catalogue" in result.stderr
    assert result.stderr.count("\n") == 1


def test_dry_run_says_what_a_scan_would_do_and_does_nothing(
    run_command: Command, scanned: Path, tmp_path: Path
) -> None:
    write_tone(scanned / "new.wav", 6.0)
    (scanned / "Bells.m4a").rename(scanned / "Chimes.m4a")
    (scanned / "Slow pad.wav").unlink()
    first = run_command(CLI + "scan_library", scanned, "--dry-run")
    assert first.returncode == 0
    kinds = {Path(line.split("  ")[-1]).name: line.split()[0] for line in first.stdout.splitlines()}
    assert kinds == {"new.wav": "listen", "Chimes.m4a": "moved", "Slow pad.wav": "vanished"}
    assert run_command(CLI + "scan_library", scanned, "--dry-run").stdout == first.stdout
    none = tmp_path / "none.sqlite"
    run_command(CLI + "scan_library", scanned, "--dry-run", "--catalog", none)
    assert not none.exists()


def test_thresholds_make_labels_uncertain(run_command: Command, scanned: Path) -> None:
    options = ("--min-margin", 1.0, "--format", "json")
    songs = json.loads(run_command(CLI + "scan_library", scanned, *options).stdout)
    assert {song["genre"] for song in songs} == {"uncertain", None}
    assert "uncertain" in run_command(CLI + "scan_library", scanned, "--min-margin", 1.0).stdout


def test_a_scan_may_keep_nothing(run_command: Command, library: Path, tmp_path: Path) -> None:
    options = ("--catalog", ":memory:", "--workers", 1, "--format", "json")
    result = run_command(CLI + "scan_library", library, *options)
    assert len(json.loads(result.stdout)) == 5
    assert run_command(CLI + "list_songs").returncode == 1
    assert not list(tmp_path.iterdir())
