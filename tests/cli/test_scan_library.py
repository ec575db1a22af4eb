"""``scan-library`` as a user runs it."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pocketgenre.cli.console import printable
from pocketgenre.library.discovery import list_songs
from pocketgenre.models.pretrained import PRETRAINED
from tests.conftest import GENRES, Command, write_tone

SCAN = "pocketgenre.cli.scan_library"
LABELS = set(GENRES)


@pytest.fixture
def mixed(library: Path, tmp_path: Path) -> Path:
    """Good songs, bad files and things that are no songs."""
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


def test_json_on_stdout_is_json_alone_and_progress_goes_to_stderr(
    run_command: Command, mixed: Path
) -> None:
    result = run_command(SCAN, mixed, "--format", "json")
    assert result.returncode == 0
    songs = json.loads(result.stdout)
    assert [song["path"] for song in songs] == sorted(song["path"] for song in songs)
    assert len(songs) == 8
    for song in songs:
        assert set(song) == {
            "path", "genre", "confidence", "probability", "margin", "top", "votes", "segments",
            "probabilities", "timeline", "error",
        }  # fmt: skip
    good = [song for song in songs if song["error"] is None]
    assert len(good) == 5
    for song in good:
        assert song["path"].startswith("albums/good/")
        assert song["genre"] in LABELS == set(song["votes"]) == set(song["probabilities"])
        assert song["votes"][song["genre"]] / song["segments"] == song["confidence"]
    reasons = {song["path"]: song["error"] for song in songs if song["error"]}
    assert reasons["empty.mp3"] == "the file is empty"
    assert "not audio" in reasons["text.mp3"]
    assert "0.50 s" in reasons["short.wav"]
    assert "Listening to 8 songs" in result.stderr
    assert "5 of 8 songs labelled" in result.stderr
    assert "3 could not be labelled" in result.stderr


def test_the_table_shows_every_song_and_a_summary_by_genre(
    run_command: Command, mixed: Path
) -> None:
    result = run_command(SCAN, mixed)
    assert result.returncode == 0
    for name in ("Bells.m4a", "Slow pad.wav", "empty.mp3", "the file is empty"):
        assert name in result.stdout
    assert "5 of 8 songs labelled: " in result.stdout


def test_csv_has_a_row_a_song(run_command: Command, mixed: Path) -> None:
    result = run_command(SCAN, mixed, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert len(rows) == 8
    assert sum(row["genre"] in LABELS for row in rows) == 5
    assert {f"votes_{label}" for label in LABELS} <= set(rows[0])


def test_out_writes_the_file_and_leaves_stdout_empty(
    run_command: Command, library: Path, tmp_path: Path
) -> None:
    out = tmp_path / "genres.json"
    result = run_command(SCAN, library, "--format", "json", "--out", out)
    assert result.stdout == ""
    assert len(json.loads(out.read_text())) == 5
    assert [p.name for p in tmp_path.iterdir()] == ["genres.json"]


def test_out_never_overwrites_a_song(run_command: Command, library: Path, tmp_path: Path) -> None:
    song = write_tone(tmp_path / "song.wav")
    before = song.read_bytes()
    result = run_command(SCAN, library, "--out", song)
    assert result.returncode == 1
    assert "song's ending" in result.stderr
    assert song.read_bytes() == before


def test_out_that_is_no_file_is_refused_before_the_scan(
    run_command: Command, library: Path, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    for out in (tmp_path, tmp_path / "pipe.json"):
        result = run_command(SCAN, library, "--out", out)
        assert result.returncode == 1
        assert "is not a file" in result.stderr
        assert "Listening" not in result.stderr


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path, monkeypatch) -> None:
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


def test_no_song_labelled_is_exit_status_1(run_command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty.mp3").touch()
    result = run_command(SCAN, tmp_path, "--format", "json")
    assert result.returncode == 1
    assert json.loads(result.stdout)[0]["genre"] is None


def test_the_scan_changes_nothing_in_the_library(run_command: Command, mixed: Path) -> None:
    def state() -> dict[str, tuple[int, int]]:
        files = [p for p in mixed.rglob("*") if not p.is_symlink()]
        return {str(p): (p.stat().st_mtime_ns, p.stat().st_size) for p in files}

    before = state()
    run_command(SCAN, mixed)
    assert state() == before


def test_a_name_that_is_not_utf8_is_labelled_and_can_be_recovered(
    run_command: Command, tmp_path: Path
) -> None:
    raw = b"caf\xe9 \x1b[31m.wav"
    write_tone(tmp_path / "song.wav").rename(tmp_path / os.fsdecode(raw))
    (song,) = json.loads(run_command(SCAN, tmp_path, "--format", "json").stdout)
    assert song["error"] is None
    assert os.fsencode(song["path"]) == raw
    table = run_command(SCAN, tmp_path)
    assert "caf\\udce9" in table.stdout
    assert "\x1b[31m" not in table.stdout


def test_printable_escapes_what_a_terminal_would_obey() -> None:
    assert printable("Björk – Jóga.mp3") == "Björk – Jóga.mp3"
    assert printable("a\x1b[2Jb\nc\udcff") == r"a\x1b[2Jb\nc\udcff"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["/no/such/folder"], "/no/such/folder does not exist"),
        ([__file__], "is not a folder"),
        ([Path(__file__).parent], "There is no music in"),
        (["{library}", "--model", __file__], "is not a TFLite model"),
        (["{library}", "--model", "/no/model.tflite"], "There is no model at /no/model.tflite"),
        (["{library}", "--out", "/no/such/folder/out.json"], "/no/such/folder is not a folder"),
    ],
)
def test_a_mistake_is_answered_in_one_sentence(
    run_command: Command, library: Path, arguments: list, sentence: str
) -> None:
    filled = [str(argument).format(library=library) for argument in arguments]
    result = run_command(SCAN, *filled)
    assert result.returncode == 1
    assert result.stdout == ""
    assert sentence in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert "Traceback" in run_command(SCAN, *filled, "--debug").stderr


def test_a_model_whose_card_does_not_match_is_a_mistake(
    run_command: Command, library: Path, tmp_path: Path
) -> None:
    shutil.copy(PRETRAINED["standard"], tmp_path / "mine.tflite")
    card = (
        PRETRAINED["standard"]
        .with_suffix(".json")
        .read_text()
        .replace('"sha256": "', '"sha256": "0')
    )
    (tmp_path / "mine.json").write_text(card)
    result = run_command(SCAN, library, "--model", tmp_path / "mine.tflite")
    assert result.returncode == 1
    assert "describes another file" in result.stderr


def test_help_teaches(run_command: Command) -> None:
    text = run_command(SCAN, "--help").stdout
    for word in ("--model", "--format", "--out", "scan-library ~/Music", "3 s segments"):
        assert word in text


def test_list_songs_lists_songs_sorted_and_nothing_else(mixed: Path) -> None:
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


def test_tensorflow_and_librosa_are_not_imported(library: Path, run_command: Command) -> None:
    code = (
        "import sys; from pathlib import Path; from pocketgenre.classifier import Classifier;"
        f"Classifier.load().label(Path({str(library / 'Slow pad.wav')!r}));"
        "print(sorted({'tensorflow', 'librosa', 'scipy', 'sklearn', 'av'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
