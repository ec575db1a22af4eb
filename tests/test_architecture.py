"""Packages import in one direction, and the library needs little."""

import ast
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

CORE = {
    f"pocketgenre.{name}"
    for name in ("atomic_write", "errors", "plugins", "suppress_stderr", "text")
}
"""Modules that every package may import."""

FEATURES = {"numpy", "pocketgenre.features"}
AUDIO = FEATURES | {"soundfile", "soxr", "av", "pocketgenre.audio"}
MODELS = AUDIO | {"pocketgenre.models"}
JOBS = {"pocketgenre.jobs"}
CLASSIFIER = (
    MODELS
    | JOBS
    | {
        f"pocketgenre.{name}"
        for name in ("classifier", "inference", "prediction", "library.discovery")
    }
)
LIBRARY = CLASSIFIER | {"pocketgenre.library", "platformdirs", "watchdog", "mutagen"}
COMMANDS = LIBRARY | {"pocketgenre.cli", "typer", "rich"}
TRAINING = COMMANDS | {
    *("pocketgenre.training", "h5py", "librosa", "scipy", "sklearn", "tensorflow", "keras"),
}
ALLOWED = {
    "pocketgenre/features": FEATURES,
    "pocketgenre/audio": AUDIO,
    "pocketgenre/models": MODELS,
    "pocketgenre/jobs": JOBS | {"numpy"},
    "pocketgenre": CLASSIFIER,
    "pocketgenre/library": LIBRARY,
    "pocketgenre/cli": COMMANDS,
    "pocketgenre/cluster": LIBRARY | {"pocketgenre.cluster", "distributed", "fsspec", "pyarrow"},
    "mobile_demo": COMMANDS | {"pocketgenre.demo"},
    "training": TRAINING,
    "training/plots": TRAINING | {"matplotlib"},
    "export": TRAINING | {"pocketgenre.export", "ai_edge_litert", "flatbuffers"},
    "server": COMMANDS
    | {"pocketgenre.server", "pocketgenre.demo"}
    | {"anyio", "fastapi", "starlette", "uvicorn", "pydantic", "prometheus_client"},
}
"""By folder: the modules and distributions that its files may import."""

NOT_SOURCE = {"node_modules", "dist"}


def python_files(folder: str) -> list[Path]:
    """Files of a folder, without those of its folders that have a rule of their own."""
    deeper = [other for other in ALLOWED if other.startswith(f"{folder}/")]
    links = {path for path in (REPOSITORY / "pocketgenre").iterdir() if path.is_symlink()}
    skipped = [REPOSITORY / other for other in deeper] + list(links)
    return [
        file
        for file in (REPOSITORY / folder).rglob("*.py")
        if not NOT_SOURCE & set(file.parts) and not any(file.is_relative_to(s) for s in skipped)
    ]


def imported_modules(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def is_allowed(module: str, allowed: set[str]) -> bool:
    if module.partition(".")[0] in sys.stdlib_module_names or module == "pocketgenre.__version__":
        return True
    return any(module == name or module.startswith(f"{name}.") for name in allowed | CORE)


@pytest.mark.parametrize("folder", ALLOWED)
def test_folder_imports_only_allowed_modules(folder: str) -> None:
    files = python_files(folder)
    assert files
    for file in files:
        foreign = {m for m in imported_modules(file) if not is_allowed(m, ALLOWED[folder])}
        assert not foreign, f"{file.relative_to(REPOSITORY)} imports {sorted(foreign)}"
