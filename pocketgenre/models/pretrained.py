"""Find the pretrained models that are part of the package."""

import os
from pathlib import Path

from pocketgenre.errors import ModelError
from pocketgenre.models.model_card import read_model

_FOLDER = Path(__file__).parent

PRETRAINED = {name: _FOLDER / f"{name}.tflite" for name in ("standard", "best")}
"""Models by name: 13 MFCC as input (``standard``), 96 log-mel bands as input (``best``)."""

PRETRAINED_WAVEFORM = {name: _FOLDER / f"{name}_waveform.tflite" for name in PRETRAINED}
"""The same networks with the waveform as input, for apps that can't compute features."""

DEFAULT_MODEL = "best"

MODELS_BY_NAME = {path.stem: path for path in (*PRETRAINED.values(), *PRETRAINED_WAVEFORM.values())}
"""All pretrained models by the value of ``--model``."""


def same_network(sha256: str) -> frozenset[str]:
    """Return the hashes of the models with the same network as a model, and its own.

    A pretrained network has two files, one with features and one with the waveform as input.
    """
    for name, path in PRETRAINED.items():
        both = {read_model(file)[1].sha256 for file in (path, PRETRAINED_WAVEFORM[name])}
        if sha256 in both:
            return frozenset(both)
    return frozenset({sha256})


def find_model(name: str) -> Path:
    """Return the file of a pretrained model by its name, or the path of a file; ``~`` is expanded.

    Raises
    ------
    ModelError
        if it is neither a name nor a path.
    """
    if name in MODELS_BY_NAME:
        return MODELS_BY_NAME[name]
    path = Path(os.path.expanduser(name))  # noqa: PTH111  # Path.expanduser raises for an unknown user
    if not name or (path.suffix != ".tflite" and not path.exists()):
        names = ", ".join(MODELS_BY_NAME)
        raise ModelError(f"There is no model {name!r}; choose {names}, or a .tflite file.")
    return path
