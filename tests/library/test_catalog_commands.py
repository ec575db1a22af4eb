"""Run the commands that read the catalogue."""

import csv
import io
import json
import os
import shutil
from pathlib import Path

import pytest

from pocketgenre.library.schema import default_catalog
from tests.conftest import GENRES, STANDARD, Command, invoke, write_tone

CLI = "pocketgenre.cli."
SCAN = CLI + "scan_library"


def scan_mixed_library(library: Path, folder: Path) -> None:
    """Scan songs, one of which fails, one vanishes, and one has an unusual name."""
    folder.mkdir()
    for song in library.iterdir():
        os.link(song, folder / song.name)
    (folder / "bad.mp3").write_text("not music")
    gone = write_tone(folder / "gone.wav")
    write_tone(folder / "odd.wav", 5.0).rename(folder / os.fsdecode(b"caf\xe9 \x1b[31m.wav"))
    assert invoke(SCAN, *STANDARD, folder).returncode == 0
    gone.unlink()
    assert invoke(SCAN, *STANDARD, folder).returncode == 0


@pytest.fixture(scope="module")
def scanned_once(library: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A scanned library, which no test changes, and its catalogue."""
    base = tmp_path_factory.mktemp("scanned")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(base / "data"))
        scan_mixed_library(library, base / "music")
        return base / "music", default_catalog()


@pytest.fixture
def scanned(scanned_once: tuple[Path, Path]) -> Path:
    """A scanned library; the default catalogue is the test's own copy."""
    folder, catalog = scanned_once
    default_catalog().parent.mkdir(parents=True)
    shutil.copy(catalog, default_catalog())
    return folder


def rows(*options: object) -> list[dict]:
    result = invoke(CLI + "list_songs", "--format", "json", *options)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_list_songs_selects_songs(scanned: Path) -> None:
    songs = rows()
    assert len(songs) == 6
    assert [song["path"] for song in songs] == sorted(song["path"] for song in songs)
    for song in songs:
        assert song["genre"] in GENRES
        assert Path(song["path"]).exists()
    genre = songs[0]["genre"]
    assert rows("--genre", genre) == [s for s in songs if s["genre"] == genre]
    certain = [s for s in songs if s["confidence"] >= 0.9 and s["margin"] >= 0.3]
    assert rows("--min-confidence", 0.9, "--min-margin", 0.3) == certain
    assert len(rows("--folder", scanned)) == 6
    (failed,) = rows("--failed")
    assert failed["path"].endswith("bad.mp3")
    assert "not audio" in failed["error"]
    (gone,) = rows("--vanished")
    assert gone["path"].endswith("gone.wav")


@pytest.mark.parametrize("option", [["--genre", "rock"], ["--min-confidence", 0.1]])
def test_failed_list_refuses_label_options(option: list) -> None:
    result = invoke(CLI + "list_songs", "--failed", *option)
    assert result.returncode == 2
    assert "--failed lists songs without a genre" in " ".join(result.stderr.split())


def test_list_songs_writes_other_formats(scanned: Path) -> None:
    table = invoke(CLI + "list_songs").stdout
    assert "Bells.m4a" in table
    assert "\x1b[31m" not in table
    paths = invoke(CLI + "list_songs", "--format", "paths", errors="surrogateescape")
    assert len(paths.stdout.splitlines()) == 6
    assert all(Path(line).exists() for line in paths.stdout.splitlines())
    data = invoke(CLI + "list_songs", "--format", "csv").stdout
    assert len(list(csv.DictReader(io.StringIO(data)))) == 6


def test_statistics_count_songs(scanned: Path) -> None:
    text = invoke(CLI + "show_statistics").stdout
    assert "6 songs labelled" in text
    assert "1 song could not be labelled" in text
    assert "1 song vanished" in text
    data = json.loads(invoke(CLI + "show_statistics", "--format", "json").stdout)
    assert sum(genre["songs"] for genre in data["genres"]) == 6
    assert (data["failed"], data["vanished"]) == (1, 1)


def test_statistics_count_names_of_the_map(scanned: Path, tmp_path: Path) -> None:
    count = "--format", "json"
    before = json.loads(invoke(CLI + "show_statistics", *count).stdout)["genres"]
    file = tmp_path / "genres.toml"
    file.write_text("".join(f'{label} = "All"\n' for label in GENRES))
    (genre,) = json.loads(invoke(CLI + "show_statistics", *count, "--genre-map", file).stdout)[
        "genres"
    ]
    mean = sum(one["songs"] * one["confidence"] for one in before) / 6
    assert genre == {"genre": "All", "songs": 6, "confidence": pytest.approx(mean)}


def test_statistics_have_bars_where_they_fit(
    scanned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "45")
    assert "█" not in invoke(CLI + "show_statistics").stdout
    monkeypatch.setenv("COLUMNS", "100")
    lines = invoke(CLI + "show_statistics").stdout.splitlines()
    songs = [(int(line.split()[1]), line.count("█")) for line in lines if "█" in line]
    assert songs[0][1] == 40
    assert all(abs(bar - 40 * count / songs[0][0]) <= 1 for count, bar in songs)


def test_export_equals_output_of_scan(scanned: Path) -> None:
    scan = invoke(SCAN, *STANDARD, scanned, "--format", "json").stdout
    assert invoke(CLI + "export_catalog", "--folder", scanned).stdout == scan
    absolute = json.loads(invoke(CLI + "export_catalog").stdout)
    assert all(Path(song["path"]).is_absolute() for song in absolute)
    other = invoke(CLI + "export_catalog", "--vote", "probability", "--min-margin", 1.0)
    assert {s["genre"] for s in json.loads(other.stdout)} == {"uncertain", None}


def test_forget_songs_keeps_the_files(scanned: Path) -> None:
    forget = CLI + "forget_songs"
    assert invoke(forget).returncode == 2
    result = invoke(forget, "--vanished", "--dry-run")
    assert result.stdout.strip().endswith("gone.wav")
    assert len(rows("--vanished")) == 1
    invoke(forget, "--vanished")
    assert not rows("--vanished")
    before = sorted(scanned.iterdir())
    invoke(forget, "--all", "--folder", scanned)
    assert not rows()
    assert sorted(scanned.iterdir()) == before


@pytest.mark.parametrize(
    "command", ["list_songs", "show_statistics", "export_catalog", "forget_songs"]
)
def test_missing_catalogue_is_one_sentence(tmp_path: Path, command: str) -> None:
    options = ["--all"] if command == "forget_songs" else []
    result = invoke(CLI + command, *options)
    assert result.returncode == 1
    assert "scan-library creates one" in result.stderr
    (tmp_path / "text").write_text("not a catalogue" * 100)
    result = invoke(CLI + command, "--catalog", tmp_path / "text", *options)
    assert result.returncode == 1
    assert "is not a catalogue" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "options", "expected"),
    [
        ("list_songs", [], "Bells.m4a"),
        ("show_statistics", [], "6 songs labelled"),
        ("export_catalog", [], "Bells.m4a"),
        ("forget_songs", ["--all", "--dry-run"], "Bells.m4a"),
    ],
)
def test_command_runs_as_a_process(
    run_command: Command, scanned: Path, command: str, options: list[str], expected: str
) -> None:
    result = run_command(CLI + command, *options)
    assert result.returncode == 0
    assert expected in result.stdout


