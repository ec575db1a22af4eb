"""Packages import in one direction, and the library needs few distributions."""

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

CORE = {
    f"pocketgenre.{name}"
    for name in (
        "atomic_write",
        "confidence",
        "constants",
        "errors",
        "plugins",
        "suppress_stderr",
        "text",
        "toml_file",
    )
}
"""Modules that every package may import."""

FEATURES = {"numpy", "pocketgenre.features"}
AUDIO = FEATURES | {"soundfile", "soxr", "av", "pocketgenre.audio"}
MODELS = AUDIO | {"pocketgenre.models", "ai_edge_litert", "flatbuffers"}
JOBS = {"pocketgenre.jobs", "pocketgenre.library.discovery"}
CLASSIFIER = {
    *(MODELS | JOBS),
    "pocketgenre.classifier",
    "pocketgenre.inference",
    "pocketgenre.library.file_hash",
    "pocketgenre.library.tags.metadata",
    "pocketgenre.prediction",
    "pocketgenre.timeline",
}
LIBRARY = CLASSIFIER | {"pocketgenre.library", "platformdirs", "watchdog", "mutagen"}
COMMANDS = LIBRARY | {"pocketgenre.cli", "typer", "rich"}
TRAINING = COMMANDS | {
    *("pocketgenre.training", "h5py", "librosa", "scipy", "sklearn", "tensorflow", "keras"),
}
ALLOWED = {
    "pocketgenre/features": FEATURES,
    "pocketgenre/audio": AUDIO,
    "pocketgenre/models": MODELS,
    "pocketgenre/jobs": JOBS,
    "pocketgenre": CLASSIFIER,
    "pocketgenre/library": LIBRARY,
    "pocketgenre/cli": COMMANDS,
    "pocketgenre/learning": COMMANDS
    | {"pocketgenre.learning", "pocketgenre.training", "scipy", "sklearn"},
    "pocketgenre/cluster": LIBRARY | {"pocketgenre.cluster", "distributed", "fsspec", "pyarrow"},
    "pocketgenre/parity": COMMANDS | {"pocketgenre.parity"},
    "mobile_demo": COMMANDS | {"pocketgenre.demo"},
    "training": TRAINING,
    "training/plots": TRAINING | {"matplotlib"},
    "export": TRAINING | {"pocketgenre.export", "ai_edge_litert", "flatbuffers"},
    "server": COMMANDS
    | {"pocketgenre.server", "pocketgenre.demo", "pocketgenre.parity"}
    | {"fastapi", "h11", "starlette", "uvicorn", "pydantic", "prometheus_client", "segno"},
}
"""By folder: the modules and distributions that its files may import."""

NOT_SOURCE = {"node_modules", "dist"}


def python_files(folder: str) -> list[Path]:
    """List the files of a folder, except those in subfolders with an entry in ALLOWED."""
    deeper = [other for other in ALLOWED if other.startswith(f"{folder}/")]
    links = {path for path in (REPOSITORY / "pocketgenre").iterdir() if path.is_symlink()}
    skipped = [REPOSITORY / other for other in deeper] + list(links)
    return [
        file
        for file in (REPOSITORY / folder).rglob("*.py")
        if not NOT_SOURCE & set(file.parts) and not any(file.is_relative_to(s) for s in skipped)
    ]


def imported_modules(file: Path, *, at_start: bool = False) -> set[str]:
    """Return the modules and names that a file imports, ``at_start`` outside of functions only."""
    names = set()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in tree.body if at_start else ast.walk(tree):
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


def test_modules_do_not_import_each_other_in_cycles() -> None:
    files = {module_name(file): file for folder in ALLOWED for file in python_files(folder)}
    graph = {}
    for name, file in files.items():
        imported = imported_modules(file, at_start=True)
        modules = {m if m in files else m.rpartition(".")[0] for m in imported}
        graph[name] = modules & set(files) - {name}
    TopologicalSorter(graph).prepare()


def module_name(file: Path) -> str:
    parts = file.relative_to(REPOSITORY).with_suffix("").parts
    if parts[0] != "pocketgenre":
        parts = ("pocketgenre", *parts)
    return ".".join(parts).removesuffix(".__init__").replace(".mobile_demo", ".demo")
