"""Measure the start of each command, and the memory of a scan."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.demo.synthetic import write_audio
from tests.conftest import REPOSITORY

SCRIPTS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"]
START = "Start of each command (--help) and of Python"
FIRST_LABEL = "Time from the command to the label of one song of 3 s"


def run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True, cwd=REPOSITORY)


@pytest.mark.benchmark(group=START)
def test_python(benchmark) -> None:
    benchmark.pedantic(run, [sys.executable, "-c", "pass"], rounds=10)


@pytest.mark.benchmark(group=START)
@pytest.mark.parametrize("command", SCRIPTS)
def test_help(benchmark, command: str) -> None:
    module = SCRIPTS[command].partition(":")[0]
    benchmark.pedantic(run, [sys.executable, "-m", module, "--help"], rounds=5, warmup_rounds=1)


@pytest.fixture(scope="module")
def one_song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one")
    samples = np.random.default_rng(0).normal(scale=0.1, size=(3 * 44_100, 2))
    write_audio(folder / "song.mp3", samples.astype(np.float32), 44_100)
    return folder


@pytest.mark.benchmark(group=FIRST_LABEL)
def test_python_start(benchmark) -> None:
    benchmark.pedantic(run, [sys.executable, "-c", "pass"], rounds=10)


@pytest.mark.benchmark(group=FIRST_LABEL)
@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("model", ["standard", "best"])
def test_scan(benchmark, one_song: Path, model: str, workers: int) -> None:
    module = "pocketgenre.cli.scan_library"
    command = [sys.executable, "-m", module, one_song, "--catalog", ":memory:"]
    options = ["--model", model, "--workers", workers]
    benchmark.pedantic(run, [*command, *options], rounds=10, warmup_rounds=1)


@pytest.mark.benchmark(group="Memory: peak of scan-library on a minute of music")
@pytest.mark.parametrize("model", ["standard", "best"])
def test_scan_memory(benchmark, phone_files: list[Path], model: str) -> None:
    """Scan in one process, which needs the memory of a worker and of its parent."""
    # Not getrusage: its peak includes the process that this one was forked from.
    code = (
        "from pathlib import Path\n"
        "from pocketgenre.cli.scan_library import run, scan_library\n"
        "try: run(scan_library)\n"
        "finally: print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
    )
    options = ["--catalog", ":memory:", "--workers", "0", "--model", model]
    command = [sys.executable, "-c", code, str(phone_files[0].parent), *options]
    output = benchmark.pedantic(
        lambda: subprocess.check_output(
            command, cwd=REPOSITORY, env=os.environ, text=True, stderr=subprocess.DEVNULL
        ),
        rounds=1,
    )
    benchmark.extra_info["peak_mb"] = int(output.split()[-1]) // 1024
