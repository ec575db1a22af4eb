"""A scan on a cluster says what a scan at home says, whatever happens to the workers."""

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
from pocketgenre.library.scan import listen
from pocketgenre.plugins import load_plugin
from tests.cluster.conftest import WORKERS, Cluster
from tests.cluster.fake_models import MortalEar
from tests.conftest import Command, until, write_tone
from tests.library.conftest import names, write
from tests.library.fake_models import DeafEar, listener, verdict

SCAN = "pocketgenre.cli.scan_library"


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    folder.mkdir()
    return folder


def rows(catalog: Path) -> list[tuple]:
    """All that a catalogue holds, but for its numbering."""
    with closing(sqlite3.connect(catalog)) as opened:
        return opened.execute(
            "SELECT path, size, content, segments, error, passing, majority_genre,"
            " majority_confidence, probability_probability, probability_margin, probabilities"
            " FROM songs LEFT JOIN evidence ON evidence.song = songs.id ORDER BY path"
        ).fetchall()


def test_the_catalogue_is_that_of_a_scan_at_home_bit_for_bit(
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
    assert "Listening" not in again.stderr  # what is known is known, wherever it was heard


def scan_while_workers_die(
    cluster: Cluster, music: Path, catalog: Catalog, kills: int, pause: float
) -> list[str]:
    """The names of what was listened to, in the order in which it was recorded."""
    rng = np.random.default_rng(7)
    over = threading.Event()
    killed = []

    def kill() -> None:
        while len(killed) < kills and not over.wait(rng.uniform(0.2, 2 * pause)):
            if cluster.kill_at_random(rng):
                killed.append(1)

    killer = threading.Thread(target=kill)
    with open_cluster(cluster.address) as engine:
        how = listener(engine=engine)
        killer.start()
        done = [one.file.path for one in listen(list_songs(music).files, catalog, how)]
    over.set()
    killer.join()
    assert len(killed) > kills // 2
    print(f"{len(killed)} workers were killed")
    return [Path(path).name for path in done]


def assert_all_heard_once(done: list[str], catalog: Catalog, count: int) -> None:
    assert len(done) == len(set(done)) == count
    for song in catalog.songs():
        assert song.error is None
        expected = verdict(song.path, 0).astype(np.float16)
        np.testing.assert_array_equal(song.probabilities, expected)


def test_workers_that_are_killed_cost_no_song_and_none_is_recorded_twice(
    cluster: Cluster, music: Path, tmp_path: Path
) -> None:
    write(music, *(f"slow {n}.mp3" for n in range(24)))
    with Catalog(tmp_path / "c.sqlite", create=True) as catalog:
        done = scan_while_workers_die(cluster, music, catalog, kills=3, pause=0.5)
        assert_all_heard_once(done, catalog, 24)


@pytest.mark.long
def test_without_workers_a_scan_waits_for_others_and_without_a_scheduler_it_ends(
    music: Path, tmp_path: Path
) -> None:
    write(music, *(f"slow {n}.mp3" for n in range(40)))
    own = Cluster(tmp_path)
    own.start_workers(1)
    done = []
    try:
        with (
            Catalog(tmp_path / "c.sqlite", create=True) as catalog,
            open_cluster(own.address) as engine,
        ):
            heard = listen(list_songs(music).files, catalog, listener(engine=engine))
            done += islice(heard, 5)
            own.stop(1)
            threading.Timer(3.0, own.start_workers, [1]).start()
            done += islice(heard, 15)
            own.stop(0)
            with pytest.raises(PocketGenreError, match="The Dask scheduler is gone"):
                done += heard
            assert len(names(done)) == len(set(names(done))) == len(list(catalog.songs()))
    finally:
        own.stop()


@pytest.mark.long
def test_fifty_kills_cost_no_song(cluster: Cluster, music: Path, tmp_path: Path) -> None:
    write(music, *(f"slow {n}.mp3" for n in range(900)))
    with Catalog(tmp_path / "c.sqlite", create=True) as catalog:
        done = scan_while_workers_die(cluster, music, catalog, kills=50, pause=1.0)
        assert_all_heard_once(done, catalog, 900)


def test_a_file_that_crashes_its_decoder_costs_itself_and_no_worker(
    cluster: Cluster, music: Path, tmp_path: Path
) -> None:
    write(music, "segfault.mp3", "abort.mp3", *(f"{n}.mp3" for n in range(8)))
    until(lambda: len(cluster.pids()) == WORKERS)  # those killed before are replaced
    before = set(cluster.pids())
    with Catalog(tmp_path / "c.sqlite", create=True) as catalog:
        with open_cluster(cluster.address) as engine:
            list(listen(list_songs(music).files, catalog, listener(engine=engine)))
        errors = {song.path.name: song.error for song in catalog.songs() if song.error}
    assert errors == {
        "segfault.mp3": "it crashes its decoder (SIGSEGV)",
        "abort.mp3": "it crashes its decoder (SIGABRT)",
    }
    assert set(cluster.pids()) == before


def test_poison_is_set_aside_with_its_reason_and_the_rest_is_heard(
    cluster: Cluster, music: Path, tmp_path: Path
) -> None:
    write(music, "poison.mp3", "glutton.mp3", *(f"{n}.mp3" for n in range(12)))
    diary = tmp_path / "diary"
    with Catalog(tmp_path / "c.sqlite", create=True) as catalog:
        with open_cluster(cluster.address) as engine:
            how = listener(engine=engine, open_ear=MortalEar(diary))
            done = list(listen(list_songs(music).files, catalog, how))
        assert len(names(done)) == len(set(names(done))) == 14
        failed = {known.path: known for known in catalog.known() if known.failed}
        errors = {song.path.name: song.error for song in catalog.songs() if song.error}
    assert errors == {
        "poison.mp3": "it was tried 3 times, and its worker of the cluster was lost each time",
        "glutton.mp3": "3 worker processes were killed from outside while at it",
    }
    assert not any(known.passing for known in failed.values())  # the next scan passes them over
    heard = diary.read_text().split()
    assert heard.count("poison.mp3") == 3
    assert heard.count("glutton.mp3") >= 3  # more if poison took its worker meanwhile


def test_interrupted_it_takes_its_jobs_back_and_leaves_nothing_on_the_workers(
    cluster: Cluster, music: Path, tmp_path: Path
) -> None:
    write(music, *(f"slow {n}.mp3" for n in range(36)))
    done = []
    with Catalog(tmp_path / "c.sqlite", create=True) as catalog:
        with open_cluster(cluster.address) as engine:
            how = listener(engine=engine)
            for one in listen(list_songs(music).files, catalog, how, lambda: len(done) >= 5):
                done.append(one)  # noqa: PERF402
        assert 5 <= len(done) < 20
        with Client(cluster.address, set_as_default=False) as client:
            until(lambda: not any(client.processing().values()))
            assert not any(client.run(_listening).values())
        assert not cluster.benches()
        with open_cluster(cluster.address) as engine:
            rest = set(list_songs(music).files) - {one.file for one in done}
            assert len(list(listen(rest, catalog, listener(engine=engine)))) == 36 - len(done)


def _listening() -> list[list[str]]:
    """Command lines of a worker's own processes that listen."""
    lines = [child.cmdline() for child in psutil.Process().children()]
    return [line for line in lines if "pocketgenre.jobs.worker_process" in line]


def test_an_ear_that_cannot_be_opened_is_an_error_of_the_scan(
    cluster: Cluster, music: Path, tmp_path: Path
) -> None:
    write(music, "1.mp3")
    with (
        Catalog(tmp_path / "c.sqlite", create=True) as catalog,
        open_cluster(cluster.address) as engine,
    ):
        heard = listen(
            list_songs(music).files, catalog, listener(engine=engine, open_ear=DeafEar())
        )
        with pytest.raises(PocketGenreError, match="No runtime can run this model"):
            list(heard)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--cluster", "tcp://127.0.0.1:9"], "No Dask scheduler answers at tcp://127.0.0.1:9"),
        (["--cluster", "tls://127.0.0.1:9"], "Dask has no certificate for tls://127.0.0.1:9"),
        (["--cluster", "tcp://localhost"], "is not the address of a Dask"),
        (["--cluster", "nonsense"], "nonsense is not the address of a Dask scheduler"),
        (["--cluster", "tcp://127.0.0.1:9", "--workers", 2], "leave it out with --cluster"),
        (["--format", "parquet"], "needs --out FILE"),
    ],
)
def test_a_mistake_is_answered_in_one_sentence(
    library: Path, run_command: Command, options: list[str], sentence: str
) -> None:
    result = run_command(SCAN, library, "--catalog", ":memory:", *options)
    assert result.returncode == 1
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


def test_without_its_packages_the_option_says_what_to_install() -> None:
    with pytest.raises(PocketGenreError, match=r"--cluster needs .* pip install 'pocketgenre\["):
        load_plugin("pocketgenre.engines", "not installed", "--cluster")
