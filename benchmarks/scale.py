"""Measure the cost of each stage and its growth: ``python -m benchmarks.scale [FOLDER]``.

Each stage is a command that runs with several numbers of songs, lengths of songs and numbers of
workers. The measures are CPU seconds, which depend less on other work than wall-clock time, the
bytes of read and write calls, and the memory of the largest process. A cluster that a stage starts
is included. The cost per song is the slope of a line through the sizes; the cost of a start is its
intercept.
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

from benchmarks.__main__ import ONE_THREAD, processor_name

# Large packages are imported only in the processes that need them, since a forked process counts as
# at least as large as its parent.

SIZES = (25, 50, 100)  # songs
LENGTHS = (30.0, 60.0, 120.0)  # seconds
WORKERS = (1, 2, 4)
CATALOGUES = (10_000, 30_000, 100_000)  # songs


@dataclass(frozen=True)
class Cost:
    """Cost of one run.

    Attributes
    ----------
    cpu : CPU time [s]
    clock : wall-clock time [s]
    read, written : bytes of read and write calls
    memory : peak memory of the largest process [bytes]
    """

    cpu: float
    clock: float
    read: int
    written: int
    memory: int


def measure(work: Callable[[], None]) -> Cost:
    """Run a function in a separate process, and measure it with all processes that it starts."""
    reader, writer = os.pipe()
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(reader)
        work()
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        # The kernel adds the counters of an ended process to those of the waiting process.
        lines = Path("/proc/self/io").read_text().splitlines()
        counters = {name: int(count) for name, count in (line.split(": ") for line in lines)}
        cpu = sum(usage.ru_utime + usage.ru_stime for usage in used)
        peak = used[1].ru_maxrss or used[0].ru_maxrss
        row = [cpu, counters["rchar"], counters["wchar"], peak * 1024]
        os.write(writer, json.dumps(row).encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        row = json.loads(pipe.read())
    os.waitpid(child, 0)
    return Cost(row[0], time.monotonic() - start, *row[1:])


def command(module: str, *arguments: object) -> Callable[[], None]:
    """Return a function that runs a command of the project."""
    line = [sys.executable, "-m", module, *map(str, arguments)]
    environment = os.environ | ONE_THREAD

    def run() -> None:
        subprocess.run(line, check=True, env=environment, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)  # fmt: skip

    return run


def on_cluster(workers: int, folder: Path, module: str, *arguments: object) -> Callable[[], None]:
    """Return a function that runs a command on a cluster, which it starts and stops."""

    def run() -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
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
    """Write the five songs of the demonstration."""

    def write() -> None:
        from pocketgenre.demo.synthetic import write_synthetic_library

        write_synthetic_library(folder, seconds)

    measure(write)
    return sorted(folder.iterdir())


def write_copies(songs: Sequence[Path], folder: Path, count: int) -> Path:
    """Write ``count`` copies of songs, in two folders for two genres."""
    for number in range(count):
        song = songs[number % len(songs)]
        target = folder / "ab"[number % 2] / f"{number}{song.suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(song, target)
    return folder


def stages(music: Path, folder: Path) -> dict[str, Callable[[], None]]:
    """Return the stages for a folder of songs, in order; they write into ``folder``."""
    scan, prepare = "pocketgenre.cli.scan_library", "pocketgenre.training.cli.prepare_dataset"
    catalog = ("--catalog", folder / "c.sqlite", "--workers", 1)
    return {
        "scan, `standard`": command(scan, music, *catalog, "--model", "standard"),
        "rescan, nothing new": command(scan, music, *catalog, "--model", "standard"),
        "scan, `best`": command(scan, music, *catalog[:2], "--workers", 1, "--model", "best"),
        "features, one file": command(prepare, music, "--out", folder / "one", "--workers", 1),
        "features, shards": command(
            prepare, music, "--out", folder / "shards", "--shards", 256, "--workers", 1
        ),
        "checksums of existing shards": command(
            prepare, music, "--out", folder / "shards", "--shards", 256, "--workers", 1
        ),
    }


def measure_stages(songs: Sequence[Path], count: int, seconds: float) -> list[dict[str, object]]:
    """Measure all stages for a number of songs."""
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        music = write_copies(songs, folder / "music", count)
        audio = sum(path.stat().st_size for path in music.rglob("*.*"))
        for stage, work in stages(music, folder).items():
            rows.append(_row(stage, count, seconds, 1, audio, measure(work)))
        catalog = (folder / "c.sqlite").stat().st_size
        shards = sum(path.stat().st_size for path in (folder / "shards").rglob("*.*"))
    sizes = {"catalogue": catalog // 2, "shards": shards}  # the catalogue has two models
    return [row | {"kept": sizes.get(str(row["stage"]).split(", ")[-1])} for row in rows]


def measure_workers(songs: Sequence[Path], count: int, seconds: float) -> list[dict[str, object]]:
    """Measure scans on clusters with several numbers of threads, including the cluster."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        music = write_copies(songs, Path(folder, "music"), count)
        audio = sum(path.stat().st_size for path in music.rglob("*.*"))
        for workers in WORKERS:
            work = on_cluster(workers, Path(folder), "pocketgenre.cli.scan_library", music,
                              "--catalog", ":memory:", "--model", "standard")  # fmt: skip
            rows.append(_row("scan on a cluster", count, seconds, workers, audio, measure(work)))
    return rows


