"""Run commands in the process of the tests, so that TensorFlow starts once."""

import subprocess
from unittest.mock import patch

from tests.conftest import invoke

PREPARE = "pocketgenre.training.cli.prepare_dataset"
TRAIN = "pocketgenre.training.cli.train_model"
EXPORT = "pocketgenre.export.cli"
SCAN = "pocketgenre.cli.scan_library"


def succeed(module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command that must succeed."""
    result = invoke(module, *arguments)
    assert result.returncode == 0, result.stderr
    return result


def prepare(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run ``prepare-dataset`` without worker processes, each of which would import librosa."""
    with patch("pocketgenre.jobs.executors.usable_cores", lambda: 0):
        return succeed(PREPARE, *arguments)


def refuse(module: str, *arguments: object) -> str:
    """Run a command that must end with one error message, and return its standard error."""
    result = invoke(module, *arguments)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    return result.stderr
