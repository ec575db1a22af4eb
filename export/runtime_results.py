"""Benchmark a TFLite file with the runtimes of this and of other Python environments."""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from pocketgenre.models.interpreter import RUNTIMES
from pocketgenre.models.model_card import ModelCard, card_path
from pocketgenre.training.errors import DataError

_TIMEOUT = 120  # seconds
_PRINT_VERSION = "from pocketgenre.models.interpreter import runtime_version as v; print(v())"
_COPIED = ("runtime", "machine", "milliseconds", "arena")


@dataclass(frozen=True)
class RuntimeResult:
    """Summary of a :class:`pocketgenre.models.runtime_benchmark.RuntimeBenchmark`, or its error.

    Attributes
    ----------
    runtime : name and version of the runtime
    machine : processor architecture
    milliseconds : median time per segment, by number of threads
    arena : memory that the runtime writes tensors to [bytes]
    labels : index of the most probable genre of each benchmark segment
    error : reason why the runtime cannot run the file; the other values are then empty
    """

    runtime: str
    machine: str = ""
    milliseconds: dict[str, float] = field(default_factory=dict)
    arena: int = 0
    labels: list[int] = field(default_factory=list)
    error: str | None = None

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Summarize one benchmark printed by ``python -m pocketgenre.models.runtime_benchmark``."""
        labels = np.argmax(values["answers"], axis=1).tolist()
        return cls(**{name: values[name] for name in _COPIED}, labels=labels)


def require_runtime(python: Path) -> None:
    """Check that a Python can benchmark a file.

    Raises
    ------
    DataError
        if it cannot be started, or lacks ``pocketgenre`` or a TFLite runtime.
    """
    try:
        if _run(python, "-c", _PRINT_VERSION).startswith(tuple(RUNTIMES)):
            return
        reason = "it did not print the name of a runtime"
    except subprocess.SubprocessError as error:
        reason = _last_line(error)
    raise DataError(
        f"{python} has no pocketgenre with a TFLite runtime ({reason}); install pocketgenre and"
        f" {' or '.join(RUNTIMES)} there, or name another Python."
    )


def benchmark_runtimes(
    model: bytes, card: ModelCard, pythons: Sequence[Path]
) -> list[RuntimeResult]:
    """Benchmark a file in a process of each Python, one after the other.

    Raises
    ------
    DataError
        if a Python cannot be started.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")
        path.write_bytes(model)
        card_path(path).write_text(card.to_json(), encoding="utf-8")
        return [_benchmark(python, path) for python in pythons]


def _benchmark(python: Path, model: Path) -> RuntimeResult:
    try:
        return RuntimeResult.from_dict(
            json.loads(_run(python, "-m", "pocketgenre.models.runtime_benchmark", str(model)))[0]
        )
    except subprocess.SubprocessError as error:
        return RuntimeResult(runtime=str(python), error=_last_line(error))
    except (ValueError, LookupError, TypeError) as error:
        return RuntimeResult(runtime=str(python), error=f"its output cannot be read: {error}")


def _run(python: Path, *arguments: str) -> str:
    """Run a Python and return its standard output."""
    try:
        return subprocess.run(  # noqa: S603 - the user named this Python
            [str(python), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=True,
            timeout=_TIMEOUT,
        ).stdout
    except OSError as error:
        raise DataError(f"{python} cannot be started: {error.strerror}.") from error


def _last_line(error: subprocess.SubprocessError) -> str:
    lines = str(getattr(error, "stderr", None) or "").strip().splitlines()
    return lines[-1] if lines else str(error)