def measure_epochs(songs: Sequence[Path], count: int, seconds: float) -> dict[str, object]:
    """Measure an epoch of the CNN on shards: a fifth of the cost of five more epochs."""
    with tempfile.TemporaryDirectory() as folder:
        music, data = write_copies(songs, Path(folder, "music"), count), Path(folder, "data")
        command("pocketgenre.training.cli.prepare_dataset", music, "--out", data, "--shards", 16)()
        few, many = (
            measure(
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
    conditions = {"stage": stage, "songs": songs, "seconds": seconds, "workers": workers}
    return conditions | {"audio": audio} | vars(cost)


def measure_empty_jobs(count: int) -> dict[str, float]:
    """Measure the cluster's own cost per job, in one process with scheduler and client."""
    from distributed import LocalCluster

    from benchmarks.empty_jobs import EmptyJob, empty_setup
    from pocketgenre.cluster.dask_executor import open_cluster

    with (
        LocalCluster(2, 2, processes=True, dashboard_address=":0") as local,
        open_cluster(local.scheduler_address) as executor,
    ):
        for size in (100, count):  # the first round starts the processes
            start, cpu = time.monotonic(), time.process_time()
            jobs = (EmptyJob(number) for number in range(size))
            assert sum(1 for _ in executor.map(jobs, empty_setup, lambda: False)) == size
    return {
        "jobs": count,
        "clock": time.monotonic() - start,
        "cpu": time.process_time() - cpu,
    }


def measure_catalogues() -> list[dict[str, float]]:
    """Measure writing a catalogue, comparing a folder with it, and labelling its songs."""
    import numpy as np

    from pocketgenre.inference import InferenceResult
    from pocketgenre.library.catalog import Catalog
    from pocketgenre.library.discovery import SongFile
    from pocketgenre.models.model_card import read_model
    from pocketgenre.models.pretrained import PRETRAINED
    from pocketgenre.prediction import SongAnalysis

    card = read_model(PRETRAINED["standard"])[1]
    tables = np.random.default_rng(0).dirichlet(np.full(10, 0.3), size=(200, 80))
    rows = []
    for count in CATALOGUES:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "c.sqlite")

            def write(file: Path = file, count: int = count) -> None:
                with Catalog(file, create=True) as catalog:
                    for n in range(count):
                        name = f"/music/artist {n % 997}/album {n % 13}/song {n}.mp3"
                        result = InferenceResult(
                            n.to_bytes(16, "big"), SongAnalysis(tables[n % 200])
                        )
                        catalog.record(SongFile(name, n, n), card, 0, result)

            def compare(file: Path = file) -> None:
                with Catalog(file) as catalog:
                    assert {entry.path: entry for entry in catalog.entries()}

            def label(file: Path = file) -> None:
                with Catalog(file) as catalog:
                    assert list(catalog.songs())

            written, compared, labelled = measure(write), measure(compare), measure(label)
            size = file.stat().st_size
        row = {"songs": count, "bytes": size, "write": written.cpu, "compare": compared.cpu}
        row |= {"compare memory": compared.memory, "label": labelled.cpu}
        row |= {"label memory": labelled.memory}
        rows.append(row)
        print(row, file=sys.stderr)
    return rows


def main() -> None:
    """Run all measurements, and print them as JSON."""
    figures: dict[str, object] = {"machine": f"{processor_name()}, {os.cpu_count()} cores"}
    with tempfile.TemporaryDirectory() as folder:
        folders = [Path(argument) for argument in sys.argv[1:]]
        songs = [path for music in folders for path in sorted(music.rglob("*.*"))]
        by_length = {s: songs or _synthetic(Path(folder, f"{s:g}"), s) for s in LENGTHS}
        middle = LENGTHS[1]
        figures["songs"] = [
            row for n in SIZES for row in measure_stages(by_length[middle], n, middle)
        ]
        lengths = [s for s in LENGTHS if s != middle] if not songs else []
        figures["lengths"] = [
            row for s in lengths for row in measure_stages(by_length[s], SIZES[1], s)
        ]
        figures["epochs"] = [measure_epochs(by_length[middle], n, middle) for n in SIZES]
        figures["workers"] = measure_workers(by_length[middle], SIZES[1], middle)
    figures["catalogues"] = measure_catalogues()
    figures["empty jobs"] = measure_empty_jobs(5_000)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
