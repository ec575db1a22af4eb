"""Comparison of the page's predictions and errors with those of the Python package."""

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
from pocketgenre.library.discovery import list_songs
from pocketgenre.prediction import predict_song
from tests.conftest import Command
from tests.library.broken import BROKEN, write_odd_library
from tests.web.mixed_library import FORMATS, write_mixed_library
from tests.web.page_driver import PageServer, Phone

MIN_AGREEMENT = 0.97
MAX_USUAL_DIFFERENCE, MAX_DIFFERENCE = 0.05, 0.15
"""Bounds of a segment's largest difference in probability; docs/phone-page.md has the measured."""


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


def compare(page_songs: dict[str, dict[str, Any]], files: dict[str, Path], model: str) -> Parity:
    """Compare the page's stored songs with the package's predictions.

    Parameters
    ----------
    page_songs : stored songs by the page's path
    files : file of each song, by the page's path
    model : name of the model
    """
    classifier = GenreClassifier(model)
    labels = classifier.labels
    same_songs = segments = same_segments = 0
    differences: list[np.ndarray] = []
    for path, file in files.items():
        page = np.array(page_songs[path]["probabilities"]).reshape(-1, len(labels))
        package = classifier.segment_probabilities(file)
        same_songs += predict_song(page, labels).genre == predict_song(package, labels).genre
        common = min(len(page), len(package))  # decoders differ by a few samples at the end
        assert abs(len(page) - len(package)) <= 1, f"{path}: {len(page)}, {len(package)} segments"
        page, package = page[:common], package[:common]
        segments += common
        same_segments += int((page.argmax(axis=1) == package.argmax(axis=1)).sum())
        differences.append(np.abs(page - package).max(axis=1))
    return Parity(len(files), same_songs, segments, same_segments, np.concatenate(differences))


@pytest.fixture(scope="module")
def mixed_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixed") / "Music"
    write_mixed_library(folder)
    return folder


@pytest.fixture
def phone_without_folder_picker(browser: Browser, server: PageServer) -> Iterator[Phone]:
    """Open the page in a browser that supports only <input webkitdirectory>, such as Firefox."""
    with Phone(browser, server) as phone:
        phone.reload_with("delete window.showDirectoryPicker")
        yield phone
        phone.check()


def test_mixed_library_matches_scan_library(
    phone_without_folder_picker: Phone, mixed_library: Path, run_command: Command
) -> None:
    phone = phone_without_folder_picker
    phone.choose_folder(mixed_library)
    phone.wait_until_done()
    found = [file for file in sorted(mixed_library.rglob("*.*")) if file.is_file()]
    files = {f"Music/{file.relative_to(mixed_library)}": file for file in found}
    assert len(files) == 36
    assert {file.suffix[1:] for file in found} == set(FORMATS)
    done = run_command(
        "pocketgenre.cli.scan_library", mixed_library, "--format", "json", "--workers", 0
    )
    package = {f"Music/{row['path']}": row["genre"] for row in json.loads(done.stdout)}
    page = {row["path"]: row["genre"] for row in phone.exported()}
    assert set(page) == set(package) == set(files)
    same = sum(page[path] == package[path] for path in files)
    assert same >= MIN_AGREEMENT * len(files)
    compare(phone.songs(), files, "best").check()


def test_standard_model_matches_package(phone: Phone, mixed_library: Path) -> None:
    phone.use_model("standard")
    files = {path.name: path for path in sorted((mixed_library / "side A").iterdir())}
    phone.scan(list(files.values()))
    compare(phone.songs(), files, "standard").check()


@pytest.mark.long
@pytest.mark.parametrize("model", ["best", "standard"])
def test_real_songs_match_package(phone: Phone, gtzan: Path, model: str) -> None:
    songs = sorted(gtzan.glob("audio/*/*.ogg"))
    files = {path.name: path for path in np.random.default_rng(0).choice(songs, 60, replace=False)}
    phone.use_model(model)
    phone.scan(list(files.values()))
    compare(phone.songs(), files, model).check()


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
        "video without sound.mp4": "not audio",
        "noise.opus": "not audio",
        "protected.m4p": "copy-protected",
        "not numbers.wav": "some samples are not finite",
    }.items():
        assert reason in errors[name], name
    assert not set(BROKEN) & labelled
    listed = phone.names_by_group()["failed"]
    assert set(listed) == {name for name, error in errors.items() if error}
