"""List the recordings of a source, and select evenly spaced ones."""

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pocketgenre.training.not_music.audio_files import read_duration
from pocketgenre.training.not_music.packages import AUDIO_SUFFIXES, MAX_FILE_BYTES
from pocketgenre.training.not_music.sources import Source

MIN_SECONDS = 1.0
"""Shortest recording that is used [s]; shorter ones can't be classified."""

_BY_LANGUAGE = frozenset({"klettres-data", "ktuberling-data"})
"""Sources with many languages, each of which has its own limit."""

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Recording:
    """An audio file of a source.

    Attributes
    ----------
    source : source of the file
    file : path of the file
    path : path inside the source, which begins with ``/``
    kind : kind, such as ``prompt`` or ``music``
    language : language of the speech; empty if unknown or no speech
    seconds : length [s]
    """

    source: Source
    file: Path
    path: str
    kind: str
    language: str
    seconds: float

    @property
    def group(self) -> str:
        """Source; for generated noises also the noise, since each differs from the others."""
        if self.source.registry != "noise":
            return self.source.name
        return f"{self.source.name}/{self.file.stem.rpartition('-')[0]}"

    @property
    def name(self) -> str:
        """Unique name inside the source, of ASCII letters, digits, dots and hyphens."""
        readable = re.sub(r"[^A-Za-z0-9.-]+", "-", "-".join(self.path.split("/")[-2:]))
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:8]
        return f"{readable.rpartition('.')[0].strip('.-')[-60:]}-{digest}"


def list_recordings(source: Source, folder: Path) -> list[Recording]:
    """List the readable audio files of a source that are long enough, sorted by path.

    Links are not followed.
    """
    recordings = []
    for file in _audio_files(folder):
        path = "/" + file.relative_to(folder).as_posix()
        described = source.kind_and_language(path)
        if described is None:
            continue
        seconds = read_duration(file, source.raw_sample_rate)
        if seconds >= MIN_SECONDS:
            recordings.append(Recording(source, file, path, *described, seconds))
    return sorted(recordings, key=lambda recording: recording.path)


def select_recordings(
    recordings: Iterable[Recording], limit: int, music_limit: int
) -> list[Recording]:
    """Select at most ``limit`` recordings of each source and kind, evenly spaced.

    Parameters
    ----------
    recordings : sorted recordings
    limit : largest number of recordings of a source and kind; for sources with many languages,
        of each language
    music_limit : largest number of tracks of music of a source
    """
    groups: dict[tuple[str, str, str], list[Recording]] = defaultdict(list)
    for recording in recordings:
        name = recording.source.name
        language = recording.language if name in _BY_LANGUAGE else ""
        groups[name, recording.kind, language].append(recording)
    selected: list[Recording] = []
    for (_, kind, _), members in groups.items():
        selected += spread(members, music_limit if kind == "music" else limit)
    return selected


def without_copies(test: Sequence[Recording], train: Sequence[Recording]) -> list[Recording]:
    """Return the recordings without exact copies of earlier ones.

    The recordings of ``test`` come first, so that no test file is also trained on.
    """
    unique: dict[bytes, Recording] = {}
    for recording in (*test, *train):
        with open(recording.file, "rb") as file:
            unique.setdefault(hashlib.file_digest(file, "sha256").digest(), recording)
    return list(unique.values())


def spread(items: Sequence[_Item], count: int) -> list[_Item]:
    """Return at most ``count`` evenly spaced items."""
    if len(items) <= count:
        return list(items)
    return [items[i * len(items) // count] for i in range(count)]


def _audio_files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder, followlinks=False):
        for name in names:
            file = Path(parent, name)
            if file.suffix.lower() not in AUDIO_SUFFIXES or file.is_symlink():
                continue
            if file.is_file() and 0 < file.stat().st_size <= MAX_FILE_BYTES:
                yield file
