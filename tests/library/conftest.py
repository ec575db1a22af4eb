"""Libraries of fake songs, and catalogues of them."""

import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from pocketgenre.library.catalog import Catalog
from pocketgenre.library.discovery import FolderListing, list_songs
from pocketgenre.library.library_diff import LibraryDiff, ScanRequest, diff_library
from pocketgenre.library.scan import (
    ScanConfig,
    ScannedFile,
    apply_changes,
    scan_files,
)
from tests.library.fake_models import scan_config


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    folder.mkdir()
    return folder


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog(tmp_path / "catalog.sqlite", create=True) as opened:
        yield opened


@pytest.fixture
def undo_file(tmp_path: Path) -> Path:
    """Path of an undo file that does not exist yet."""
    return tmp_path / "state" / "undo.jsonl"


def write_files(folder: Path, *names: str) -> None:
    """Write files with distinct contents, which only a fake model can classify."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name}\n" * 100)


def find_changes(
    folder: Path,
    catalog: Catalog,
    request: ScanRequest,
    list_folder: Callable[[Path], FolderListing] = list_songs,
) -> tuple[FolderListing, LibraryDiff]:
    """List a folder and compare it with the catalogue."""
    listing = list_folder(folder)
    return listing, diff_library(listing, catalog.entries(), request)


def scan(
    folder: Path,
    catalog: Catalog,
    config: ScanConfig | None = None,
    *,
    retry_failed: bool = False,
) -> tuple[LibraryDiff, list[ScannedFile]]:
    """Scan a folder, by default with a fake model; return the changes and the scanned files."""
    config = config or scan_config()
    _, diff = find_changes(folder, catalog, config.request(retry_failed=retry_failed))
    apply_changes(diff, catalog)
    return diff, list(scan_files(diff.to_classify, catalog, config))


def names_of(scanned: Iterable[ScannedFile]) -> list[str]:
    """Return the names of scanned files, sorted."""
    return sorted(Path(one.file.path).name for one in scanned)


def mounted(folder: Path, options: str) -> Iterator[Path]:
    """Mount a disk in memory."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        result = subprocess.run(command, capture_output=True, check=False)
    except OSError:
        pytest.skip("the command mount is not installed")
    if result.returncode:
        pytest.skip("mounting a disk is not permitted")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
