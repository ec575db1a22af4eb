"""Run ``make check-arm64``: compare predictions on an emulated arm64 with those on this machine.

A scan of a small library must give the same labels by the same votes, on LiteRT and on
tflite-runtime. For each model file, the probabilities of the benchmark segments must agree within
one or two steps of an int8 logit, since the kernels for the two processors round differently.
Emulation is slow, so the benchmark times do not apply to a phone.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from pocketgenre.demo.synthetic import write_synthetic_library
from pocketgenre.models.model_card import card_path

TOLERANCE = 0.03  # of a probability
REPOSITORY = Path(__file__).parents[2]
_OPTIONS = ("--workers", "0", "--catalog", ":memory:")  # emulated processes cannot start others
WORK = REPOSITORY / ".venv" / "arm64" / "root" / "work"
MODELS = sorted((REPOSITORY / "pocketgenre" / "models").glob("*.tflite"))


def main(models: list[Path]) -> int:
    """Compare all model files and return the exit status: 0 if they agree."""
    _copy_files(models)
    failures = 0
    for environment in ("scan", "tflite-runtime"):
        names = [model.name for model in models]
        native = _run_native(environment, "pocketgenre.models.runtime_benchmark", *names)
        emulated = _run_emulated(environment, "pocketgenre.models.runtime_benchmark", *names)
        for one, other in zip(native, emulated, strict=True):
            difference = np.abs(np.subtract(one["answers"], other["answers"])).max()
            same = bool(difference <= TOLERANCE)
            failures += not same
            outcome = "agree" if same else "DIFFER"
            print(f"{one['runtime']}  {one['model']}: probabilities {outcome} ({difference:.1e})")
        scan = ("pocketgenre.cli.scan_library", "library", "--format", "json", *_OPTIONS)
        native, emulated = _run_native(environment, *scan), _run_emulated(environment, *scan)
        same = [_prediction(song) for song in native] == [_prediction(song) for song in emulated]
        failures += not same
        outcome = "agree" if same else "DIFFER"
        print(f"{environment}: labels and votes of {len(native)} songs {outcome}")
    return 1 if failures else 0


def _copy_files(models: list[Path]) -> None:
    for name in ("pocketgenre", "library"):
        shutil.rmtree(WORK / name, ignore_errors=True)
    unused = shutil.ignore_patterns("training", "export", "server", "demo", "cluster")
    shutil.copytree(REPOSITORY / "pocketgenre", WORK / "pocketgenre", ignore=unused)
    for model in models:
        for path in (model, card_path(model)):
            shutil.copy(path, WORK / path.name)
    write_synthetic_library(WORK / "library", seconds=7.0)


def _run_native(environment: str, module: str, *arguments: str) -> list[dict[str, Any]]:
    python = REPOSITORY / ".venv" / environment / "bin" / "python"
    return _json([str(python), "-m", module, *arguments])


def _run_emulated(environment: str, module: str, *arguments: str) -> list[dict[str, Any]]:
    paths = [f"/work/{a}" if (WORK / a).exists() else a for a in arguments]
    script = str(REPOSITORY / "tests" / "arm64" / "run.sh")
    return _json(["sh", script, environment, module, *paths])


def _json(command: list[str]) -> list[dict[str, Any]]:
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=WORK)
    if result.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{result.stderr}")
    return json.loads(result.stdout)


def _prediction(song: dict[str, Any]) -> tuple[Any, ...]:
    return song["path"], song["genre"], song["votes"], song["segments"]


if __name__ == "__main__":
    sys.exit(main([Path(path).resolve() for path in sys.argv[1:]] or MODELS))
