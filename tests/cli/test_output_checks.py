"""Results replace only earlier results, never other files."""

import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from pocketgenre.atomic_write import write_atomic
from pocketgenre.library.catalog import Catalog
from pocketgenre.models.pretrained import PRETRAINED
from tests.conftest import invoke, write_tone

CLI = "pocketgenre.cli."


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Write a song, a catalogue, an undo file and a model, and links to some of them."""
    (tmp_path / "music").mkdir()
    write_tone(tmp_path / "music" / "song.wav")
    Catalog(tmp_path / "c.sqlite", create=True).close()
    (tmp_path / "undo.jsonl").write_text('{"pocketgenre": 1, "path": "/a.mp3", "do": "undone"}\n')
    for source in (PRETRAINED["standard"], PRETRAINED["standard"].with_suffix(".json")):
        shutil.copy(source, tmp_path / f"mine{source.suffix}")
    (tmp_path / "to-song.json").symlink_to("music/song.wav")
    (tmp_path / "to-catalogue.json").symlink_to("c.sqlite")
    (tmp_path / "to-itself.json").symlink_to("to-itself.json")
    (tmp_path / "protected.json").write_text("[]")
    (tmp_path / "protected.json").chmod(0o400)
    return tmp_path


def state(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("scan_library music --catalog c.sqlite --out c.sqlite", "is part of the catalogue"),
        ("scan_library music --catalog new.sqlite --out new.sqlite", "is part of the catalogue"),
        ("scan_library music --catalog c.sqlite --report c.sqlite-wal", "is part of the catalogue"),
        ("scan_library music --out c.sqlite", "is a database, as catalogues are"),
        ("scan_library music --report undo.jsonl", "is an undo file"),
        ("scan_library music --write-tags --undo-file u.jsonl --out u.jsonl", "is the undo file"),
        ("scan_library music --model mine.tflite --out mine.json", "is the model's card"),
        ("scan_library music --model mine.tflite --report mine.tflite", "is the model;"),
        ("scan_library music --out to-song.json", "song.wav, which has the suffix of a song"),
        ("scan_library music --report to-catalogue.json", "c.sqlite, which is a database"),
        ("scan_library music --out to-itself.json", "is a link that points to itself"),
        ("scan_library music --out protected.json", "is write-protected"),
        ("list_songs --catalog c.sqlite --out c.sqlite", "is part of the catalogue"),
        ("list_songs --catalog c.sqlite --out to-song.json", "has the suffix of a song"),
        ("export_catalog --catalog c.sqlite --out c.sqlite-shm", "is part of the catalogue"),
        ("export_catalog --catalog c.sqlite --format jsonl --out undo.jsonl", "is an undo file"),
    ],
)
def test_other_files_are_never_replaced(home: Path, options: str, sentence: str) -> None:
    before = state(home)
    command, *words = options.split()
    arguments = [home / word if "." in word or word == "music" else word for word in words]
    result = invoke(CLI + command, *arguments)
    assert result.returncode == 1
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert state(home) == before


def test_replaced_results_keep_their_permissions(home: Path) -> None:
    (home / "older.json").write_text("[]")
    (home / "older.json").chmod(0o600)
    (home / "link.json").symlink_to("older.json")
    result = invoke(
        CLI + "export_catalog", "--catalog", home / "c.sqlite", "--out", home / "link.json"
    )
    assert result.returncode == 0, result.stderr
    assert (home / "link.json").is_symlink()
    assert json.loads((home / "older.json").read_text()) == []
    assert (home / "older.json").read_text() != "[]"
    assert stat.S_IMODE((home / "older.json").stat().st_mode) == 0o600


def test_new_file_has_permissions_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "new", b"content")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_write_protected_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "mine").chmod(0o444)
    with pytest.raises(PermissionError, match="write-protected"):
        write_atomic(tmp_path / "mine", b"new")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("mine", b"mine")]
