"""Probe a file with the TFLite runtimes of this and of other environments."""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from mobile_demo.card import ModelCard, card_path
from training.songs import DataError

_SECONDS = 120
_PRINTED = ("runtime", "machine", "milliseconds", "arena")


@dataclass(frozen=True)
class RuntimeProbe:
    """How one runtime runs the file; see :class:`mobile_demo.probe.Probe`.

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
        """From what ``mobile_demo.probe`` prints."""
        labels = np.argmax(values["answers"], axis=1).tolist()
        return cls(**{name: values[name] for name in _PRINTED}, labels=labels)


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
    command = [str(python), "-m", "mobile_demo.probe", str(model)]
    try:
        done = subprocess.run(  # noqa: S603 - the user named this Python
            command, capture_output=True, text=True, check=True, timeout=_SECONDS
        )
        return RuntimeProbe.from_dict(json.loads(done.stdout)[0])
    except OSError as error:
        raise DataError(f"{python} cannot be started: {error.strerror}.") from error
    except subprocess.SubprocessError as error:
        said = str(getattr(error, "stderr", None) or error).strip().splitlines()[-1]
        return RuntimeProbe(runtime=str(python), error=said)
