"""Measure scans with and without workers, and the catalogue."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.audio.decoding import stream_mono
from pocketgenre.inference import InferenceResult, InferenceSetup
from pocketgenre.jobs.executors import LocalExecutor
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.discovery import SongFile, list_songs
from pocketgenre.library.library_diff import ScanRequest
from pocketgenre.library.queries import Selection, compute_statistics, select_songs
from pocketgenre.library.scan import (
    ScanConfig,
    apply_changes,
    catalog_songs,
    find_changes,
    scan_files,
)
from pocketgenre.models.model_card import read_model
from pocketgenre.models.pretrained import PRETRAINED
from pocketgenre.prediction import LabelConfig, SongAnalysis

SCAN = "Scan of 48 minutes of MP3, M4A, Ogg Vorbis and FLAC, including the start of workers"
STANDARD, BEST = (read_model(PRETRAINED[name]) for name in ("standard", "best"))
CARD = STANDARD[1]
THRESHOLDS = LabelConfig(min_confidence=0.2, min_margin=0.05)


@pytest.fixture(scope="module")
def album(phone_files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy each of the four files twelve times."""
    folder = tmp_path_factory.mktemp("album")
    for number in range(12):
        for path in phone_files:
            shutil.copy(path, folder / f"{number}{path.suffix}")
    return folder


@pytest.mark.benchmark(group=SCAN)
def test_decode_and_resample(benchmark, album: Path) -> None:
    def decode() -> int:
        return sum(len(block) for path in album.iterdir() for block in stream_mono(path, 22_050))

    benchmark.pedantic(decode, rounds=5)


def scan_function(
    album: Path, file: Path, workers: int, segments: int = 0, model: tuple = STANDARD
) -> Callable[[], None]:
    """Return a function that scans an album into a new catalogue."""

    def scan() -> None:
        file.unlink(missing_ok=True)
        config = ScanConfig(model[1], InferenceSetup(*model), segments, LocalExecutor(workers))
        with Catalog(file, create=True) as catalog:
            assert len(list(scan_files(list_songs(album).files, catalog, config))) == 48

    return scan


@pytest.mark.benchmark(group=SCAN)
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_scan_with_workers(benchmark, album: Path, tmp_path: Path, workers: int) -> None:
    benchmark.pedantic(scan_function(album, tmp_path / "c.sqlite", workers), rounds=5)


@pytest.mark.benchmark(group=SCAN)
@pytest.mark.parametrize("workers", [1, 2])
def test_scan_with_best(benchmark, album: Path, tmp_path: Path, workers: int) -> None:
    benchmark.pedantic(scan_function(album, tmp_path / "c.sqlite", workers, model=BEST), rounds=3)


@pytest.mark.benchmark(group=SCAN)
def test_scan_of_five_segments(benchmark, album: Path, tmp_path: Path) -> None:
    benchmark.pedantic(scan_function(album, tmp_path / "c.sqlite", 1, segments=5), rounds=5)


def fill(catalog: Catalog, files: list[SongFile]) -> None:
    rng = np.random.default_rng(0)
    tables = [rng.dirichlet(np.full(10, 0.3), size=80) for _ in range(200)]
    for number, file in enumerate(files):
        catalog.record(
            file, CARD, 0, InferenceResult(os.urandom(16), SongAnalysis(tables[number % 200]))
        )


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Create a catalogue of 100,000 songs of four minutes."""
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
        Selection(genres=("jazz",), label_config=THRESHOLDS),
        Selection(label_config=THRESHOLDS),
        Selection(folder=Path("/music/artist 10")),
        Selection(state="failed"),
    ],
    ids=["all", "genre", "genre, confident", "confident", "folder", "failed"],
)
def test_list(benchmark, large: Catalog, selection: Selection) -> None:
    benchmark(select_songs, large, selection)


@pytest.mark.benchmark(group="A catalogue of 100,000 songs")
def test_statistics(benchmark, large: Catalog) -> None:
    benchmark(compute_statistics, large)


@pytest.mark.benchmark(group="Rescan of 10,000 unchanged files")
@pytest.mark.parametrize("reads_songs", [False, True], ids=["comparison", "comparison and songs"])
def test_rescan(benchmark, tmp_path: Path, reads_songs: bool) -> None:
    for number in range(10_000):
        path = tmp_path / "music" / f"artist {number % 200}" / f"{number}.mp3"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(number))
    with Catalog(tmp_path / "c.sqlite", create=True) as catalog:
        fill(catalog, list(list_songs(tmp_path / "music").files))

        def rescan() -> None:
            request = ScanRequest(CARD.sha256)
            listing, diff = find_changes(tmp_path / "music", catalog, request)
            apply_changes(diff, catalog)
            assert len(diff.unchanged) == 10_000
            if reads_songs:
                assert len(catalog_songs(listing, catalog, CARD.sha256)) == 10_000

        benchmark.pedantic(rescan, rounds=5)
