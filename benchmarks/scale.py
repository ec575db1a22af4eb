"""What a thousand songs cost, stage by stage: ``python -m benchmarks.scale [FOLDER]``.

Each stage is a command, run as a user runs it on more and more songs, on longer ones and with more
workers. Counted are the processor's seconds, which other work on the machine doesn't change as it
changes the clock's, the bytes that went through read and write calls, and the memory of the
largest process. Of a stage that starts a cluster, the cluster counts too. What a song costs is the
slope of a line through the sizes; what each start costs is where it begins.
"""

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.__main__ import ONE_THREAD, _processor

# What is large is imported by processes that do the work: a process counts as at least as large
# as the one that it was forked from.

SIZES = (25, 50, 100)  # songs
LENGTHS = (30.0, 60.0, 120.0)  # seconds
WORKERS = (1, 2, 4)
CATALOGUES = (10_000, 30_000, 100_000)  # songs


@dataclass(frozen=True)
class Cost:
    """Of one run: seconds of processor and clock, bytes, and bytes of the largest process."""

    cpu: float
    clock: float
    read: int
    written: int
    memory: int


def cost_of(work: Callable[[], None]) -> Cost:
    """Do something in a process of its own, and count it with all that it starts."""
    ours, theirs = os.pipe()
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(ours)
        work()
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        # Of processes that have ended, the kernel adds what they did to who waited for them.
        lines = Path("/proc/self/io").read_text().splitlines()
        moved = {name: int(count) for name, count in (line.split(": ") for line in lines)}
        cpu = sum(one.ru_utime + one.ru_stime for one in used)
        peak = used[1].ru_maxrss or used[0].ru_maxrss
        row = [cpu, moved["rchar"], moved["wchar"], peak * 1024]
        os.write(theirs, json.dumps(row).encode())
        os._exit(0)
    os.close(theirs)
    with open(ours, "rb") as pipe:
        row = json.loads(pipe.read())
    os.waitpid(child, 0)
    return Cost(row[0], time.monotonic() - began, *row[1:])


def command(module: str, *arguments: object) -> Callable[[], None]:
    """One of the project's commands."""
    line = [sys.executable, "-m", module, *map(str, arguments)]
    environment = os.environ | ONE_THREAD

    def run() -> None:
        subprocess.run(line, check=True, env=environment, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)  # fmt: skip

    return run


def on_cluster(workers: int, folder: Path, module: str, *arguments: object) -> Callable[[], None]:
    """The same with a scheduler and workers that are started for it, and ended."""

    def run() -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
        scheduler = _dask("scheduler", "--host", "127.0.0.1", "--port", address.rpartition(":")[2])
        worker = _dask("worker", address, "--nworkers", "1", "--nthreads", str(workers),
                       "--no-nanny", "--local-directory", str(folder))  # fmt: skip
        command(module, *arguments, "--cluster", address)()
        for process in (worker, scheduler):
            process.send_signal(signal.SIGTERM)
            process.wait()

    return run


def _dask(kind: str, *options: str) -> "subprocess.Popen[bytes]":
    line = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *options, "--no-dashboard"]
    environment = os.environ | ONE_THREAD | {"PYTHONPATH": str(Path.cwd())}
    return subprocess.Popen(line, env=environment, stderr=subprocess.DEVNULL)


def _synthetic(folder: Path, seconds: float) -> list[Path]:
    """The five songs of the demonstration."""

    def write() -> None:
        from pocketgenre.demo.synthetic import write_synthetic_library

        write_synthetic_library(folder, seconds)

    cost_of(write)
    return sorted(folder.iterdir())


def copies(songs: Sequence[Path], folder: Path, count: int) -> Path:
    """So many files, copies of a few in turn, in two folders as of two genres."""
    for number in range(count):
        song = songs[number % len(songs)]
        target = folder / "ab"[number % 2] / f"{number}{song.suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(song, target)
    return folder


def stages(music: Path, place: Path) -> dict[str, Callable[[], None]]:
    """What is measured of a folder of songs, in order."""
    scan, prepare = "pocketgenre.cli.scan_library", "pocketgenre.training.cli.prepare_dataset"
    catalog = ("--catalog", place / "c.sqlite", "--workers", 1)
    return {
        "scan, `standard`": command(scan, music, *catalog, "--model", "standard"),
        "the same again, nothing new": command(scan, music, *catalog, "--model", "standard"),
        "scan, `best`": command(scan, music, *catalog[:2], "--workers", 1, "--model", "best"),
        "features, one file": command(prepare, music, "--out", place / "one", "--workers", 1),
        "features, shards": command(
            prepare, music, "--out", place / "shards", "--shards", 256, "--workers", 1
        ),
        "shards checked, none to make": command(
            prepare, music, "--out", place / "shards", "--shards", 256, "--workers", 1
        ),
    }


def measured(songs: Sequence[Path], count: int, seconds: float) -> list[dict[str, object]]:
    """Rows of all stages for so many songs."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        music = copies(songs, place / "music", count)
        audio = sum(path.stat().st_size for path in music.rglob("*.*"))
        for stage, work in stages(music, place).items():
            rows.append(_row(stage, count, seconds, 1, audio, cost_of(work)))
        catalog = (place / "c.sqlite").stat().st_size
        shards = sum(path.stat().st_size for path in (place / "shards").rglob("*.*"))
    sizes = {"catalogue": catalog // 2, "shards": shards}  # two models are in the catalogue
    return [row | {"kept": sizes.get(str(row["stage"]).split(", ")[-1])} for row in rows]


def by_workers(songs: Sequence[Path], count: int, seconds: float) -> list[dict[str, object]]:
    """Scans on a cluster with more and more threads, cluster included."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        music = copies(songs, Path(folder, "music"), count)
        audio = sum(path.stat().st_size for path in music.rglob("*.*"))
        for workers in WORKERS:
            work = on_cluster(workers, Path(folder), "pocketgenre.cli.scan_library", music,
                              "--catalog", ":memory:", "--model", "standard")  # fmt: skip
            rows.append(_row("scan on a cluster", count, seconds, workers, audio, cost_of(work)))
    return rows


