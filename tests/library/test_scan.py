"""Scan folders, with files that crash, block or fail their workers."""

import os
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pocketgenre.classifier import GenreClassifier
from pocketgenre.errors import ModelError, PocketGenreError
from pocketgenre.inference import InferenceSetup
from pocketgenre.jobs.executors import LocalExecutor
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.discovery import list_songs
from pocketgenre.library.library_diff import ScanRequest
from pocketgenre.library.scan import ScanConfig, scan_files
from pocketgenre.models.model_card import read_model
from pocketgenre.models.pretrained import DEFAULT_MODEL, PRETRAINED
from tests.conftest import tone, until, write_tone
from tests.library.conftest import find_changes, names_of, scan, write_files
from tests.library.fake_models import (
    ExitingSetup,
    FailingSetup,
    WaitingSetup,
    probabilities_of,
    scan_config,
)


def children() -> list[int]:
    """Return the processes that this one has started and that still run."""
    pid = os.getpid()
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in lists for child in file.read_text().split()]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_scan_records_every_song_once(music: Path, catalog: Catalog, workers: int) -> None:
    write_files(music, *(f"album {n % 3}/{n}.mp3" for n in range(20)))
    _, scanned = scan(music, catalog, scan_config(workers=workers))
    assert names_of(scanned) == sorted(f"{n}.mp3" for n in range(20))
    songs = list(catalog.songs(music))
    assert len(songs) == 20
    for song in songs:
        assert song.state == "labelled"
        expected = probabilities_of(song.path, 0).astype(np.float16)
        np.testing.assert_array_equal(song.prediction.segment_probabilities, expected)
    assert not children()


def test_failed_process_start_names_option_workers(
    music: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(music, "1.mp3")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    sentence = "cannot be started: No such file or directory. --workers 0 runs without"
    with pytest.raises(PocketGenreError, match=sentence):
        scan(music, catalog, scan_config(workers=1))


def test_scan_predicts_as_the_classifier(library: Path, catalog: Catalog) -> None:
    classifier = GenreClassifier("standard")
    content, card = read_model(PRETRAINED["standard"])
    scan(
        library, catalog, ScanConfig(card, InferenceSetup(content, card), executor=LocalExecutor(2))
    )
    songs = list(catalog.songs(library))
    assert len(songs) == 5
    for song in songs:
        expected = classifier.classify(song.path)
        assert song.prediction.genre == expected.genre
        assert song.prediction.votes == expected.votes
        assert song.prediction.probability == pytest.approx(expected.probability, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("segfault", "it crashes its decoder (SIGSEGV)"),
        ("abort", "it crashes its decoder (SIGABRT)"),
        ("exit", "it crashes its decoder (exit status 3)"),
        ("hang", "it took longer than 1 s"),
        ("huge", "it needs more memory than is available"),
        ("bug", "it cannot be classified (KeyError: 'bug.mp3')"),
        ("bad", "it is bad"),
    ],
)
def test_bad_file_fails_only_itself(music: Path, catalog: Catalog, name: str, reason: str) -> None:
    write_files(music, f"{name}.mp3", *(f"{n}.mp3" for n in range(10)))
    _, scanned = scan(music, catalog, scan_config(min_timeout=1.0))
    assert len(scanned) == 11
    errors = {song.path.name: song.error for song in catalog.songs() if song.state == "failed"}
    assert errors == {f"{name}.mp3": reason}
    assert sum(song.state == "labelled" for song in catalog.songs()) == 10


@pytest.mark.parametrize("workers", [1, 2])
def test_many_crashes_fail_as_many_files(music: Path, catalog: Catalog, workers: int) -> None:
    write_files(music, *(f"segfault {n}.mp3" for n in range(6)), *(f"{n}.mp3" for n in range(30)))
    scan(music, catalog, scan_config(workers=workers))
    states = [song.state for song in catalog.songs()]
    assert states.count("failed") == 6
    assert states.count("labelled") == 30


