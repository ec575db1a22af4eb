"""A scan on a cluster gives the results of a local scan, even if workers are killed."""

import json
import shutil
import sqlite3
import threading
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
import psutil
import pytest
from distributed import Client

from pocketgenre.cluster.dask_executor import open_cluster
from pocketgenre.errors import PocketGenreError
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.discovery import list_songs
from pocketgenre.library.scan import scan_files
from pocketgenre.plugins import load_plugin
from tests.cluster.conftest import WORKERS, Cluster
from tests.cluster.fake_models import KillingSetup
from tests.conftest import Command, invoke, until, write_tone
from tests.library.conftest import names_of, write_files
from tests.library.fake_models import FailingSetup, probabilities_of, scan_config

SCAN = "pocketgenre.cli.scan_library"


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    folder.mkdir()
    return folder


def rows(catalog: Path) -> list[tuple]:
    """Return the content of a catalogue without row ids."""
    with closing(sqlite3.connect(catalog)) as opened:
        return opened.execute(
            "SELECT path, size, file_hash, segments, error, is_transient, majority_genre,"
            " majority_confidence, probability_probability, probability_margin, probabilities"
            " FROM songs LEFT JOIN segment_probabilities"
            " ON segment_probabilities.song = songs.id ORDER BY path"
        ).fetchall()


def test_catalogue_equals_that_of_a_local_scan(
    cluster: Cluster, library: Path, music: Path, tmp_path: Path, run_command: Command
) -> None:
    for number in range(3):
        shutil.copytree(library, music / str(number))
    (music / "empty.mp3").touch()
    (music / "text.mp3").write_text("not music\n" * 100)
    write_tone(music / "short.wav", 0.5)
    results = []
    for options in (["--workers", 1], ["--cluster", cluster.address]):
        file = tmp_path / f"{options[0]}.sqlite"
        result = run_command(SCAN, music, *options, "--catalog", file, "--format", "json")
        assert result.returncode == 0, result.stderr
        results.append((json.loads(result.stdout), rows(file)))
    assert results[0] == results[1]
    assert len(results[0][1]) == 18
    again = run_command(SCAN, music, "--cluster", cluster.address, "--catalog", file)
    assert "Classifying" not in again.stderr  # the results of the cluster are reused


def scan_while_workers_die(
    cluster: Cluster, music: Path, catalog: Catalog, kills: int, pause: float
) -> list[str]:
    """Scan while workers are killed; return the file names in the order of the results."""
    rng = np.random.default_rng(7)
    finished = threading.Event()
    killed = []

    def kill() -> None:
        while len(killed) < kills and not finished.wait(rng.uniform(0.2, 2 * pause)):
            if cluster.kill_at_random(rng):
                killed.append(1)

    killer = threading.Thread(target=kill)
    with open_cluster(cluster.address) as executor:
        config = scan_config(executor=executor)
        killer.start()
        files = list_songs(music).files
        scanned = [one.file.path for one in scan_files(files, catalog, config)]
    finished.set()
    killer.join()
    assert len(killed) > kills // 2
    print(f"{len(killed)} workers were killed")
    return [Path(path).name for path in scanned]


def assert_each_scanned_once(scanned: list[str], catalog: Catalog, count: int) -> None:
    assert len(scanned) == len(set(scanned)) == count
    for song in catalog.songs():
        assert song.error is None
        assert song.prediction
        expected = probabilities_of(song.path, 0).astype(np.float16)
        np.testing.assert_array_equal(song.prediction.segment_probabilities, expected)


def test_killed_workers_lose_no_song(cluster: Cluster, music: Path, tmp_path: Path) -> None:
    write_files(music, *(f"slow {n}.mp3" for n in range(24)))
    with Catalog(tmp_path / "c.sqlite", create=True) as catalog:
        scanned = scan_while_workers_die(cluster, music, catalog, kills=3, pause=0.5)
        assert_each_scanned_once(scanned, catalog, 24)


@pytest.mark.long
def test_scan_waits_for_workers_and_needs_a_scheduler(music: Path, tmp_path: Path) -> None:
    write_files(music, *(f"slow {n}.mp3" for n in range(40)))
    own = Cluster(tmp_path)
    own.start_workers(1)
    scanned = []
    try:
        with (
            Catalog(tmp_path / "c.sqlite", create=True) as catalog,
            open_cluster(own.address) as executor,
        ):
            results = scan_files(list_songs(music).files, catalog, scan_config(executor=executor))
            scanned += islice(results, 5)
            own.stop(1)
            threading.Timer(3.0, own.start_workers, [1]).start()
            scanned += islice(results, 15)
            own.stop(0)
            with pytest.raises(
                PocketGenreError, match="The connection to the Dask scheduler is lost"
            ):
                scanned += results
            assert (
                len(names_of(scanned)) == len(set(names_of(scanned))) == len(list(catalog.songs()))
            )
    finally:
        own.stop()


@pytest.mark.long
def test_fifty_killed_workers_lose_no_song(cluster: Cluster, music: Path, tmp_path: Path) -> None:
    write_files(music, *(f"slow {n}.mp3" for n in range(900)))
    with Catalog(tmp_path / "c.sqlite", create=True) as catalog:
        scanned = scan_while_workers_die(cluster, music, catalog, kills=50, pause=1.0)
        assert_each_scanned_once(scanned, catalog, 900)