def epochs(songs: Sequence[Path], count: int, seconds: float) -> dict[str, object]:
    """An epoch of the CNN on shards: what five more of them cost, by five."""
    with tempfile.TemporaryDirectory() as folder:
        music, data = copies(songs, Path(folder, "music"), count), Path(folder, "data")
        command("pocketgenre.training.cli.prepare_dataset", music, "--out", data, "--shards", 16)()
        few, many = (
            cost_of(
                command(
                    "pocketgenre.training.cli.train_model",
                    data,
                    "--out",
                    Path(folder, f"run {n}"),
                    "--protocol",
                    "segments",
                    "--epochs",
                    n,
                )
            )
            for n in (1, 6)
        )
    print(f"training on {count} songs: {few} {many}", file=sys.stderr)
    epoch = (many.cpu - few.cpu) / 5
    start = {"start": few.cpu - epoch, "read": (many.read - few.read) // 5, "memory": many.memory}
    return {"songs": count, "seconds": seconds, "cpu": epoch} | start


def _row(
    stage: str, songs: int, seconds: float, workers: int, audio: int, cost: Cost
) -> dict[str, object]:
    print(f"{stage}: {songs} songs of {seconds:g} s, {workers} workers: {cost}", file=sys.stderr)
    where = {"stage": stage, "songs": songs, "seconds": seconds, "workers": workers}
    return where | {"audio": audio} | vars(cost)


def empty_jobs(count: int) -> dict[str, float]:
    """What the engine itself takes for jobs in which nothing is done, in one process with Dask."""
    from distributed import LocalCluster

    from benchmarks.nothing import Nothing, nothing
    from pocketgenre.cluster.dask_executor import open_cluster

    with (
        LocalCluster(2, 2, processes=True, dashboard_address=":0") as local,
        open_cluster(local.scheduler_address) as engine,
    ):
        for size in (100, count):  # the first starts the processes
            began, cpu = time.monotonic(), time.process_time()
            jobs = (Nothing(number) for number in range(size))
            assert sum(1 for _ in engine.answer(jobs, nothing, lambda: False)) == size
    return {
        "jobs": count,
        "clock": time.monotonic() - began,
        "cpu": time.process_time() - cpu,  # the scheduler and the client, which share a process
    }


def catalogues() -> list[dict[str, float]]:
    """What it takes to write songs into a catalogue, and to compare a folder with it."""
    import numpy as np
    from pocketgenre.library.labelled import label_songs

    from pocketgenre.library.catalog import Catalog, InferenceResult
    from pocketgenre.library.discovery import SongFile
    from pocketgenre.models.model_card import read_model
    from pocketgenre.models.pretrained import PRETRAINED

    card = read_model(PRETRAINED["standard"])[1]
    tables = np.random.default_rng(0).dirichlet(np.full(10, 0.3), size=(200, 80))
    rows = []
    for count in CATALOGUES:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "c.sqlite")

            def fill(file: Path = file, count: int = count) -> None:
                with Catalog(file, create=True) as catalog:
                    for n in range(count):
                        name = f"/music/artist {n % 997}/album {n % 13}/song {n}.mp3"
                        heard = InferenceResult(n.to_bytes(16, "big"), tables[n % 200])
                        catalog.record(SongFile(name, n, n), card, 0, heard)

            def read(file: Path = file) -> None:
                with Catalog(file) as catalog:
                    by_path = {one.path: one for one in catalog.known()}
                    assert by_path

            def label(file: Path = file) -> None:
                with Catalog(file) as catalog:
                    assert list(label_songs(catalog.songs(), None))

            filled, known, labelled = cost_of(fill), cost_of(read), cost_of(label)
            size = file.stat().st_size
        row = {"songs": count, "bytes": size, "fill": filled.cpu, "known": known.cpu}
        row |= {"memory": known.memory, "labelled": labelled.cpu, "of them": labelled.memory}
        rows.append(row)
        print(rows[-1], file=sys.stderr)
    return rows


def main() -> None:
    """Measure, and write the figures to standard output as JSON."""
    figures: dict[str, object] = {"machine": f"{_processor()}, {os.cpu_count()} cores"}
    with tempfile.TemporaryDirectory() as folder:
        given = [Path(argument) for argument in sys.argv[1:]]
        songs = [path for place in given for path in sorted(place.rglob("*.*"))]
        made = {s: songs or _synthetic(Path(folder, f"{s:g}"), s) for s in LENGTHS}
        middle = LENGTHS[1]
        figures["songs"] = [row for n in SIZES for row in measured(made[middle], n, middle)]
        lengths = [s for s in LENGTHS if s != middle] if not songs else []
        figures["lengths"] = [row for s in lengths for row in measured(made[s], SIZES[1], s)]
        figures["epochs"] = [epochs(made[middle], n, middle) for n in SIZES]
        figures["workers"] = by_workers(made[middle], SIZES[1], middle)
    figures["catalogues"] = catalogues()
    figures["empty jobs"] = empty_jobs(5_000)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
