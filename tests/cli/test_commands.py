"""Start the commands by their entry points in ``pyproject.toml``."""

import subprocess
import sys
import tomllib
from importlib import import_module

import pytest

from pocketgenre.cli.console import _EXTRAS, run
from pocketgenre.library.catalog import Catalog
from tests.conftest import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
SCRIPTS: dict[str, str] = PROJECT["scripts"]

START = """
import sys
from importlib import import_module

blocked, (module, function), sys.argv = sys.argv[1].split(), sys.argv[2].split(":"), sys.argv[3:]

class Blocker:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
getattr(import_module(module), function)()
"""


def start(script: str, *arguments: object, blocked: str = "") -> subprocess.CompletedProcess[str]:
    """Start a command as its script does, in an environment without the blocked packages."""
    command = [sys.executable, "-c", START, blocked, SCRIPTS[script], script, *arguments]
    return subprocess.run(
        list(map(str, command)), cwd=REPOSITORY, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_resolves(script: str) -> None:
    module, _, function = SCRIPTS[script].partition(":")
    assert callable(getattr(import_module(module), function))


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.slow
def test_help_needs_no_tensorflow(script: str) -> None:
    result = start(script, "--help", blocked="tensorflow keras")
    assert result.returncode == 0, result.stderr
    assert f"Usage: {script}" in result.stdout
    assert "--debug" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("script", ["list-songs", "train-model", "serve-classifier"])
def test_unknown_option_is_a_usage_error(script: str) -> None:
    result = start(script, "--no-such-option")
    assert result.returncode == 2
    assert result.stdout == ""
    assert "No such option" in result.stderr


@pytest.mark.parametrize(
    ("script", "arguments", "extra", "package"),
    [
        ("compare-runs", ["one", "two"], "train", "h5py"),
        ("find-mislabelled", ["run"], "train", "sklearn"),
        ("learn-genres", [".", "--out", "x.tflite"], "learn", "sklearn"),
        ("serve-classifier", [], "server", "fastapi"),
        ("serve-classifier", [], "server", "uvicorn"),
        ("scan-library", [".", "--cluster", "tcp://localhost:1"], "cluster", "distributed"),
        ("scan-library", [".", "--format", "parquet", "--out", "x"], "cluster", "pyarrow"),
    ],
)
def test_missing_package_names_its_extra(
    script: str, arguments: list[str], extra: str, package: str
) -> None:
    result = start(script, *arguments, blocked=package)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1].startswith("Error: "), result.stderr
    assert "Traceback" not in result.stderr
    assert f"needs the package {package}, which is not installed" in result.stderr
    assert f"install the extra {extra}, from a checkout: pip install '.[{extra}]'" in result.stderr


def test_debug_shows_where_a_package_is_missing() -> None:
    result = start("serve-classifier", "--debug", blocked="fastapi")
    assert result.returncode == 1
    assert "Traceback" in result.stderr


def test_package_missing_in_a_command_names_its_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise ModuleNotFoundError("No module named 'keras.layers'", name="keras.layers")

    monkeypatch.setattr("sys.argv", ["train-model"])
    with pytest.raises(SystemExit) as end:
        run(command)
    assert end.value.code == 1
    assert capsys.readouterr().err == (
        "Error: This command needs the package keras, which is not installed; install the extra"
        " train, from a checkout: pip install '.[train]'\n"
    )


def test_missing_package_of_no_extra_shows_a_traceback() -> None:
    result = start("list-songs", blocked="platformdirs")
    assert result.returncode == 1
    assert "ModuleNotFoundError: No module named 'platformdirs'" in result.stderr


def test_extras_are_those_of_the_project() -> None:
    assert set(_EXTRAS) <= set(PROJECT["optional-dependencies"])


def test_closed_pipe_shows_no_traceback(tmp_path) -> None:
    catalog = tmp_path / "c.sqlite"
    Catalog(catalog, create=True).close()
    process = subprocess.Popen(
        [sys.executable, "-m", "pocketgenre.cli.export_catalog", "--catalog", catalog],
        cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(timeout=60) == 1


def test_commands_do_not_change_the_exception_hook() -> None:
    code = "import sys; before = sys.excepthook; import pocketgenre.cli.commands, sys;" \
        "print(sys.excepthook is before, 'typer' in sys.modules)"  # fmt: skip
    output = subprocess.check_output([sys.executable, "-c", code], cwd=REPOSITORY, text=True)
    assert output.split() == ["True", "False"]