def test_dask_worker_survives_decoder_crash(cluster: Cluster, music: Path, tmp_path: Path) -> None:
    write_files(music, "segfault.mp3", "abort.mp3", *(f"{n}.mp3" for n in range(8)))
    until(lambda: len(cluster.pids()) == WORKERS)  # killed ones have been replaced
    before = set(cluster.pids())
    with Catalog(tmp_path / "c.sqlite", create=True) as catalog:
        with open_cluster(cluster.address) as executor:
            files = list_songs(music).files
            list(scan_files(files, catalog, scan_config(executor=executor)))
        errors = {song.path.name: song.error for song in catalog.songs() if song.error}
    assert errors == {
        "segfault.mp3": "it crashes its decoder (SIGSEGV)",
        "abort.mp3": "it crashes its decoder (SIGABRT)",
    }
    assert set(cluster.pids()) == before


def test_jobs_that_kill_workers_are_skipped(cluster: Cluster, music: Path, tmp_path: Path) -> None:
    write_files(music, "kill_parent.mp3", "kill_self.mp3", *(f"{n}.mp3" for n in range(12)))
    log = tmp_path / "log"
    with Catalog(tmp_path / "c.sqlite", create=True) as catalog:
        with open_cluster(cluster.address) as executor:
            config = scan_config(executor=executor, setup=KillingSetup(log))
            scanned = list(scan_files(list_songs(music).files, catalog, config))
        assert len(names_of(scanned)) == len(set(names_of(scanned))) == 14
        failed = [entry for entry in catalog.entries() if entry.has_failed]
        errors = {song.path.name: song.error for song in catalog.songs() if song.error}
    assert errors == {
        "kill_parent.mp3": "it was tried 3 times, and the cluster lost its worker each time",
        "kill_self.mp3": "3 worker processes were killed from outside",
    }
    assert not any(entry.is_transient for entry in failed)  # the next scan skips them
    attempts = log.read_text().split()
    assert attempts.count("kill_parent.mp3") == 3
    assert attempts.count("kill_self.mp3") >= 3  # more if its Dask worker was killed meanwhile


def test_interrupted_scan_leaves_nothing_on_workers(
    cluster: Cluster, music: Path, tmp_path: Path
) -> None:
    write_files(music, *(f"slow {n}.mp3" for n in range(36)))
    scanned = []
    with Catalog(tmp_path / "c.sqlite", create=True) as catalog:
        with open_cluster(cluster.address) as executor:
            config = scan_config(executor=executor)
            files = list_songs(music).files
            for one in scan_files(files, catalog, config, lambda: len(scanned) >= 5):
                scanned.append(one)  # noqa: PERF402
        assert 5 <= len(scanned) < 20
        with Client(cluster.address, set_as_default=False) as client:
            until(lambda: not any(client.processing().values()))
            assert not any(client.run(_job_processes).values())
        assert not cluster.plugins()
        with open_cluster(cluster.address) as executor:
            rest = set(list_songs(music).files) - {one.file for one in scanned}
            config = scan_config(executor=executor)
            assert len(list(scan_files(rest, catalog, config))) == 36 - len(scanned)


def _job_processes() -> list[list[str]]:
    """Return the command lines of a Dask worker's own job processes."""
    lines = [child.cmdline() for child in psutil.Process().children()]
    return [line for line in lines if "pocketgenre.jobs.worker" in line]


def test_model_error_on_workers_ends_the_scan(
    cluster: Cluster, music: Path, tmp_path: Path
) -> None:
    write_files(music, "1.mp3")
    with (
        Catalog(tmp_path / "c.sqlite", create=True) as catalog,
        open_cluster(cluster.address) as executor,
    ):
        config = scan_config(executor=executor, setup=FailingSetup())
        with pytest.raises(PocketGenreError, match="No runtime can run this model"):
            list(scan_files(list_songs(music).files, catalog, config))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--cluster", "tcp://127.0.0.1:9"], "No Dask scheduler answers at tcp://127.0.0.1:9"),
        (["--cluster", "tls://127.0.0.1:9"], "Dask has no certificate for tls://127.0.0.1:9"),
        (["--cluster", "tcp://localhost"], "is not the address of a Dask"),
        (["--cluster", "nonsense"], "nonsense is not the address of a Dask scheduler"),
        (["--cluster", "tcp://127.0.0.1:9", "--workers", 2], "omit it with --cluster"),
        (["--format", "parquet"], "needs --out FILE"),
    ],
)
def test_invalid_cluster_options_are_refused(
    library: Path, options: list[str], sentence: str
) -> None:
    result = invoke(SCAN, library, "--catalog", ":memory:", *options)
    assert result.returncode == 1
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


def test_missing_plugin_names_the_extra() -> None:
    with pytest.raises(PocketGenreError, match=r"--cluster needs .* pip install '\.\[cluster\]'"):
        load_plugin("pocketgenre.executors", "not installed", "--cluster")
