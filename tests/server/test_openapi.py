"""The server conforms to its OpenAPI document."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pocketgenre.demo.synthetic import write_synthetic_library
from pocketgenre.jobs.pool import WorkerPool
from pocketgenre.server.problems import PROBLEM_TYPES
from pocketgenre.server.schemas import Song
from pocketgenre.server.settings import Settings
from tests.conftest import REPOSITORY
from tests.server.servers import Server, build_app, serve_in_thread

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
    assert "12 selected / 12 total" in result.stdout
    for path in PATHS:
        assert count_ok(server, path) > before[path], f"no song was accepted by {path}"


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_schemathesis_finds_no_errors_in_many_cases(server: Server, tmp_path: Path) -> None:
    result = run_schemathesis(server, tmp_path, "--max-examples", 300)
    assert result.returncode == 0, result.stdout[-3000:]
    print(result.stdout[-600:])


def test_example_matches_schema_and_response(server: Server, tmp_path: Path) -> None:
    document = server.get("/openapi.json").json()
    example = Song.model_config["json_schema_extra"]["example"]
    Song.model_validate(example)
    assert document["components"]["schemas"]["Song"]["example"]["votes"] == example["votes"]
    song = write_synthetic_library(tmp_path)[0]
    assert set(server.post("/v1/classify", song).json()["songs"][0]) == set(example)


def test_document_has_every_problem_code(server: Server) -> None:
    document = server.get("/openapi.json").text
    for code in set(PROBLEM_TYPES) - {
        "unknown-path",  # it belongs to no operation
    }:
        assert f"urn:pocketgenre:problem:{code}" in document, code


def operations(server: Server) -> dict[str, dict]:
    """Return the operations of the document by method and path."""
    paths = server.get("/openapi.json").json()["paths"]
    return {f"{m} {path}": value for path, methods in paths.items() for m, value in methods.items()}


def test_every_operation_is_described(server: Server) -> None:
    tags = {tag["name"]: tag["description"] for tag in server.get("/openapi.json").json()["tags"]}
    for name, operation in operations(server).items():
        assert operation["description"], name
        assert operation["responses"]["200"], name
        assert all(tags[tag] for tag in operation["tags"]), name
        for status, response in operation["responses"].items():
            assert "X-Request-ID" in response["headers"], (name, status)
        assert operation["responses"]["405"]["headers"]["Allow"], name


def test_operation_ids_are_names_of_functions(server: Server) -> None:
    ids = {operation["operationId"] for operation in operations(server).values()}
    assert ids == {
        *("classify", "classify_raw", "classify_segments", "classify_segments_raw"),
        *("features", "features_raw", "parity", "describe_model", "list_models"),
        *("health", "readiness", "metrics"),
    }


def test_document_names_the_token(pool: WorkerPool, server: Server, tmp_path: Path) -> None:
    settings = Settings(workers=2, token="x" * 32)
    with serve_in_thread(build_app(pool, settings), tmp_path / "log") as guarded:
        header = {"Authorization": f"Bearer {'x' * 32}"}
        document = guarded.get("/openapi.json", headers=header).json()
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for path, methods in document["paths"].items():
        for operation in methods.values():
            needs_token = path not in ("/healthz", "/readyz")
            assert operation.get("security") == ([{"token": []}] if needs_token else None)
    for operation in operations(server).values():
        assert operation.get("security") in (None, [{}, {"token": []}])


def test_wrong_method_names_the_allowed(server: Server) -> None:
    read = "GET, HEAD"
    allowed = {"/v1/classify": "POST, PUT", "/v1/models": read, "/page/page.js": read}
    for path, methods in allowed.items():
        with server.client() as client:
            response = client.delete(path)
        assert (response.status_code, response.headers["allow"]) == (405, methods)
