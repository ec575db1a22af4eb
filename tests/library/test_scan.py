"""A scan hears everything once, whatever a file does to the worker that hears it."""

import os
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pocketgenre.classifier import Classifier
from pocketgenre.errors import ModelError, PocketGenreError
from pocketgenre.jobs.executors import LocalExecutor
from pocketgenre.jobs.worker_process import ModelEar
from pocketgenre.library import evidence
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.discovery import list_songs
from pocketgenre.library.label import label_song
from pocketgenre.library.scan import ScanConfig, listen
from pocketgenre.models.model_card import read_model
from pocketgenre.models.pretrained import DEFAULT_MODEL, PRETRAINED
from tests.conftest import tone, until
from tests.library.conftest import names, scan, write
from tests.library.fake_models import DeadlyEar, DeafEar, compute_metrics, listener


def children() -> list[int]:
    pid = os.getpid()
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in lists for child in file.read_text().split()]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_every_song_is_heard_once_and_kept(music: Path, catalog: Catalog, workers: int) -> None:
    write(music, *(f"album {n % 3}/{n}.mp3" for n in range(20)))
    _, done = scan(music, catalog, listener(workers=workers))
    assert names(done) == sorted(f"{n}.mp3" for n in range(20))
    songs = list(catalog.songs(music))
    assert len(songs) == 20
    for song in songs:
        assert song.state == "labelled"
        expected = compute_metrics(song.path, 0).astype(np.float16)
        np.testing.assert_array_equal(song.probabilities, expected)
    assert not children()


def test_where_the_system_starts_no_process_the_scan_says_so(
    music: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(music, "1.mp3")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    sentence = "cannot be started: No such file or directory. --workers 0 does without"
    with pytest.raises(PocketGenreError, match=sentence):
        scan(music, catalog, listener(workers=1))


def test_labels_are_those_of_the_classifier(library: Path, catalog: Catalog) -> None:
    classifier = Classifier.load(PRETRAINED["standard"])
    scan(
        library,
        catalog,
        ScanConfig(
            classifier.card, ModelEar(*read_model(PRETRAINED["standard"])), engine=LocalExecutor(2)
        ),
    )
    songs = list(catalog.songs(library))
    assert len(songs) == 5
    for song in songs:
        expected = classifier.label(song.path)
        label = label_song(song.probabilities, song.labels)
        assert (label.genre, label.votes) == (expected.genre, expected.votes)
        assert label.probability == pytest.approx(expected.probabilities[label.genre], abs=1e-3)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("segfault", "it crashes its decoder (SIGSEGV)"),
        ("abort", "it crashes its decoder (SIGABRT)"),
        ("exit", "it crashes its decoder (exit status 3)"),
        ("hang", "it was given up after 1 s"),
        ("huge", "it needs more memory than there is"),
        ("bug", "it cannot be judged (KeyError: 'bug.mp3')"),
        ("bad", "it is bad"),
    ],
)
def test_a_file_costs_only_itself(music: Path, catalog: Catalog, name: str, reason: str) -> None:
    write(music, f"{name}.mp3", *(f"{n}.mp3" for n in range(10)))
    _, done = scan(music, catalog, listener(least_seconds=1.0))
    assert len(done) == 11
    errors = {song.path.name: song.error for song in catalog.songs() if song.state == "failed"}
    assert errors == {f"{name}.mp3": reason}
    assert sum(song.state == "labelled" for song in catalog.songs()) == 10


@pytest.mark.parametrize("workers", [1, 2])
def test_many_crashes_are_many_files(music: Path, catalog: Catalog, workers: int) -> None:
    write(music, *(f"segfault {n}.mp3" for n in range(6)), *(f"{n}.mp3" for n in range(30)))
    scan(music, catalog, listener(workers=workers))
    states = [song.state for song in catalog.songs()]
    assert states.count("failed") == 6
    assert states.count("labelled") == 30


