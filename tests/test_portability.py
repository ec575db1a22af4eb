"""The library and its commands work without the parts of Python that only Linux or Unix has.

macOS and Windows are not available here. This test removes the modules and functions that they
lack, but can't replace a test on these systems.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, STANDARD

SITECUSTOMIZE = """
import os, signal, subprocess, sys, types  # subprocess detects Windows by msvcrt

for name in ("fcntl", "grp", "pwd", "resource"):
    sys.modules[name] = None
sys.modules["msvcrt"] = types.SimpleNamespace(locking=lambda *_: None, LK_NBLCK=2)
for name in ("chown", "fork", "forkpty", "lchown", "pread", "sched_getaffinity", "O_CLOEXEC"):
    delattr(os, name)
for name in ("alarm", "setitimer", "SIGALRM", "ITIMER_REAL"):
    delattr(signal, name)
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Environment of a Python that lacks these modules and functions, in its workers as well."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SITECUSTOMIZE)
    paths = os.pathsep.join([str(folder), str(REPOSITORY)])
    return os.environ | {"PYTHONPATH": paths, "XDG_DATA_HOME": str(tmp_path)}


def run(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_scan_tags_and_undo_need_no_unix(
    environment: dict[str, str], library: Path, tmp_path: Path
) -> None:
    music = shutil.copytree(library, tmp_path / "music")
    scan = run(environment, "-m", "pocketgenre.cli.scan_library", music, *STANDARD, "--write-tags")
    assert scan.returncode == 0, scan.stderr
    assert "5 of 5 songs labelled" in scan.stdout
    assert "into the tags of 5 songs" in scan.stderr
    undo = run(environment, "-m", "pocketgenre.cli.undo_tags")
    assert undo.returncode == 0, undo.stderr
    assert "Restored the genre of 5 songs" in undo.stderr


def test_hanging_job_is_killed_without_alarm_signal(environment: dict[str, str]) -> None:
    code = (
        "from pocketgenre.jobs import process; process._GRACE = 0.0\n"
        "from tests.jobs.sample_jobs import SampleJob, Setup\n"
        "from pocketgenre.jobs.pool import map_jobs\n"
        "print(next(map_jobs([SampleJob('hang', timeout=0.5)], Setup(), 1))[1].kind)"
    )
    result = run(environment, "-c", code)
    assert result.stdout == "timeout\n", result.stderr
