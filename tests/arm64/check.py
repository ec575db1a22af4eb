"""``make check-arm64``: an emulated arm64 gives what this machine gives.

A small library scanned there must get the same labels by the same votes, on LiteRT and on
tflite-runtime. For each model file the probabilities of the probing segments must be those of here
within a step or two of an int8 logit: the kernels for the two processors round differently.
Emulation is slow; its times say nothing of a phone's.
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

FEW_STEPS = 0.03
REPOSITORY = Path(__file__).parents[2]
_ALONE = ("--workers", "0", "--catalog", ":memory:")  # an emulated process can't start others
WORK = REPOSITORY / ".venv" / "arm64" / "root" / "work"
MODELS = sorted((REPOSITORY / "pocketgenre" / "models").glob("*.tflite"))


def main(models: list[Path]) -> int:
    """Compare; 0 if all holds."""
    _lay_out(models)
    failures = 0
    for environment in ("scan", "tflite-runtime"):
        names = [model.name for model in models]
        here = _here(environment, "pocketgenre.models.runtime_benchmark", *names)
        there = _there(environment, "pocketgenre.models.runtime_benchmark", *names)
        for ours, theirs in zip(here, there, strict=True):
            difference = np.abs(np.subtract(ours["answers"], theirs["answers"])).max()
            same = bool(difference <= FEW_STEPS)
            failures += not same
            verdict = "alike" if same else "DIFFERENT"
            print(f"{ours['runtime']}  {ours['model']}: {verdict}, within {difference:.1e}")
        scan = ("pocketgenre.cli.scan_library", "library", "--format", "json", *_ALONE)
        ours, theirs = _here(environment, *scan), _there(environment, *scan)
        same = [_told(song) for song in ours] == [_told(song) for song in theirs]
        failures += not same
        verdict = "the same" if same else "DIFFERENT"
        print(f"{environment}: labels and votes of {len(ours)} songs: {verdict}")
    return 1 if failures else 0


def _lay_out(models: list[Path]) -> None:
    for name in ("pocketgenre", "library"):
        shutil.rmtree(WORK / name, ignore_errors=True)
    not_needed = shutil.ignore_patterns("training", "export", "server", "demo", "cluster")
    shutil.copytree(REPOSITORY / "pocketgenre", WORK / "pocketgenre", ignore=not_needed)
    for model in models:
        for path in (model, card_path(model)):
            shutil.copy(path, WORK / path.name)
    write_synthetic_library(WORK / "library", seconds=7.0)


def _here(environment: str, module: str, *arguments: str) -> list[dict[str, Any]]:
    python = REPOSITORY / ".venv" / environment / "bin" / "python"
    return _json([str(python), "-m", module, *arguments])


def _there(environment: str, module: str, *arguments: str) -> list[dict[str, Any]]:
    there = [f"/work/{a}" if (WORK / a).exists() else a for a in arguments]
    script = str(REPOSITORY / "tests" / "arm64" / "run.sh")
    return _json(["sh", script, environment, module, *there])


def _json(command: list[str]) -> list[dict[str, Any]]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=WORK)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def _told(song: dict[str, Any]) -> tuple[Any, ...]:
    return song["path"], song["genre"], song["votes"], song["segments"]


if __name__ == "__main__":
    sys.exit(main([Path(path).resolve() for path in sys.argv[1:]] or MODELS))
