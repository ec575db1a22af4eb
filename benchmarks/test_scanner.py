"""The scanner as a whole: workers against listening in this process, and the catalogue.

The first of a group is what the others are held against.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pocketgenre.jobs.worker_process import ModelEar
from pocketgenre.library.label import Thresholds

from pocketgenre.audio.decoding import stream_mono
from pocketgenre.jobs.executors import LocalExecutor
from pocketgenre.library.catalog import Catalog, InferenceResult
from pocketgenre.library.discovery import SongFile, list_songs
from pocketgenre.library.library_diff import Wanted
from pocketgenre.library.queries import Selection, count_songs, select_songs
from pocketgenre.library.scan import ScanConfig, catalog_songs, listen, look, settle
from pocketgenre.models.model_card import read_model
from pocketgenre.models.pretrained import PRETRAINED

SCAN = "Scan of 48 minutes of MP3, M4A, Ogg Vorbis and FLAC, workers' start included"
MFCC_CONFIG, BEST = (read_model(PRETRAINED[name]) for name in ("standard", "best"))
CARD = MFCC_CONFIG[1]


@pytest.fixture(scope="module")
def album(phone_files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve copies of each of the four files."""
    folder = tmp_path_factory.mktemp("album")
    for number in range(12):
        for path in phone_files:
            shutil.copy(path, folder / f"{number}{path.suffix}")
    return folder


@pytest.mark.benchmark(group=SCAN)
def test_decode_and_resample_alone(benchmark, album: Path) -> None:
    def decode() -> int:
        return sum(len(b) for path in album.iterdir() for b in stream_mono(path, 22_050))

    benchmark.pedantic(decode, rounds=5)


def scanner(
    album: Path, file: Path, workers: int, segments: int = 0, model: tuple = MFCC_CONFIG
) -> Callable[[], None]:
    """A scan into a new catalogue each time."""

    def scan() -> None:
        file.unlink(missing_ok=True)
        listener = ScanConfig(model[1], ModelEar(*model), segments, LocalExecutor(workers))
        with Catalog(file, create=True) as catalog:
            assert len(list(listen(list_songs(album).files, catalog, listener))) == 48

    return scan


@pytest.mark.benchmark(group=SCAN)
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_scan_with_workers(benchmark, album: Path, tmp_path: Path, workers: int) -> None:
    benchmark.pedantic(scanner(album, tmp_path / "c.sqlite", workers), rounds=5)


@pytest.mark.benchmark(group=SCAN)
@pytest.mark.parametrize("workers", [1, 2])
def test_scan_by_the_best_model(benchmark, album: Path, tmp_path: Path, workers: int) -> None:
    benchmark.pedantic(scanner(album, tmp_path / "c.sqlite", workers, model=BEST), rounds=3)


@pytest.mark.benchmark(group=SCAN)
def test_one_worker_and_five_segments_a_song(benchmark, album: Path, tmp_path: Path) -> None:
    benchmark.pedantic(scanner(album, tmp_path / "c.sqlite", 1, segments=5), rounds=5)


def fill(catalog: Catalog, files: list[SongFile]) -> None:
    rng = np.random.default_rng(0)
    tables = [rng.dirichlet(np.full(10, 0.3), size=80) for _ in range(200)]
    for number, file in enumerate(files):
        catalog.record(file, CARD, 0, InferenceResult(os.urandom(16), tables[number % 200]))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """A catalogue of 100,000 songs of four minutes."""
    catalog = Catalog(tmp_path_factory.mktemp("large") / "c.sqlite", create=True)
    catalog.select("PRAGMA synchronous = OFF")
    names = (f"/music/artist {n % 997}/album {n % 13}/song {n}.mp3" for n in range(100_000))
    fill(catalog, [SongFile(name, n, n) for n, name in enumerate(names)])
    return catalog


@pytest.mark.benchmark(group="A catalogue of 100,000 songs")
@pytest.mark.parametrize(
    "selection",
    [
        Selection(),
        Selection(genres=("jazz",)),
        Selection(genres=("jazz",), thresholds=Thresholds(0.2, 0.05)),
        Selection(thresholds=Thresholds(0.2, 0.05)),
        Selection(folder=Path("/music/artist 10")),
        Selection(state="failed"),
    ],
    ids=["all", "a genre", "a genre, sure ones", "sure ones", "a folder", "failed ones"],
)
def test_list(benchmark, large: Catalog, selection: Selection) -> None:
    benchmark(select_songs, large, selection)


@pytest.mark.benchmark(group="A catalogue of 100,000 songs")
def test_statistics(benchmark, large: Catalog) -> None:
    benchmark(count_songs, large)


@pytest.mark.benchmark(group="Rescan of 10,000 unchanged files")
@pytest.mark.parametrize("what", ["compared", "and their labels' evidence read"])
def test_rescan(benchmark, tmp_path: Path, what: str) -> None:
    for number in range(10_000):
        path = tmp_path / "music" / f"artist {number % 200}" / f"{number}.mp3"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(number))
    with Catalog(tmp_path / "c.sqlite", create=True) as catalog:
        fill(catalog, list(list_songs(tmp_path / "music").files))

        def rescan() -> None:
            listing, changes = look(tmp_path / "music", catalog, Wanted(CARD.sha256))
            settle(changes, catalog)
            assert len(changes.unchanged) == 10_000
            if what != "compared":
                assert len(catalog_songs(listing, catalog, CARD.sha256)) == 10_000

        benchmark.pedantic(rescan, rounds=5)
