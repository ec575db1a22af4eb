"""RuntimeBenchmark a file with the TFLite runtimes of this and of other environments."""

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
from pocketgenre.training.data.songs import DataError

_SECONDS = 120
_ASK_VERSION = "from pocketgenre.models.interpreter import runtime_version as v; print(v())"
_PRINTED = ("runtime", "machine", "milliseconds", "arena")


@dataclass(frozen=True)
class RuntimeProbe:
    """How one runtime runs the file; see :class:`pocketgenre.models.runtime_benchmark.RuntimeBenchmark`.

    Attributes
    ----------
    runtime, machine : that ran it
    milliseconds : median time of one segment by number of threads
    arena : bytes that the runtime writes to
    labels : index of the most likely genre of each probing segment
    error : why it can't run the file, if it can't; then the rest is empty
    """

    runtime: str
    machine: str = ""
    milliseconds: dict[str, float] = field(default_factory=dict)
    arena: int = 0
    labels: list[int] = field(default_factory=list)
    error: str | None = None

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """From what ``pocketgenre.models.runtime_benchmark`` prints."""
        labels = np.argmax(values["answers"], axis=1).tolist()
        return cls(**{name: values[name] for name in _PRINTED}, labels=labels)


def require_runtime(python: Path) -> None:
    """Make sure that a Python can probe a file.

    Raises
    ------
    DataError
        it can't be started, or lacks ``pocketgenre`` or a TFLite runtime.
    """
    try:
        if _run(python, "-c", _ASK_VERSION).startswith(tuple(RUNTIMES)):
            return
        reason = "it doesn't name a runtime"
    except subprocess.SubprocessError as error:
        reason = _last_words(error)
    raise DataError(
        f"{python} is no Python that has pocketgenre and a TFLite runtime ({reason}); install"
        f" pocketgenre and {' or '.join(RUNTIMES)} there, or name another."
    )


def probe_elsewhere(model: bytes, card: ModelCard, pythons: Sequence[Path]) -> list[RuntimeProbe]:
    """Run a file in a process of each Python, one after the other.

    Raises
    ------
    DataError
        a Python can't be started.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")
        path.write_bytes(model)
        card_path(path).write_text(card.to_json(), encoding="utf-8")
        return [_probe(python, path) for python in pythons]


def _probe(python: Path, model: Path) -> RuntimeProbe:
    try:
        return RuntimeProbe.from_dict(
            json.loads(_run(python, "-m", "pocketgenre.models.runtime_benchmark", str(model)))[0]
        )
    except subprocess.SubprocessError as error:
        return RuntimeProbe(runtime=str(python), error=_last_words(error))
    except (ValueError, LookupError, TypeError) as error:
        return RuntimeProbe(runtime=str(python), error=f"its answer cannot be read: {error}")


def _run(python: Path, *arguments: str) -> str:
    """What a Python prints."""
    try:
        return subprocess.run(  # noqa: S603 - the user named this Python
            [str(python), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=True,
            timeout=_SECONDS,
        ).stdout
    except OSError as error:
        raise DataError(f"{python} cannot be started: {error.strerror}.") from error


def _last_words(error: subprocess.SubprocessError) -> str:
    lines = str(getattr(error, "stderr", None) or "").strip().splitlines()
    return lines[-1] if lines else str(error)
