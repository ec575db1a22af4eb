"""Libraries of fake songs, and catalogues of them."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from pocketgenre.library.catalog import Catalog
from pocketgenre.library.library_diff import LibraryDiff
from pocketgenre.library.scan import (
    ScanConfig,
    ScannedFile,
    apply_changes,
    find_changes,
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
