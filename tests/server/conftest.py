"""One server for the tests that ask nothing special of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.serving import Serving, serving, write_mixed_library


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("server") / "log", "--workers", 2) as running:
        yield running


@pytest.fixture(scope="session")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of fifteen songs in as many forms."""
    folder = tmp_path_factory.mktemp("songs")
    write_mixed_library(folder)
    return folder
