"""The server does what its OpenAPI document says, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pocketgenre.demo.synthetic import write_synthetic_library
from pocketgenre.server.examples import DESCRIPTION, MODELS, SEGMENTS, SONG
from pocketgenre.server.problems import KINDS
from pocketgenre.server.schemas import ModelDescription, Models, Segments, Song
from tests.conftest import REPOSITORY
from tests.server.serving import Serving

HERE = Path(__file__).parent
PATHS = ("classify", "classify/segments", "features", "parity")
"""To which songs are sent, below ``/v1/``."""


def schemathesis(
    server: Serving, folder: Path, *options: object
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


def heard(server: Serving, path: str) -> float:
    """Requests there that got what they asked for."""
    return server.metric(
        f'pocketgenre_requests_total{{method="POST",path="/v1/{path}",status="200"}}'
    )


def test_schemathesis_finds_nothing(server: Serving, tmp_path: Path) -> None:
    before = {path: heard(server, path) for path in PATHS}
    result = schemathesis(server, tmp_path, "--phases", "examples,fuzzing", "--max-examples", 12)
    assert result.returncode == 0, result.stdout[-3000:]
    assert "9 selected / 9 total" in result.stdout
    for path in PATHS:
        assert heard(server, path) > before[path], f"no song was good enough for {path}"


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_schemathesis_finds_nothing_in_many_tries(server: Serving, tmp_path: Path) -> None:
    result = schemathesis(server, tmp_path, "--max-examples", 300)
    assert result.returncode == 0, result.stdout[-3000:]
    print(result.stdout[-600:])


def test_the_examples_are_of_the_kind_that_is_answered(server: Serving, tmp_path: Path) -> None:
    Song.model_validate(SONG)
    Segments.model_validate(SEGMENTS)
    Models.model_validate(MODELS)
    ModelDescription.model_validate(DESCRIPTION)
    assert set(server.get("/v1/model?model=standard").json()) == set(DESCRIPTION)
    song = write_synthetic_library(tmp_path)[0]
    answer = server.post("/v1/classify/segments", song).json()
    assert set(answer) == set(SEGMENTS)
    assert set(answer["song"]) == set(SONG)


def test_every_code_of_a_problem_is_in_the_document(server: Serving) -> None:
    document = server.get("/openapi.json").text
    for code in set(KINDS) - {"unknown-path", "wrong-method"}:  # of no operation
        assert f"urn:pocketgenre:problem:{code}" in document, code


def test_every_operation_says_what_it_is_for(server: Serving) -> None:
    for path in server.get("/openapi.json").json()["paths"].values():
        for operation in path.values():
            assert operation["description"]
            assert operation["responses"]["200"]
