"""A worker pool, a server and songs that the tests of the server share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pocketgenre.jobs.pool import WorkerPool
from pocketgenre.models.model_card import read_model
from pocketgenre.models.pretrained import DEFAULT_MODEL, MODELS_BY_NAME
from pocketgenre.server.tasks import TaskRunner
from tests.server.mixed_library import write_mixed_library
from tests.server.servers import Server, build_app, serve_in_thread


@pytest.fixture(scope="package")
def pool() -> Iterator[WorkerPool]:
    """Two worker processes with the pretrained models."""
    models = {name: read_model(path) for name, path in MODELS_BY_NAME.items()}
    pool = WorkerPool(TaskRunner(models, DEFAULT_MODEL), 2, killed_retries=1)
    pool.start()
    yield pool
    pool.close()


@pytest.fixture(scope="package")
def server(pool: WorkerPool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with default settings, in this process."""
    with serve_in_thread(build_app(pool), tmp_path_factory.mktemp("server") / "log") as running:
        yield running


@pytest.fixture(scope="session")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of fifteen songs in fifteen formats."""
    folder = tmp_path_factory.mktemp("songs")
    write_mixed_library(folder)
    return folder
