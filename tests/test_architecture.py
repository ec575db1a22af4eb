"""Imports point one way, and the phone's side needs little."""

import ast
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

PHONE = {"numpy", "soundfile", "soxr", "av", "mobile_demo"}
COMMAND_LINE = PHONE | {"typer", "rich"}
ALLOWED = {
    "mobile_demo": PHONE,
    "mobile_demo/cli": COMMAND_LINE,
    "mobile_demo/scanner": {"numpy", "mobile_demo", "platformdirs", "watchdog", "mutagen"},
    "cluster": {"numpy", "mobile_demo", "cluster", "distributed", "fsspec", "pyarrow"},
    "training": COMMAND_LINE
    | {"training", "h5py", "librosa", "scipy", "sklearn", "tensorflow", "keras"},
    "training/plots": {"numpy", "mobile_demo", "training", "matplotlib", "librosa", "sklearn"},
    "export": COMMAND_LINE
    | {"training", "export", "sklearn", "tensorflow", "keras", "ai_edge_litert", "flatbuffers"},
    "server": {"numpy", "mobile_demo", "server", "typer"}
    | {"anyio", "fastapi", "starlette", "uvicorn", "pydantic", "prometheus_client"},
}


def python_files(room: str) -> list[Path]:
    deeper = {other for other in ALLOWED if other.startswith(f"{room}/")}
    files = [f for f in source_files(REPOSITORY / room) if f.suffix == ".py"]
    return [f for f in files if not any(f.is_relative_to(REPOSITORY / d) for d in deeper)]


def imported_packages(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    files = python_files(room)
    assert files
    for file in files:
        foreign = imported_packages(file) - set(sys.stdlib_module_names) - ALLOWED[room]
        assert not foreign, f"{file.relative_to(REPOSITORY)} imports {foreign}"


def source_files(room: Path) -> list[Path]:
    """Python's and the phone page's, without what was built or fetched."""
    files = [f for f in room.rglob("*") if f.suffix in {".py", ".ts", ".css"}]
    return [f for f in files if not {"node_modules", "dist"} & set(f.parts)]


def test_a_file_is_one_idea() -> None:
    for room in ("mobile_demo", "training", "export", "server", "cluster", "benchmarks", "tests"):
        for file in source_files(REPOSITORY / room):
            lines = len(file.read_text(encoding="utf-8").splitlines())
            assert lines <= 300, f"{file.relative_to(REPOSITORY)} has {lines} lines"
