"""Compare the server under load of 32 clients with a scan by the same number of workers."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pocketgenre.inference import InferenceJob, InferenceSetup
from pocketgenre.jobs.pool import map_jobs
from pocketgenre.models.model_card import read_model
from pocketgenre.models.pretrained import PRETRAINED
from tests.server.load_generator import generate_load
from tests.server.servers import ServerProcess, serve_in_process

GROUP = "192 songs of a minute with the best model, two workers"
SONGS, WORKERS, CLIENTS = 192, 2, 32


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    log = tmp_path_factory.mktemp("server") / "log"
    with serve_in_process(log, "--workers", WORKERS, "--queue", CLIENTS) as running:
        yield running


@pytest.mark.benchmark(group=GROUP)
def test_scan(benchmark, phone_files: list[Path]) -> None:
    setup = InferenceSetup(*read_model(PRETRAINED["best"]))

    def scan() -> None:
        jobs = (
            InferenceJob(str(phone_files[n % len(phone_files)]), 0, 120.0) for n in range(SONGS)
        )
        with closing(map_jobs(jobs, setup, WORKERS)) as results:
            assert all(result.error is None for _, result in results)

    benchmark.pedantic(scan, rounds=3)


@pytest.mark.benchmark(group=GROUP)
def test_uploads_of_32_clients(benchmark, server: ServerProcess, phone_files: list[Path]) -> None:
    def upload() -> None:
        load = generate_load(server.url, phone_files, CLIENTS, lambda number: number < SONGS)
        assert load.statuses == [200] * SONGS

    benchmark.pedantic(upload, rounds=3)
