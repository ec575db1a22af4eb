"""Run ``scan-library``."""

import csv
import io
import json
import os
import shutil
from pathlib import Path

import pytest

from pocketgenre.library.discovery import list_songs
from pocketgenre.models.pretrained import PRETRAINED
from pocketgenre.text import printable
from tests.conftest import GENRES, STANDARD, Command, invoke, write_tone

SCAN = "pocketgenre.cli.scan_library"
LABELS = set(GENRES)


@pytest.fixture
def mixed(library: Path, tmp_path: Path) -> Path:
    """Write songs, broken files, and files that are not songs."""
    folder = tmp_path / "music"
    shutil.copytree(library, folder / "albums" / "good")
    (folder / "empty.mp3").touch()
    (folder / "text.mp3").write_text("not music\n" * 100)
    write_tone(folder / "short.wav", 0.5)
    (folder / "cover.jpg").write_bytes(b"\xff\xd8\xff")
    (folder / "._Bells.m4a").write_bytes(b"resource fork")
    (folder / ".hidden").mkdir()
    write_tone(folder / ".hidden" / "song.wav")
    (folder / "loop").symlink_to(folder)
    return folder


def test_stdout_is_json_and_stderr_has_progress(run_command: Command, mixed: Path) -> None:
    result = run_command(SCAN, *STANDARD, mixed, "--format", "json")
    assert result.returncode == 0
    songs = json.loads(result.stdout)
    assert [song["path"] for song in songs] == sorted(song["path"] for song in songs)
    assert len(songs) == 8
    for song in songs:
        assert set(song) == {
            "path", "genre", "confidence", "vote_share", "probability", "margin", "top", "votes",
            "segments", "probabilities", "analyzed_seconds", "duration_seconds", "partial",
            "timeline", "error",
        }  # fmt: skip
    good = [song for song in songs if song["error"] is None]
    assert len(good) == 5
    for song in good:
        assert song["path"].startswith("albums/good/")
        assert song["genre"] in LABELS == set(song["votes"]) == set(song["probabilities"])
        assert song["votes"][song["genre"]] / song["segments"] == song["vote_share"]
    reasons = {song["path"]: song["error"] for song in songs if song["error"]}
    assert reasons["empty.mp3"] == "the file is empty"
    assert "not audio" in reasons["text.mp3"]
    assert "0.50 s" in reasons["short.wav"]
    assert "Classifying 8 songs" in result.stderr
    assert "5 of 8 songs labelled" in result.stderr
    assert "3 could not be labelled" in result.stderr


def test_table_shows_every_song_and_a_summary(mixed: Path) -> None:
    result = invoke(SCAN, *STANDARD, mixed)
    assert result.returncode == 0
    for name in ("Bells.m4a", "Slow pad.wav", "empty.mp3", "the file is empty"):
        assert name in result.stdout
    assert "5 of 8 songs labelled: " in result.stdout


