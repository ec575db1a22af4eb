"""The page says of songs what ``scan-library`` says, and of broken files what is wrong."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.library.discovery import list_songs
from tests.library.broken import BROKEN, write_odd_library
from tests.web.parity import Parity, compare
from tests.web.phone import Phone, Site
from tests.web.songs import FORMATS, write_mixed_library
from tests.web.test_page import use_model

# Of the largest difference in a segment's probabilities; measured: docs/phone-page.md.
USUAL_BOUND, WORST_BOUND = 0.05, 0.15


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixed") / "Music"
    write_mixed_library(folder)
    return folder


def check(parity: Parity) -> None:
    print(parity)
    assert parity.same_songs >= 0.97 * parity.songs
    assert parity.same_segments >= 0.97 * parity.segments
    assert np.quantile(parity.differences, 0.99) <= USUAL_BOUND
    assert parity.differences.max() <= WORST_BOUND


@pytest.fixture
def without_folder_picker(browser, site: Site):
    """A browser that takes folders by <input webkitdirectory> alone, as Firefox."""
    with Phone(browser, site) as phone:
        phone.context.add_init_script("delete window.showDirectoryPicker")
        phone.page.reload()
        yield phone
        phone.check()


def test_a_mixed_library_gets_scan_librarys_labels(
    without_folder_picker: Phone, mixed: Path, run_command: Callable
) -> None:
    phone = without_folder_picker
    phone.choose_folder(mixed)
    phone.finish()
    files = {f"Music/{f.relative_to(mixed)}": f for f in sorted(mixed.rglob("*.*")) if f.is_file()}
    assert len(files) == 36
    assert {f.suffix[1:] for f in files.values()} == set(FORMATS)
    done = run_command("pocketgenre.cli.scan_library", mixed, "--format", "json", "--workers", 0)
    theirs = {f"Music/{row['path']}": row for row in json.loads(done.stdout)}
    ours = {row["path"]: row for row in phone.exported()}
    assert set(ours) == set(theirs) == set(files)
    same = sum(ours[path]["genre"] == theirs[path]["genre"] for path in files)
    assert same >= 0.97 * len(files)
    check(compare(phone.songs(), files, "best"))


def test_the_other_network_too(phone: Phone, mixed: Path) -> None:
    use_model(phone, "standard")
    files = {path.name: path for path in sorted((mixed / "side A").iterdir())}
    phone.choose_files(list(files.values()))
    phone.finish()
    check(compare(phone.songs(), files, "standard"))


@pytest.mark.long
@pytest.mark.parametrize("model", ["best", "standard"])
def test_real_songs_get_scan_librarys_labels(phone: Phone, gtzan: Path, model: str) -> None:
    songs = sorted(gtzan.glob("audio/*/*.ogg"))
    files = {path.name: path for path in np.random.default_rng(0).choice(songs, 60, replace=False)}
    use_model(phone, model)
    phone.choose_files(list(files.values()))
    phone.finish()
    check(compare(phone.songs(), files, model))


def test_broken_files_are_named_with_the_reason(
    without_folder_picker: Phone, tmp_path: Path
) -> None:
    phone = without_folder_picker
    folder = tmp_path / "Odd"
    folder.mkdir()
    write_odd_library(folder)
    for name in ("loop.mp3", "vanished.mp3", "pipe.mp3"):  # a file input takes none of them
        (folder / name).unlink()
    (folder / "loop of folders").unlink()
    readable = [Path(file.path) for file in list_songs(folder).files]
    for path in readable:
        if not os.fsencode(path).isascii() or not path.name.isprintable():
            path.unlink()  # nor names that are not text, through this test's wire
    phone.choose_folder(folder)
    phone.finish()
    said = {path.removeprefix("Odd/"): song["error"] for path, song in phone.songs().items()}
    labelled = {name for name, error in said.items() if error is None}
    assert {"8 bit.wav", "192 kHz.flac", "really AAC.mp3", "cut off.mp3", "SHOUTED.WAV"} <= labelled
    for name, reason in {
        "empty.mp3": "the file is empty",
        "a blink.wav": "too short: 0.30 s of audio, at least 1 s are needed",
        "silence.flac": "there is only silence in it",
        "really a text.mp3": "not audio",
        "really a picture.ogg": "not audio",
        "video without sound.mp4": "not audio",
        "noise.opus": "not audio",
        "protected.m4p": "protected against copying",
        "not numbers.wav": "some samples are not numbers",
    }.items():
        assert reason in said[name], name
    assert not set(BROKEN) & labelled
    listed = phone.songs_by_genre()["could not be labelled"]
    assert set(listed) == {name for name, error in said.items() if error}
