"""Compare the page's predictions and errors with those of the Python package."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser

from pocketgenre import GenreClassifier
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.discovery import list_songs
from pocketgenre.prediction import predict_song
from tests.conftest import Command
from tests.library.broken import BROKEN, write_odd_library
from tests.web.mixed_library import FORMATS, write_mixed_library
from tests.web.page_driver import PageServer, Phone

MIN_AGREEMENT = 0.97
MAX_USUAL_DIFFERENCE, MAX_DIFFERENCE = 0.05, 0.15
"""Bounds of a segment's largest difference in probability; see docs/phone-page.md."""


@dataclass(frozen=True)
class Parity:
    """Agreement of the page and the package.

    Attributes
    ----------
    songs, same_songs : number of songs, and of those with the same predicted genre
    segments, same_segments : number of segments, and of those with the same predicted genre
    differences : float32 [shape=(segments,)], largest difference in probability
    """

    songs: int
    same_songs: int
    segments: int
    same_segments: int
    differences: np.ndarray

    def __str__(self) -> str:
        d = self.differences
        return (
            f"songs {self.same_songs}/{self.songs}, segments {self.same_segments}/{self.segments}, "
            f"probabilities: mean {d.mean():.1e}, 99 % within {np.quantile(d, 0.99):.4f}, "
            f"all within {d.max():.4f}"
        )

    def check(self) -> None:
        print(self)
        assert self.same_songs >= MIN_AGREEMENT * self.songs
        assert self.same_segments >= MIN_AGREEMENT * self.segments
        assert np.quantile(self.differences, 0.99) <= MAX_USUAL_DIFFERENCE
        assert self.differences.max() <= MAX_DIFFERENCE


def compare(
    page_songs: dict[str, dict[str, Any]], package: dict[str, np.ndarray], labels: tuple[str, ...]
) -> Parity:
    """Compare the page's stored songs with the package's predictions.

    Parameters
    ----------
    page_songs : stored songs by the page's path
    package : the package's segment probabilities by the page's path, float32
        [shape=(segments, genres)]
    labels : genres in the order of the columns
    """
    same_songs = segments = same_segments = 0
    differences: list[np.ndarray] = []
    for path, theirs in package.items():
        ours = np.array(page_songs[path]["probabilities"]).reshape(-1, len(labels))
        same_songs += predict_song(ours, labels).genre == predict_song(theirs, labels).genre
        common = min(len(ours), len(theirs))  # decoders differ by a few samples at the end
        assert abs(len(ours) - len(theirs)) <= 1, f"{path}: {len(ours)}, {len(theirs)} segments"
        a, b = ours[:common], theirs[:common]
        segments += common
        same_segments += int((a.argmax(axis=1) == b.argmax(axis=1)).sum())
        differences.append(np.abs(a - b).max(axis=1))
    return Parity(len(package), same_songs, segments, same_segments, np.concatenate(differences))


def compare_files(phone: Phone, files: list[Path], model: str) -> Parity:
    """Compare the scanned songs with the package's predictions of the same files."""
    classifier = GenreClassifier(model)
    package = {file.name: classifier.analyze(file).probabilities for file in files}
    return compare(phone.songs(), package, classifier.labels)


@pytest.fixture(scope="module")
def mixed_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixed") / "Music"
    write_mixed_library(folder, 6.5)
    return folder


@pytest.fixture
def phone_without_folder_picker(browser: Browser, server: PageServer) -> Iterator[Phone]:
    """Open the page in a browser that supports only <input webkitdirectory>, such as Firefox."""
    with Phone(browser, server) as phone:
        phone.reload_with("delete window.showDirectoryPicker")
        yield phone
        phone.check()


def test_mixed_library_matches_scan_library(
    phone_without_folder_picker: Phone,
    mixed_library: Path,
    run_command: Command,
    tmp_path: Path,
) -> None:
    phone = phone_without_folder_picker
    phone.choose_folder(mixed_library)
    phone.wait_until_done()
    catalog_file = tmp_path / "catalog.sqlite"
    options = ["--format", "json", "--workers", 0, "--catalog", catalog_file]
    done = run_command("pocketgenre.cli.scan_library", mixed_library, *options)
    package = {f"Music/{row['path']}": row["genre"] for row in json.loads(done.stdout)}
    page = {row["path"]: row["genre"] for row in phone.exported()}
    assert len(package) == 36
    assert {Path(path).suffix[1:] for path in package} == set(FORMATS)
    assert set(page) == set(package)
    same = sum(page[path] == package[path] for path in package)
    assert same >= MIN_AGREEMENT * len(package)
    with Catalog(catalog_file) as catalog:
        songs = {f"Music/{song.name}": song.prediction for song in catalog.songs(mixed_library)}
    tables = {path: prediction.segment_probabilities for path, prediction in songs.items()}
    assert set(tables) == set(package)
    compare(phone.songs(), tables, next(iter(songs.values())).labels).check()


def test_standard_model_matches_package(phone: Phone, mixed_library: Path) -> None:
    phone.use_model("standard")
    files = sorted((mixed_library / "side A").iterdir())
    phone.scan(files)
    compare_files(phone, files, "standard").check()


@pytest.mark.long
@pytest.mark.parametrize("model", ["best", "standard"])
def test_real_songs_match_package(phone: Phone, gtzan: Path, model: str) -> None:
    songs = sorted(gtzan.glob("audio/*/*.ogg"))
    files = list(np.random.default_rng(0).choice(songs, 60, replace=False))
    phone.use_model(model)
    phone.scan(files)
    compare_files(phone, files, model).check()


def test_broken_files_are_listed_with_reason(
    phone_without_folder_picker: Phone, tmp_path: Path
) -> None:
    phone = phone_without_folder_picker
    folder = tmp_path / "Odd"
    folder.mkdir()
    write_odd_library(folder)
    for name in ("loop.mp3", "vanished.mp3", "pipe.mp3"):  # a file input rejects them
        (folder / name).unlink()
    (folder / "loop of folders").unlink()
    for path in [Path(file.path) for file in list_songs(folder).files]:
        if not os.fsencode(path).isascii() or not path.name.isprintable():
            path.unlink()  # the browser's debugging protocol cannot pass such names
    phone.choose_folder(folder)
    phone.wait_until_done()
    errors = {path.removeprefix("Odd/"): song["error"] for path, song in phone.songs().items()}
    labelled = {name for name, error in errors.items() if error is None}
    assert {"8 bit.wav", "192 kHz.flac", "really AAC.mp3", "cut off.mp3", "SHOUTED.WAV"} <= labelled
    for name, reason in {
        "empty.mp3": "the file is empty",
        "a blink.wav": "too short: 0.30 s of audio, at least 1 s are needed",
        "silence.flac": "it holds only silence",
        "really a text.mp3": "not audio",
        "really a picture.ogg": "not audio",
        "video without sound.mp4": "it holds no audio",
        "noise.opus": "not audio",
        "protected.m4p": "copy-protected",
        "not numbers.wav": "some samples are not finite",
    }.items():
        assert reason in errors[name], name
    assert not set(BROKEN) & labelled
    listed = phone.names_by_group()["failed"]
    assert set(listed) == {name for name, error in errors.items() if error}
