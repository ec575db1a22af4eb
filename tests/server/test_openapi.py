"""The server conforms to its OpenAPI document."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pocketgenre.demo.synthetic import write_synthetic_library
from pocketgenre.server.examples import DESCRIPTION, MODELS, SEGMENTS, SONG
from pocketgenre.server.problems import PROBLEM_TYPES
from pocketgenre.server.schemas import ModelDescription, Models, Segments, Song
from tests.conftest import REPOSITORY
from tests.server.servers import Server

HERE = Path(__file__).parent
PATHS = ("classify", "classify/segments", "features", "parity")
"""Paths below ``/v1/`` that receive songs."""


def run_schemathesis(
    server: Server, folder: Path, *options: object
) -> subprocess.CompletedProcess[str]:
    write_synthetic_library(folder / "songs", seconds=3.5)
    variables = {"SCHEMATHESIS_HOOKS": f"{__package__}.schemathesis_hooks"}
    variables |= {"SONGS": str(folder / "songs"), "PYTHONPATH": str(REPOSITORY)}
    command = [Path(sys.executable).with_name("schemathesis")]
    command += ["--config-file", HERE / "schemathesis.toml", "run", f"{server.url}/openapi.json"]
    return subprocess.run(
        [*map(str, command), "--checks", "all", "--seed", "1", *map(str, options)],
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def count_ok(server: Server, path: str) -> float:
    """Count the requests with status 200."""
    return server.metric(
        f'pocketgenre_requests_total{{method="POST",path="/v1/{path}",status="200"}}'
    )


def test_schemathesis_finds_no_errors(server: Server, tmp_path: Path) -> None:
    before = {path: count_ok(server, path) for path in PATHS}
    result = run_schemathesis(
        server, tmp_path, "--phases", "examples,fuzzing", "--max-examples", 12
    )
    assert result.returncode == 0, result.stdout[-3000:]
    assert "9 selected / 9 total" in result.stdout
    for path in PATHS:
        assert count_ok(server, path) > before[path], f"no song was accepted by {path}"


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_schemathesis_finds_no_errors_in_many_cases(server: Server, tmp_path: Path) -> None:
    result = run_schemathesis(server, tmp_path, "--max-examples", 300)
    assert result.returncode == 0, result.stdout[-3000:]
    print(result.stdout[-600:])


def test_examples_match_schemas_and_responses(server: Server, tmp_path: Path) -> None:
    Song.model_validate(SONG)
    Segments.model_validate(SEGMENTS)
    Models.model_validate(MODELS)
    ModelDescription.model_validate(DESCRIPTION)
    assert set(server.get("/v1/model?model=standard").json()) == set(DESCRIPTION)
    song = write_synthetic_library(tmp_path)[0]
    response = server.post("/v1/classify/segments", song).json()
    assert set(response) == set(SEGMENTS)
    assert set(response["song"]) == set(SONG)


def test_document_has_every_problem_code(server: Server) -> None:
    document = server.get("/openapi.json").text
    for code in set(PROBLEM_TYPES) - {
        "unknown-path",
        "wrong-method",
    }:  # these belong to no operation
        assert f"urn:pocketgenre:problem:{code}" in document, code


def test_every_operation_has_a_description(server: Server) -> None:
    for path in server.get("/openapi.json").json()["paths"].values():
        for operation in path.values():
            assert operation["description"]
            assert operation["responses"]["200"]
