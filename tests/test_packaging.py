"""A wheel installs one importable name, and every command starts."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, STANDARD

pytestmark = pytest.mark.slow

SCRIPTS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"]


def run(*command: object, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*map(str, command)], capture_output=True, text=True, check=True, timeout=800, **options
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from the sdist."""
    folder = tmp_path_factory.mktemp("wheel")
    # Only tracked files, since setuptools writes next to what it builds from.
    source = folder / "source"
    source.mkdir()
    archive = subprocess.Popen(
        ["git", "-C", str(REPOSITORY), "archive", "HEAD"], stdout=subprocess.PIPE
    )
    run("tar", "-x", "-C", source, stdin=archive.stdout)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, source)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, and with the dependencies of scanning only."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", folder)
    run(folder / "bin/python", "-m", "pip", "install", "--quiet", "--no-deps", wheel)
    scan = next((REPOSITORY / ".venv/scan/lib").glob("python3*/site-packages"), None)
    if scan is None:
        pytest.skip("the environment of scanning (make scan) is not set up")
    site = next((folder / "lib").glob("python3*/site-packages"))
    # The dependencies by a path, without the editable installation of the checkout there.
    (site / "dependencies.pth").write_text(f"{scan}\n")
    return folder


def test_wheel_has_one_top_level_name(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    folders = {name.partition("/")[0] for name in names}
    assert folders == {"pocketgenre", wheel.name.rsplit("-", 3)[0] + ".dist-info"}
    packaged = {"py.typed", "models/best.tflite", "training/train.py", "demo/synthetic.py"}
    assert {f"pocketgenre/{name}" for name in packaged} <= set(names)
    assert not [name for name in names if "node_modules" in name or "/web/" in name]


def test_wheel_imports_outside_the_checkout(environment: Path, tmp_path: Path) -> None:
    code = "import pocketgenre; print(pocketgenre.__file__, pocketgenre.__version__)"
    printed = run(environment / "bin/python", "-c", code, cwd=tmp_path).stdout
    assert printed.startswith(str(environment))


@pytest.mark.parametrize("script", SCRIPTS)
def test_command_starts_or_names_its_extra(script: str, environment: Path, tmp_path: Path) -> None:
    result = subprocess.run(
        [environment / "bin" / script, "--help"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"COLUMNS": "100"},
        check=False,
        timeout=600,
    )
    if result.returncode == 0:
        assert script in result.stdout
    else:
        assert "install the extra" in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_wheel_scans_a_folder(environment: Path, library: Path, tmp_path: Path) -> None:
    command = [environment / "bin/scan-library", library, *STANDARD, "--catalog", ":memory:"]
    assert "5 of 5 songs labelled" in run(*command, cwd=tmp_path).stdout


def test_uninstall_leaves_nothing(environment: Path) -> None:
    run(environment / "bin/python", "-m", "pip", "uninstall", "--yes", "--quiet", "pocketgenre")
    site = next((environment / "lib").glob("python3*/site-packages"))
    assert not list(site.glob("pocketgenre*"))
    assert not (environment / "bin/scan-library").exists()
