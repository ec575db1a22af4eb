"""Fixtures of the training tests."""

import importlib
import subprocess
import sys

import pytest

from tests.conftest import Command


@pytest.fixture
def run_in_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command's ``main`` in this process, with the result of a subprocess."""

    def run(module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [module, *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", command)
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_info:
            importlib.import_module(module).main()
        stdout, stderr = capsys.readouterr()
        return subprocess.CompletedProcess(command, exit_info.value.code or 0, stdout, stderr)

    return run
