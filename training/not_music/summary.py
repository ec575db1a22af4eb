"""Summarize how the files of an index were classified."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pocketgenre.constants import NOT_MUSIC, UNCERTAIN
from pocketgenre.training.not_music.index import IndexRow
from pocketgenre.training.not_music.mixes import JINGLE
from pocketgenre.training.not_music.sources import SPEECH_KINDS

HIGH_CONFIDENCE = 0.9
"""Confidence above which a genre counts as confident."""

MAX_ERRORS = 20
"""Largest number of errors in the list."""

_SPEECH = SPEECH_KINDS | {"speech-over-music", JINGLE}


@dataclass(frozen=True)
class FileResult:
    """Result for one file.

    Attributes
    ----------
    row : row of the index
    genre : predicted label; None if the file can't be classified
    confidence : confidence of the prediction
    error : reason if the file can't be classified
    """

    row: IndexRow
    genre: str | None
    confidence: float = 0.0
    error: str = ""

    @property
    def has_genre(self) -> bool:
        """True if the predicted label is a genre of music."""
        return self.genre not in (None, NOT_MUSIC, UNCERTAIN)


def summarize(results: Iterable[FileResult]) -> dict[str, Any]:
    """Compute the results by group and by source, and list the worst errors.

    Groups are ``speech`` (also over music, or after a jingle), ``other non-music``, ``music``,
    ``melody`` and ``music-over-speech``. An error is a genre predicted for a file without music.

    Returns
    -------
    dictionary of JSON types with the keys ``groups``, ``sources``, ``errors`` and ``failures``
    """
    ordered = sorted(results, key=lambda result: result.row.path)
    errors = [r for r in ordered if r.row.genre == NOT_MUSIC and r.has_genre]
    errors.sort(key=lambda result: -result.confidence)
    return {
        "groups": _shares(ordered, lambda result: _group_of(result.row)),
        "sources": _shares(ordered, lambda result: f"{result.row.source}: {result.row.kind}"),
        "errors": [
            {
                "path": result.row.path,
                "kind": result.row.kind,
                "genre": result.genre,
                "confidence": round(result.confidence, 4),
            }
            for result in errors[:MAX_ERRORS]
        ],
        "failures": [
            {"path": result.row.path, "error": result.error}
            for result in ordered
            if result.genre is None
        ],
    }


def _shares(
    results: Sequence[FileResult], key: Callable[[FileResult], str]
) -> dict[str, dict[str, Any]]:
    names = sorted({key(result) for result in results})
    return {name: _counts([r for r in results if key(r) == name]) for name in names}


def _counts(results: Sequence[FileResult]) -> dict[str, Any]:
    classified = [result for result in results if result.genre is not None]
    not_music = sum(result.genre == NOT_MUSIC for result in classified)
    uncertain = sum(result.genre == UNCERTAIN for result in classified)
    total = len(classified)
    return {
        "files": total,
        "failed": len(results) - total,
        "not_music": round(not_music / total, 4) if total else None,
        "not_music_or_uncertain": round((not_music + uncertain) / total, 4) if total else None,
        "confident_genre": sum(r.has_genre and r.confidence > HIGH_CONFIDENCE for r in classified),
    }


def _group_of(row: IndexRow) -> str:
    """Return the group of a file in the results."""
    if row.kind in _SPEECH:
        return "speech"
    return "other non-music" if row.genre == NOT_MUSIC else row.kind
