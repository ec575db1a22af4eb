"""Read the table of sources, and the rules that give a file its kind and language."""

import csv
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from pocketgenre.constants import NOT_MUSIC

Split = Literal["train", "test"]

MUSIC_KINDS = frozenset({"music", "melody", "music-over-speech"})
"""Kinds whose genre is ``music``; the genre of the others is ``not-music``."""

MELODY = "melody"
"""Kind of single instruments, ringtones and short tunes. These files lie between music and sound
effects, so they are used for testing only."""

SPEECH_KINDS = frozenset({"prompt", "speech", "tts"})
"""Kinds of speech without music: telephone prompts, other recordings, and synthesized speech."""

_SKIP = "skip"
_TABLES = Path(__file__).parent


@dataclass(frozen=True)
class Rule:
    """Kind and language of the files whose path matches a pattern.

    Attributes
    ----------
    pattern : regular expression, searched in the path, which begins with ``/``
    kind : kind of the files; ``skip`` for files that are not used
    language : language of the files; empty for the language of the source
    """

    pattern: str
    kind: str
    language: str = ""


@dataclass(frozen=True)
class Source:
    """A package, or a generator, whose files are all in one split.

    Attributes
    ----------
    name : name of the package or generator
    split : ``train`` or ``test``
    registry : ``debian``, ``pypi``, ``speech-synthesis`` or ``noise``
    kind : kind of the files that match no rule
    version : version of a package from PyPI
    language : language of the speech; empty if unknown
    language_pattern : regular expression whose first group is the language
    licence : licences that the package states
    raw_sample_rate : sample rate of files without a header [Hz]; 0 if there are none
    rules : rules, of which the first match is used
    """

    name: str
    split: Split
    registry: str
    kind: str
    version: str = ""
    language: str = ""
    language_pattern: str = ""
    licence: str = ""
    raw_sample_rate: int = 0
    rules: tuple[Rule, ...] = field(default=(), repr=False)

    def kind_and_language(self, path: str) -> tuple[str, str] | None:
        """Return kind and language of a file; None if the file is not used.

        Parameters
        ----------
        path : path inside the package, which begins with ``/``
        """
        rule = next((r for r in self.rules if re.search(r.pattern, path)), Rule("", self.kind))
        if rule.kind == _SKIP:
            return None
        if rule.kind not in SPEECH_KINDS:
            return rule.kind, ""
        if rule.language:
            return rule.kind, rule.language
        match = re.search(self.language_pattern, path) if self.language_pattern else None
        return rule.kind, match.group(1) if match else self.language


def genre_of(kind: str) -> str:
    """Return the genre of a kind, which is ``music`` or ``not-music``."""
    return "music" if kind in MUSIC_KINDS else NOT_MUSIC


def read_sources() -> list[Source]:
    """Read the sources from ``sources.csv``, in its order, with their rules from ``rules.csv``."""
    rules = _read("rules.csv")
    sources = []
    for row in _read("sources.csv"):
        matching = [r for r in rules if fnmatchcase(row["source"], r["source"])]
        sources.append(
            Source(
                name=row["source"],
                split="train" if row["split"] == "train" else "test",
                registry=row["registry"],
                kind=row["kind"],
                version=row["version"],
                language=row["language"],
                language_pattern=row["language_pattern"],
                licence=row["licence"],
                raw_sample_rate=int(row["raw_sample_rate"] or 0),
                rules=tuple(Rule(r["pattern"], r["kind"], r["language"]) for r in matching),
            )
        )
    return sources


def _read(name: str) -> list[dict[str, str]]:
    with open(_TABLES / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