def test_dry_run_is_read_only(library: Path, tmp_path: Path) -> None:
    folder = tmp_path / "music"
    scan_mixed_library(library, folder)
    write_tone(folder / "new.wav", 6.0)
    (folder / "Bells.m4a").rename(folder / "Chimes.m4a")
    (folder / "Slow pad.wav").unlink()
    first = invoke(SCAN, *STANDARD, folder, "--dry-run")
    assert first.returncode == 0
    kinds = {
        Path(line.split("  ")[-1].partition(": ")[0]).name: line.split()[0]
        for line in first.stdout.splitlines()
    }
    assert kinds == {"new.wav": "classify", "Chimes.m4a": "moved", "Slow pad.wav": "vanished"}
    assert invoke(SCAN, *STANDARD, folder, "--dry-run").stdout == first.stdout
    missing = tmp_path / "none.sqlite"
    invoke(SCAN, *STANDARD, folder, "--dry-run", "--catalog", missing)
    assert not missing.exists()


def test_thresholds_make_songs_uncertain(scanned: Path) -> None:
    options = ("--min-margin", 1.0, "--format", "json")
    songs = json.loads(invoke(SCAN, *STANDARD, scanned, *options).stdout)
    assert {song["genre"] for song in songs} == {"uncertain", None}
    assert "uncertain" in invoke(SCAN, *STANDARD, scanned, "--min-margin", 1.0).stdout


def test_memory_catalogue_stores_nothing(library: Path, tmp_path: Path) -> None:
    options = ("--catalog", ":memory:", "--workers", 1, "--format", "json")
    result = invoke(SCAN, *STANDARD, library, *options)
    assert result.returncode == 0, result.stderr
    assert len(json.loads(result.stdout)) == 5
    assert invoke(CLI + "list_songs").returncode == 1
    assert not list(tmp_path.iterdir())