def test_a_worker_that_is_killed_from_outside_costs_nothing_for_long(
    music: Path, catalog: Catalog
) -> None:
    write(music, *(f"slow {n}.mp3" for n in range(20)))

    def kill_one() -> None:
        with Catalog(catalog.file) as watched:
            until(lambda: list(watched.songs()))
        os.kill(children()[0], signal.SIGKILL)  # each has a song to hear, and the next in hand

    killer = threading.Thread(target=kill_one)
    killer.start()
    _, done = scan(music, catalog)
    killer.join()
    assert len(done) == 20
    failed = [song for song in catalog.songs() if song.state == "failed"]
    assert [song.error for song in failed] == ["its worker process was killed from outside"]
    _, again = scan(music, catalog)
    assert names(again) == [failed[0].path.name]
    assert all(song.state == "labelled" for song in catalog.songs())


def test_an_ear_that_cannot_be_opened_is_an_error_of_the_scan(
    music: Path, catalog: Catalog
) -> None:
    write(music, "1.mp3")
    for workers in (0, 2):
        with pytest.raises(ModelError, match="No runtime can run this model"):
            scan(music, catalog, listener(open_ear=DeafEar(), workers=workers))
    with pytest.raises(PocketGenreError, match=r"worker process could not start .*7"):
        scan(music, catalog, listener(open_ear=DeadlyEar()))
    assert not list(catalog.songs())
    assert not children()


def test_interrupted_it_drops_what_it_is_at_and_keeps_what_it_has(
    music: Path, catalog: Catalog
) -> None:
    write(music, *(f"slow {n}.mp3" for n in range(40)))
    files = list_songs(music).files
    done = []
    for one in listen(files, catalog, listener(), lambda: len(done) >= 4):
        done.append(one)  # noqa: PERF402
    assert 4 <= len(done) < 10
    assert len(list(catalog.songs())) == len(done)
    assert not children()
    _, rest = scan(music, catalog)
    assert len(rest) == 40 - len(done)


def test_evidence_survives_being_packed() -> None:
    table = np.random.default_rng(0).integers(0, 256, (7, 10)) / np.float32(256)
    np.testing.assert_array_equal(evidence.from_bytes(evidence.to_bytes(table), 10), table)
    for packed, genres in ((b"", 10), (b"123", 10), (b"1" * 20, 0), (b"\xff" * 20, 10)):
        with pytest.raises(ValueError, match="are not"):
            evidence.from_bytes(packed, genres)


def peak_of_worker(path: Path, catalog: Catalog) -> float:
    """Megabytes that a worker has needed at most, once it has heard a file."""
    content, card = read_model(PRETRAINED[DEFAULT_MODEL])
    how = ScanConfig(card, ModelEar(content, card), engine=LocalExecutor())
    files = [file for file in list_songs(path.parent).files if file.path == str(path.resolve())]
    for done in listen(files, catalog, how):
        assert done.error is None
        (worker,) = children()
        status = Path(f"/proc/{worker}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1000
    raise AssertionError("nothing was heard")


def write_minutes(path: Path, minutes: int) -> Path:
    minute = tone(440.0, 60.0, 22_050, 2)
    with soundfile.SoundFile(path, "w", 22_050, 2) as file:
        for _ in range(minutes):
            file.write(minute)
    return path


@pytest.mark.parametrize("minutes", [20, pytest.param(180, marks=pytest.mark.long)])
def test_a_long_file_needs_no_more_memory_than_three_minutes(
    music: Path, catalog: Catalog, minutes: int
) -> None:
    short = peak_of_worker(write_minutes(music / "short.flac", 3), catalog)
    long = peak_of_worker(write_minutes(music / "long.flac", minutes), catalog)
    print(f"peak: {short:.0f} MB for 3 minutes, {long:.0f} MB for {minutes}")
    assert long < 250
    assert long < 1.1 * short
