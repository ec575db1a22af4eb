"""Write a backup of the catalogue, and take results and corrections from one."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.backup_damage import Damage, set_field, set_song
from tests.conftest import STANDARD, invoke

SCAN, EXPORT = "pocketgenre.cli.scan_library", "pocketgenre.cli.export_catalog"
CORRECT = "pocketgenre.cli.correct_label"


def exported(catalog: Path, folder: Path) -> list[dict[str, Any]]:
    result = invoke(EXPORT, "--catalog", catalog, "--folder", folder)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def scanned(library: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Scan five songs, and correct one; return the catalogue and its backup."""
    base = tmp_path_factory.mktemp("backup")
    catalog, backup = base / "catalog.sqlite", base / "backup.json"
    for command in (
        (SCAN, *STANDARD, library),
        (CORRECT, library / "Bells.m4a", "Chimes"),
        (EXPORT, "--folder", library, "--format", "backup", "--out", backup),
    ):
        result = invoke(*command, "--catalog", catalog)
        assert result.returncode == 0, result.stderr
    return catalog, backup


@pytest.fixture
def moved(library: Path, tmp_path: Path) -> Path:
    """Copy the songs to another folder, with other times."""
    shutil.copytree(library, tmp_path / "phone" / "Songs", copy_function=shutil.copyfile)
    return tmp_path / "phone"


@pytest.mark.parametrize("model", ["standard", "standard_waveform"])
def test_backup_replaces_classification(
    library: Path, scanned: tuple[Path, Path], moved: Path, tmp_path: Path, model: str
) -> None:
    before, backup = scanned
    after = tmp_path / "other.sqlite"
    result = invoke(SCAN, moved, "--model", model, "--catalog", after, "--restore", backup)
    assert result.returncode == 0
    assert "5 songs labelled from the backup" in result.stderr
    assert "1 correction taken" in result.stderr
    assert "Classifying" not in result.stderr
    assert exported(after, moved / "Songs") == exported(before, library)


def test_song_of_catalogue_keeps_its_result(
    library: Path, scanned: tuple[Path, Path], tmp_path: Path
) -> None:
    own = tmp_path / "own.sqlite"
    invoke(SCAN, *STANDARD, library, "--catalog", own)
    invoke(CORRECT, library / "Bells.m4a", "Bells", "--catalog", own)
    before = exported(own, library)
    result = invoke(SCAN, *STANDARD, library, "--catalog", own, "--restore", scanned[1])
    assert "0 songs labelled from the backup" in result.stderr
    assert "0 corrections taken" in result.stderr
    assert exported(own, library) == before


def test_results_of_other_network_are_left_out(
    scanned: tuple[Path, Path], moved: Path, tmp_path: Path
) -> None:
    catalog = tmp_path / "other.sqlite"
    result = invoke(SCAN, moved, "--catalog", catalog, "--restore", scanned[1])
    assert "0 songs labelled from the backup" in result.stderr
    assert "Classifying 5 songs" in result.stderr
    assert "1 correction taken" in result.stderr


def test_dry_run_lists_restored_songs(
    scanned: tuple[Path, Path], moved: Path, tmp_path: Path
) -> None:
    catalog = tmp_path / "none.sqlite"
    options = "--catalog", catalog, "--restore", scanned[1], "--dry-run"
    result = invoke(SCAN, *STANDARD, moved, *options)
    assert result.returncode == 0
    assert result.stdout.count("restore   ") == 5
    assert not catalog.exists()


def test_backup_leaves_out_sampled_songs(library: Path, tmp_path: Path) -> None:
    backup = tmp_path / "backup.json"
    options = "--segments", 1, "--format", "backup", "--out", backup, "--catalog", ":memory:"
    result = invoke(SCAN, *STANDARD, library, *options)
    assert "5 songs left out of the backup" in result.stderr
    assert json.loads(backup.read_text())["songs"] == []


def test_backup_needs_folder(scanned: tuple[Path, Path]) -> None:
    result = invoke(EXPORT, "--catalog", scanned[0], "--format", "backup")
    assert result.returncode == 1
    assert "--format backup needs --folder" in result.stderr


DAMAGES = (
    set_field(format="other"),
    set_field(version=2),
    set_field(songs={}),
    set_field(songs=[5]),
    set_field(corrections=[]),
    set_field(corrections={"a": 1}),
    set_song(hash="ab"),
    set_song(size="1"),
    set_song(partial=None),
    set_song(analyzedSeconds=-1),
    set_song(durationSeconds=float("nan")),
    set_song(durationSeconds=10**400),
    set_song(probabilities=""),
    set_song(probabilities="AAAA"),
    set_song(probabilities="AADAfw=="),  # not a number
    set_song(probabilities="AAAAQA=="),  # 2
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_backup_is_refused(
    scanned: tuple[Path, Path],
    library: Path,
    tmp_path: Path,
    damage: Damage,
) -> None:
    content = json.loads(scanned[1].read_text())
    damage(content)
    file = tmp_path / "damaged.json"
    file.write_text(json.dumps(content))
    result = invoke(SCAN, library, "--catalog", ":memory:", "--restore", file)
    assert result.returncode == 1
    assert "is not a backup; name a file that" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b"[]", b"\xff", b"null"])
def test_other_file_is_no_backup(library: Path, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "other.json"
    file.write_bytes(content)
    result = invoke(SCAN, library, "--catalog", ":memory:", "--restore", file)
    assert result.returncode == 1
    assert "is not a backup; name a file that" in result.stderr
