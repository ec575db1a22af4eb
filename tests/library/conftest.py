"""Libraries whose songs are only names, and catalogues for them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pocketgenre.library.catalog import Catalog
from pocketgenre.library.library_diff import LibraryDiff, Wanted
from pocketgenre.library.scan import Done, ScanConfig, listen, look, settle
from tests.library.fake_models import listener


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
def undo(tmp_path: Path) -> Path:
    """Where the previous genres are kept."""
    return tmp_path / "state" / "undo.jsonl"


def write(folder: Path, *names: str) -> None:
    """Files of different content."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name}\n" * 100)


def scan(
    folder: Path, catalog: Catalog, how: ScanConfig | None = None, **wanted: bool
) -> tuple[LibraryDiff, list[Done]]:
    """A whole scan with the ear of the tests: what changed, and what was heard."""
    how = how or listener()
    _, changes = look(folder, catalog, Wanted(how.card.sha256, how.segments, **wanted))
    settle(changes, catalog)
    return changes, list(listen(changes.listen, catalog, how))


def names(done: list[Done]) -> list[str]:
    return sorted(Path(one.file.path).name for one in done)
