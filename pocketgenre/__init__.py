"""Classify the genre of songs on this device, offline.

>>> from pocketgenre import GenreClassifier
>>> song = GenreClassifier().classify("song.mp3")  # doctest: +SKIP
>>> print(song.genre, song.confidence)  # doctest: +SKIP

See ``docs/python.md``. The subpackages ``training``, ``export`` and ``server`` need the extras of
the same names.
"""

from typing import TYPE_CHECKING, Any

from pocketgenre.errors import AudioError, CatalogError, ModelError, PocketGenreError

if TYPE_CHECKING:
    from pocketgenre.classifier import GenreClassifier
    from pocketgenre.constants import UNCERTAIN
    from pocketgenre.models.model_card import ModelCard
    from pocketgenre.prediction import LabelConfig, SongPrediction, VoteRule
    from pocketgenre.timeline import TimelinePart

__version__ = "0.1.0"

__all__ = [
    "UNCERTAIN",
    "AudioError",
    "CatalogError",
    "GenreClassifier",
    "LabelConfig",
    "ModelCard",
    "ModelError",
    "PocketGenreError",
    "SongPrediction",
    "TimelinePart",
    "VoteRule",
    "__version__",
]

# NumPy and the decoders take 0.2 s to import: they are loaded with the first use.
_LAZY = {
    "GenreClassifier": "pocketgenre.classifier",
    "LabelConfig": "pocketgenre.prediction",
    "ModelCard": "pocketgenre.models.model_card",
    "SongPrediction": "pocketgenre.prediction",
    "UNCERTAIN": "pocketgenre.constants",
    "TimelinePart": "pocketgenre.timeline",
    "VoteRule": "pocketgenre.prediction",
}


if not TYPE_CHECKING:  # a type checker would accept every name

    def __getattr__(name: str) -> Any:
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