def test_csv_has_a_row_for_each_song(mixed: Path) -> None:
    result = invoke(SCAN, *STANDARD, mixed, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert len(rows) == 8
    assert sum(row["genre"] in LABELS for row in rows) == 5
    assert {f"votes_{label}" for label in LABELS} <= set(rows[0])


def test_out_leaves_stdout_empty(library: Path, tmp_path: Path) -> None:
    out = tmp_path / "genres.json"
    result = invoke(SCAN, *STANDARD, library, "--format", "json", "--out", out)
    assert result.stdout == ""
    assert len(json.loads(out.read_text())) == 5
    assert [p.name for p in tmp_path.iterdir()] == ["genres.json"]


def test_out_never_overwrites_a_song(library: Path, tmp_path: Path) -> None:
    song = write_tone(tmp_path / "song.wav")
    before = song.read_bytes()
    result = invoke(SCAN, *STANDARD, library, "--out", song)
    assert result.returncode == 1
    assert "has the suffix of a song" in result.stderr
    assert song.read_bytes() == before


def test_out_that_is_not_a_file_is_rejected(library: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    for out in (tmp_path, tmp_path / "pipe.json"):
        result = invoke(SCAN, *STANDARD, library, "--out", out)
        assert result.returncode == 1
        assert "is not a file" in result.stderr
        assert "Classifying" not in result.stderr


def test_folder_that_cannot_be_listed_is_named(tmp_path: Path, monkeypatch) -> None:
    write_tone(tmp_path / "song.wav")
    (tmp_path / "locked").mkdir()
    scandir = os.scandir

    def locked(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    listing = list_songs(tmp_path)
    assert [Path(file.path).name for file in listing.files] == ["song.wav"]
    assert [Path(path).name for path in listing.unlistable] == ["locked"]


def test_scan_without_labelled_songs_fails(tmp_path: Path) -> None:
    (tmp_path / "empty.mp3").touch()
    result = invoke(SCAN, *STANDARD, tmp_path, "--format", "json")
    assert result.returncode == 1
    assert json.loads(result.stdout)[0]["genre"] is None


def test_scan_changes_no_file(mixed: Path) -> None:
    def state() -> dict[str, tuple[int, int]]:
        files = [p for p in mixed.rglob("*") if not p.is_symlink()]
        return {str(p): (p.stat().st_mtime_ns, p.stat().st_size) for p in files}

    before = state()
    invoke(SCAN, *STANDARD, mixed)
    assert state() == before


def test_name_with_invalid_utf8_can_be_recovered(tmp_path: Path) -> None:
    raw = b"caf\xe9 \x1b[31m.wav"
    write_tone(tmp_path / "song.wav").rename(tmp_path / os.fsdecode(raw))
    (song,) = json.loads(invoke(SCAN, *STANDARD, tmp_path, "--format", "json").stdout)
    assert song["error"] is None
    assert os.fsencode(song["path"]) == raw
    table = invoke(SCAN, *STANDARD, tmp_path)
    assert "caf\\udce9" in table.stdout
    assert "\x1b[31m" not in table.stdout


def test_printable_escapes_control_characters() -> None:
    assert printable("Björk – Jóga.mp3") == "Björk – Jóga.mp3"
    assert printable("a\x1b[2Jb\nc\udcff") == r"a\x1b[2Jb\nc\udcff"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["/no/such/folder"], "/no/such/folder does not exist"),
        ([__file__], "is neither a folder nor a song"),
        ([Path(__file__).parent], "There is no music in"),
        (["{library}", "--model", __file__], "is not a TFLite model"),
        (["{library}", "--model", "/no/model.tflite"], "There is no model at /no/model.tflite"),
        (["{library}", "--out", "/no/such/folder/out.json"], "/no/such/folder is not a folder"),
    ],
)
def test_error_is_one_sentence(library: Path, arguments: list, sentence: str) -> None:
    filled = [str(argument).format(library=library) for argument in arguments]
    result = invoke(SCAN, *STANDARD, *filled)
    assert result.returncode == 1
    assert result.stdout == ""
    assert sentence in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert "Traceback" in invoke(SCAN, *STANDARD, *filled, "--debug").stderr


def test_card_of_another_model_is_rejected(library: Path, tmp_path: Path) -> None:
    shutil.copy(PRETRAINED["standard"], tmp_path / "mine.tflite")
    card = (
        PRETRAINED["standard"]
        .with_suffix(".json")
        .read_text()
        .replace('"sha256": "', '"sha256": "0')
    )
    (tmp_path / "mine.json").write_text(card)
    result = invoke(SCAN, library, "--model", tmp_path / "mine.tflite")
    assert result.returncode == 1
    assert "describes another file" in result.stderr


def test_help_has_options_and_examples() -> None:
    text = invoke(SCAN, "--help").stdout
    for word in ("--model", "--format", "--out", "scan-library ~/Music", "3 s segments"):
        assert word in text


def test_listing_holds_only_songs_sorted(mixed: Path) -> None:
    names = [Path(file.path).relative_to(mixed).as_posix() for file in list_songs(mixed).files]
    assert names == [
        "albums/good/Bells.m4a",
        "albums/good/Broken beat.mp3",
        "albums/good/Distorted riff.ogg",
        "albums/good/Four on the floor.flac",
        "albums/good/Slow pad.wav",
        "empty.mp3",
        "short.wav",
        "text.mp3",
    ]
