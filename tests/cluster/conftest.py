"""Start a Dask cluster on this machine: a scheduler and workers, one process each."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from distributed import Client, Worker

from tests.conftest import REPOSITORY, until

WORKERS = 3
SETTINGS = {
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "3s",  # default: 30 s
    # default: 3, so that an attempt costs 4 workers
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
}


class Cluster:
    """A cluster whose processes can be killed.

    Attributes
    ----------
    address : address of the scheduler
    """

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{port}"
        self.folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self.start("scheduler", "--host", "127.0.0.1", "--port", port)

    def start(self, kind: str, *options: object) -> subprocess.Popen[bytes]:
        with open(self.folder / f"{kind}.log", "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{kind}", *map(str, options),
                 "--no-dashboard"],
                env=os.environ | {"PYTHONPATH": str(REPOSITORY)} | SETTINGS,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self._processes.append(process)
        return process

    def start_workers(self, count: int) -> subprocess.Popen[bytes]:
        """Start workers, each with a nanny that replaces it when it dies."""
        return self.start(
            "worker", self.address, "--nworkers", count, "--nthreads", 1,
            "--local-directory", self.folder,
        )  # fmt: skip

    def pids(self) -> list[int]:
        """Return the process ids of the current workers."""
        with Client(self.address, set_as_default=False) as client:
            try:
                return list(client.run(os.getpid, on_error="ignore").values())
            except OSError:  # a worker has just been killed
                return []

    def plugins(self) -> set[str]:
        """Return the plug-ins that scans have installed on the workers."""
        with Client(self.address, set_as_default=False) as client:
            return set().union(*client.run(_plugins, on_error="ignore").values())

    def kill_at_random(self, rng: np.random.Generator) -> bool:
        pids = self.pids()
        if pids:
            os.kill(int(rng.choice(pids)), signal.SIGKILL)
        return bool(pids)

    def stop(self, *numbers: int) -> None:
        """Kill some of the started processes, by their number, or all."""
        for process in [self._processes[number] for number in numbers] or self._processes:
            if process.poll() is not None:
                continue
            os.killpg(process.pid, signal.SIGKILL)  # nannies and workers with it
            process.wait()


def _plugins(dask_worker: Worker) -> list[str]:
    return [name for name in dask_worker.plugins if name.startswith("pocketgenre")]


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    running = Cluster(tmp_path_factory.mktemp("cluster"))
    running.start_workers(WORKERS)
    until(lambda: len(running.pids()) == WORKERS)
    yield running
    running.stop()
