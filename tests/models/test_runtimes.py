"""LiteRT and tflite-runtime predict the same genres.

``make test`` sets up the second environment: NumPy 1, tflite-runtime and the decoders.
"""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.errors import ModelError
from pocketgenre.models.interpreter import RUNTIME_VARIABLE, create_interpreter
from pocketgenre.models.pretrained import PRETRAINED, PRETRAINED_WAVEFORM
from tests.conftest import REPOSITORY, invoke

OLD = REPOSITORY / ".venv" / "tflite-runtime" / "bin" / "python"
SCAN = "pocketgenre.cli.scan_library"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def old_python() -> Path:
    if not OLD.exists():
        pytest.skip("the tflite-runtime environment is not set up: make test does it")
    return OLD


def test_old_environment_has_no_litert(old_python: Path) -> None:
    code = (
        "import importlib.util as u, numpy, pocketgenre.models.interpreter as r;"
        "print(numpy.__version__.split('.')[0], u.find_spec('ai_edge_litert'),"
        "r._find_runtime().__name__)"
    )
    output = subprocess.check_output([old_python, "-c", code], text=True, cwd=REPOSITORY)
    assert output.split() == ["1", "None", "tflite_runtime.interpreter"]


@cache
def benchmark_with(python: Path | str) -> list[dict]:
    command = [
        python,
        "-m",
        "pocketgenre.models.runtime_benchmark",
        PRETRAINED["standard"],
        PRETRAINED_WAVEFORM["standard"],
    ]
    output = subprocess.check_output(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL)
    return json.loads(output)


def test_both_runtimes_predict_the_same_genres(old_python: Path) -> None:
    for new, old in zip(benchmark_with(sys.executable), benchmark_with(old_python), strict=True):
        assert new["runtime"].startswith("ai-edge-litert ")
        assert old["runtime"].startswith("tflite-runtime ")
        labels = np.argmax(new["answers"], axis=1)
        assert len(set(labels)) > 1
        np.testing.assert_array_equal(labels, np.argmax(old["answers"], axis=1))


def test_probabilities_differ_only_by_rounding(old_python: Path) -> None:
    for new, old in zip(benchmark_with(sys.executable), benchmark_with(old_python), strict=True):
        np.testing.assert_allclose(new["answers"], old["answers"], atol=0.05)


OPTIONS = ("--format", "json", "--min-confidence", "0")


def scan_with(python: Path | str, folder: Path) -> list[dict]:
    output = subprocess.check_output(
        [python, "-m", SCAN, folder, *OPTIONS, "--catalog", ":memory:"],
        cwd=REPOSITORY,
        stderr=subprocess.DEVNULL,
    )
    return json.loads(output)


def tied_winners(votes: dict[str, int]) -> set[str]:
    return {genre for genre, count in votes.items() if count == max(votes.values())}


def assert_same_labels(old: list[dict], new: list[dict]) -> None:
    assert [song["path"] for song in old] == [song["path"] for song in new]
    for before, after in zip(old, new, strict=True):
        # The last digits of the probabilities break a tie of the votes.
        assert before["genre"] in tied_winners(after["votes"])
        assert after["genre"] in tied_winners(before["votes"])
    assert [song["segments"] for song in old] == [song["segments"] for song in new]
    # The last digits of features differ between NumPy 1 and 2, so that ties may differ.
    agreement = sum(
        min(a["votes"][g], b["votes"][g]) for a, b in zip(old, new, strict=True) for g in a["votes"]
    )
    assert agreement >= 0.99 * sum(song["segments"] for song in new)


def test_both_runtimes_label_a_library_equally(old_python: Path, library: Path) -> None:
    new = json.loads(invoke(SCAN, library, *OPTIONS).stdout)
    assert len(new) == 5
    assert_same_labels(scan_with(old_python, library), new)


@pytest.mark.slow
def test_both_runtimes_label_real_songs_equally(
    old_python: Path, gtzan: Path, tmp_path: Path
) -> None:
    for genre in sorted((gtzan / "audio").iterdir()):
        for song in sorted(genre.iterdir())[:3]:
            (tmp_path / song.name).symlink_to(song)
    new = json.loads(invoke(SCAN, tmp_path, *OPTIONS).stdout)
    assert len(new) == 30
    assert_same_labels(scan_with(old_python, tmp_path), new)


def test_runtime_is_chosen_by_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUNTIME_VARIABLE, "tflite-runtime")
    with pytest.raises(ModelError, match="pip install tflite-runtime"):
        create_interpreter(b"")
    monkeypatch.setenv(RUNTIME_VARIABLE, "my-runtime")
    with pytest.raises(ModelError, match="must be one of"):
        create_interpreter(b"")