def test_killed_worker_fails_one_file_until_rescan(
    music: Path, catalog: Catalog, tmp_path: Path
) -> None:
    write_files(music, "wait.mp3", *(f"{n}.mp3" for n in range(20)))
    waiting = tmp_path / "waiting"
    waiting.mkdir()
    config = scan_config(setup=WaitingSetup(waiting))

    def kill_waiting_worker() -> None:
        until(lambda: list(waiting.iterdir()))
        (process,) = waiting.iterdir()
        os.kill(int(process.name), signal.SIGKILL)
        (waiting / "continue").touch()

    killer = threading.Thread(target=kill_waiting_worker)
    killer.start()
    _, scanned = scan(music, catalog, config)
    killer.join()
    assert len(scanned) == 21
    failed = [song for song in catalog.songs() if song.state == "failed"]
    assert [song.error for song in failed] == ["its worker process was killed from outside"]
    _, again = scan(music, catalog, config)
    assert names_of(again) == [failed[0].path.name] == ["wait.mp3"]
    assert all(song.state == "labelled" for song in catalog.songs())


def test_failing_setup_fails_the_scan(music: Path, catalog: Catalog) -> None:
    write_files(music, "1.mp3")
    for workers in (0, 2):
        with pytest.raises(ModelError, match="No runtime can run this model"):
            scan(music, catalog, scan_config(setup=FailingSetup(), workers=workers))
    sentence = r"worker process cannot be started \(exit status 7\)\. --workers 0 runs without"
    with pytest.raises(PocketGenreError, match=sentence):
        scan(music, catalog, scan_config(setup=ExitingSetup()))
    assert not list(catalog.songs())
    assert not children()


@pytest.mark.slow
def test_interrupted_scan_keeps_results(music: Path, catalog: Catalog) -> None:
    write_files(music, *(f"slow {n}.mp3" for n in range(40)))
    files = list_songs(music).files
    scanned = []
    for one in scan_files(files, catalog, scan_config(), lambda: len(scanned) >= 4):
        scanned.append(one)  # noqa: PERF402
    assert 4 <= len(scanned) < 10
    assert len(list(catalog.songs())) == len(scanned)
    assert not children()
    _, rest = scan(music, catalog)
    assert len(rest) == 40 - len(scanned)


def test_file_changed_during_scan_is_rescanned(tmp_path: Path) -> None:
    song = write_tone(tmp_path / "song.wav", 4.0)

    def touch() -> bool:
        os.utime(song, ns=(7, 7))
        return False

    config = scan_config()
    with Catalog(tmp_path / "c.sqlite", create=True) as catalog:
        assert list(scan_files(list_songs(tmp_path).files, catalog, config, touch))
        _, diff = find_changes(tmp_path, catalog, ScanRequest(config.card.sha256))
        assert [Path(file.path).name for file in diff.to_classify] == ["song.wav"]


def peak_memory(path: Path, catalog: Catalog) -> float:
    """Return the peak memory of a worker that has classified a file [MB]."""
    content, card = read_model(PRETRAINED[DEFAULT_MODEL])
    config = ScanConfig(card, InferenceSetup(content, card), executor=LocalExecutor())
    files = [file for file in list_songs(path.parent).files if file.path == str(path.resolve())]
    for scanned in scan_files(files, catalog, config):
        assert scanned.error is None
        (worker,) = children()
        status = Path(f"/proc/{worker}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1000
    raise AssertionError("no file was classified")


def write_minutes(path: Path, minutes: int) -> Path:
    minute = tone(440.0, 60.0, 22_050, 2)
    with soundfile.SoundFile(path, "w", 22_050, 2) as file:
        for _ in range(minutes):
            file.write(minute)
    return path


@pytest.mark.parametrize("minutes", [20, pytest.param(180, marks=pytest.mark.long)])
@pytest.mark.slow
def test_long_file_needs_no_more_memory(music: Path, catalog: Catalog, minutes: int) -> None:
    short = peak_memory(write_minutes(music / "short.flac", 3), catalog)
    long = peak_memory(write_minutes(music / "long.flac", minutes), catalog)
    print(f"peak: {short:.0f} MB for 3 minutes, {long:.0f} MB for {minutes}")
    assert long < 250
    assert long < 1.1 * short
