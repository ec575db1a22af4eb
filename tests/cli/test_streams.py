"""Write to standard output, also if it is closed, a pipe, or a narrow terminal."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import mutagen
import pytest

from tests.conftest import REPOSITORY, invoke

CLI = "pocketgenre.cli."
SCAN, LIST = CLI + "scan_library", CLI + "list_songs"


@pytest.fixture
def scanned(library: Path) -> Path:
    """Scan the synthetic songs into the default catalogue."""
    assert invoke(SCAN, library, "--model", "standard", "--quiet").returncode == 0
    return library


def run_in_shell(command: str) -> "subprocess.CompletedProcess[str]":
    """Run a command line in which ``python`` is this interpreter."""
    return subprocess.run(
        ["sh", "-c", command.replace("python", sys.executable)],
        cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


@pytest.mark.parametrize("redirection", [">&-", ">&- 2>&-", "<&-", "| true"])
def test_closed_streams_show_no_traceback(scanned: Path, redirection: str) -> None:
    for command in (f"{LIST} --format json", f"{CLI}export_catalog", f"{CLI}show_statistics"):
        result = run_in_shell(f"python -m {command} {redirection}")
        assert "Traceback" not in result.stderr
        assert result.returncode == 0


def test_nothing_is_written_into_the_catalogue_by_mistake(scanned: Path) -> None:
    """With standard output closed, the catalogue would get its descriptor."""
    code = (
        "import os; from pocketgenre.cli.console import run\n"
        "run(lambda: print([os.open('/dev/zero', os.O_RDONLY)], file=__import__('sys').stderr))"
    )
    result = subprocess.run(
        ["sh", "-c", f'exec {sys.executable} -c "$0" <&- >&-', code],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert int(result.stderr.strip("[]\n")) > 2


def test_dash_is_standard_output(scanned: Path) -> None:
    for command in (LIST, CLI + "export_catalog"):
        result = invoke(command, "--format", "json", "--out", "-")
        assert len(json.loads(result.stdout)) == 5
    result = invoke(SCAN, scanned, "--model", "standard", "--format", "jsonl", "--out", "-")
    assert len(result.stdout.splitlines()) == 5
    assert not Path("-").exists()


def test_ending_of_out_chooses_the_format(scanned: Path, tmp_path: Path) -> None:
    invoke(SCAN, scanned, "--model", "standard", "--out", tmp_path / "a.json")
    assert len(json.loads((tmp_path / "a.json").read_text())) == 5
    invoke(LIST, "--out", tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text().startswith("path,genre,")
    invoke(CLI + "export_catalog", "--out", tmp_path / "c.jsonl")
    assert all(json.loads(line) for line in (tmp_path / "c.jsonl").read_text().splitlines())
    invoke(SCAN, scanned, "--model", "standard", "--out", tmp_path / "d.txt")
    assert "Bells.m4a" in (tmp_path / "d.txt").read_text()


def test_paths_end_with_zero_bytes(scanned: Path) -> None:
    result = invoke(LIST, "--format", "paths", "-0")
    paths = result.stdout.removesuffix("\0").split("\0")
    assert sorted(paths) == sorted(str(path) for path in scanned.iterdir())
    assert invoke(LIST, "-0").returncode == 2


@pytest.mark.parametrize(("columns", "headers"), [
    (45, ["Song", "Genre"]),
    (55, ["Song", "Genre", "Confidence"]),
    (120, ["Song", "Genre", "Confidence", "Votes", "Margin"]),
])  # fmt: skip
def test_narrow_table_keeps_names(
    scanned: Path, monkeypatch: pytest.MonkeyPatch, columns: int, headers: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = invoke(SCAN, scanned, "--model", "standard").stdout.splitlines()
    table = [line for line in lines if line.startswith(("┃", "│"))]
    assert [word for word in table[0].split() if word.isalpha()] == headers
    assert all(len(line) <= columns for line in table)
    assert any("Four on the floor" in line for line in table)


def test_table_shows_title_and_artist(
    scanned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    music = shutil.copytree(scanned, tmp_path / "music")
    audio = mutagen.File(music / "Bells.m4a")
    audio["\xa9nam"], audio["\xa9ART"] = ["Jóga"], ["Björk"]
    audio.save()
    options = (music, "--model", "standard")
    monkeypatch.setenv("COLUMNS", "120")
    table = invoke(SCAN, *options).stdout
    assert [word for word in table.splitlines()[1].split() if word.isalpha()] == [
        *("Song", "Title", "Artist", "Genre", "Confidence", "Votes", "Margin")
    ]
    assert "Björk" in table
    table = invoke(SCAN, *options, "--columns", "title,genre").stdout
    assert [word for word in table.splitlines()[1].split() if word.isalpha()] == ["Title", "Genre"]
    assert "there is no column bpm" in invoke(SCAN, *options, "--columns", "bpm").stderr


def test_quiet_prints_data_only(scanned: Path) -> None:
    result = invoke(SCAN, scanned, "--model", "standard", "--quiet", "--format", "jsonl")
    assert len(result.stdout.splitlines()) == 5
    assert result.stderr == ""


def test_progress_is_json_for_programs(library: Path) -> None:
    result = invoke(SCAN, library, "--model", "standard", "--progress", "json", "--out", "-")
    lines = [json.loads(line) for line in result.stderr.splitlines() if line.startswith("{")]
    assert [line["done"] for line in lines] == [1, 2, 3, 4, 5]
    assert {line["total"] for line in lines} == {5}
    assert {line["path"] for line in lines} == {str(path) for path in library.iterdir()}


@pytest.mark.parametrize("command", ["scan_library", "list_songs", "undo_tags", "forget_songs"])
def test_version_is_printed(command: str) -> None:
    from pocketgenre import __version__

    result = invoke(CLI + command, "--version")
    assert result.returncode == 0
    assert result.stdout.split()[-1] == __version__


def test_genres_are_found_in_any_spelling(scanned: Path) -> None:
    (row, *_) = json.loads(invoke(LIST, "--format", "json").stdout)
    for name in (row["genre"].upper(), row["genre"].title()):
        assert row in json.loads(invoke(LIST, "--format", "json", "--genre", name).stdout)
    assert invoke(LIST, "--genre", "Hip-Hop").returncode == 0
    result = invoke(LIST, "--genre", "jaz")
    assert result.returncode == 1
    assert "There is no genre jaz; did you mean jazz?" in result.stderr
    result = invoke(LIST, "--genre", "Gamelan")
    assert "There is no genre Gamelan; Genres: blues," in result.stderr


def test_mistyped_folder_names_the_nearest(scanned: Path) -> None:
    wrong = f"{scanned}x"
    for command in (LIST, CLI + "export_catalog", CLI + "show_statistics"):
        result = invoke(command, "--folder", wrong)
        assert result.returncode == 1
        assert f"There is no folder {wrong}; did you mean {scanned}?" in result.stderr


def test_dissimilar_folder_has_no_suggestion(scanned: Path) -> None:
    result = invoke(LIST, "--folder", scanned.parent / "Hörbücher")
    assert result.stderr.endswith("Hörbücher; scan it, or name another.\n")
    wrong = scanned.parent.with_name(scanned.parent.name + "x") / scanned.name
    result = invoke(LIST, "--folder", wrong)
    assert result.stderr.endswith(f"did you mean {scanned}?\n")


def test_places_are_checked_before_the_scan(library: Path) -> None:
    for option in ("--playlists", "--report", "--out", "--undo-file"):
        extra = ["--write-tags"] if option == "--undo-file" else []
        result = invoke(SCAN, library, option, "/proc/self/place", *extra)
        assert result.returncode == 1
        assert result.stderr.count("\n") == 1
        assert "Classifying" not in result.stderr
