"""The targets of the Makefile that set up environments."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

OLD_PYTHON = """#!/bin/sh
case "$*" in -V) echo Python 3.10.12 ;; *version_info*) exit 1 ;; *) exit 9 ;; esac
"""


@pytest.mark.parametrize("target", ["scan", "train", "data/musicnn"])
def test_old_python_is_refused_in_one_sentence(tmp_path: Path, target: str) -> None:
    for name in ("Makefile", "pyproject.toml", "requirements"):
        copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy
        copy(REPOSITORY / name, tmp_path / name)
    python = tmp_path / "python3.10"
    python.write_text(OLD_PYTHON)
    python.chmod(0o755)
    result = subprocess.run(
        ["make", "--silent", target, f"PYTHON={python}"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 2
    sentence, _ = result.stderr.splitlines()  # the second line is make's
    assert sentence == (
        f"{python} is Python 3.10.12, but Python 3.11, 3.12 or 3.13 is needed:"
        " make PYTHON=python3.11 ..."
    )
    assert not (tmp_path / ".venv").exists()
