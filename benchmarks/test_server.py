"""The server under 32 clients against a scan with as many workers."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pocketgenre.jobs.worker_process import InferenceSetup, Job, ModelEar

from pocketgenre.jobs.pool import work_through
from pocketgenre.models.model_card import read_model
from pocketgenre.models.pretrained import PRETRAINED
from tests.server.load import press
from tests.server.serving import Serving, serving

GROUP = "192 songs of a minute by the best model, two workers"
SONGS, WORKERS, CLIENTS = 192, 2, 32


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    log = tmp_path_factory.mktemp("server") / "log"
    with serving(log, "--workers", WORKERS, "--queue", CLIENTS) as running:
        yield running


@pytest.mark.benchmark(group=GROUP)
def test_scanned(benchmark, phone_files: list[Path]) -> None:
    ear = ModelEar(*read_model(PRETRAINED["best"]))

    def scan() -> None:
        jobs = (Job(str(phone_files[n % len(phone_files)]), 0, 120.0) for n in range(SONGS))
        with closing(work_through(jobs, InferenceSetup(ear), WORKERS, lambda: False)) as answers:
            assert all(answer.error is None for _, answer in answers)

    benchmark.pedantic(scan, rounds=3)


@pytest.mark.benchmark(group=GROUP)
def test_uploaded_by_32_clients(benchmark, server: Serving, phone_files: list[Path]) -> None:
    def upload() -> None:
        load = press(server.url, phone_files, CLIENTS, lambda number: number < SONGS)
        assert load.statuses == [200] * SONGS

    benchmark.pedantic(upload, rounds=3)
