"""Compute the features of many songs in parallel; what is done stays done."""

import hashlib
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from pocketgenre.audio.decoding import UnreadableError
from pocketgenre.errors import AudioError
from pocketgenre.features.config import FeatureConfig
from pocketgenre.jobs.executors import Executor
from pocketgenre.jobs.pool import JobFailure
from pocketgenre.library.discovery import SongFile, is_address, stat_file
from pocketgenre.library.scan import patience
from pocketgenre.training.data.songs import DataError, LabelledSong
from pocketgenre.training.data.storage import Store, sha256_of

Wanted = Literal["segments", "spectra"]
"""What is computed of a song: the features of its segments, or its whole mel spectrum."""

_PART_NAME = re.compile(r"[0-9a-f]{64}\.npy")

PARTS = "parts"
"""Folder of a data set with a file a song, while it is being prepared."""


@dataclass(frozen=True)
class PreparedSong:
    """A song and the file of its features, or the reason why there is none.

    Attributes
    ----------
    part : its name in the data set's store
    error : why there is none
    passing : whether that may pass by itself
    """

    song: LabelledSong
    part: str | None = None
    error: str | None = None
    passing: bool = False


def find_files(
    songs: Sequence[LabelledSong], audio: Path, engine: Executor
) -> dict[LabelledSong, SongFile]:
    """The songs' files, with size and time; both are -1 of one that isn't there."""
    if not is_address(audio):
        return {song: stat_file(str(audio / song.path)) for song in songs}
    found = {file.path: file for file in engine.list_songs(audio).files}
    paths = {song: str(audio / song.path) for song in songs}
    return {song: found.get(path, SongFile(path, -1, -1)) for song, path in paths.items()}


def part_name(file: SongFile, feature_config: FeatureConfig, wanted: Wanted = "segments") -> str:
    """Name of the file of a song's features.

    It is made of the file's path, size and time, of the front end and of what is computed, so
    that a changed file is done again.
    """
    identity = (file.path, file.size, file.modified_ns, feature_config, wanted)
    digest = hashlib.sha256(repr(identity).encode("utf-8", "surrogateescape")).hexdigest()
    return f"{PARTS}/{digest}.npy"


def prepare_songs(
    files: Mapping[LabelledSong, SongFile],
    store: Store,
    feature_config: FeatureConfig,
    engine: Executor,
    wanted: Wanted = "segments",
) -> Iterator[PreparedSong]:
    """Write a ``.npy`` file for each song into the store's parts, skipping those that are there.

    Yields
    ------
    PreparedSong
        in order of completion.

    Raises
    ------
    DataError
        a part can't be written.
    PocketGenreError
        the engine can't do its work.
    """
    there = store.names(PARTS)
    todo: dict[str, tuple[LabelledSong, SongFile]] = {}
    for song, file in files.items():
        part = part_name(file, feature_config, wanted)
        if file.size < 0:
            yield PreparedSong(song, error="cannot be read: it is not there", passing=True)
        elif part.removeprefix(f"{PARTS}/") in there:
            yield PreparedSong(song, part)
        else:
            todo[part] = song, file
    jobs = [_SongJob(file.path, part, patience(file)) for part, (_, file) in todo.items()]
    computing = _Computing(store, feature_config, wanted)
    with closing(engine.answer(jobs, computing, lambda: False)) as answers:
        for job, answer in answers:
            song = todo[job.part][0]
            if isinstance(answer, _Unwritable):
                raise DataError(f"{store.place / job.part} cannot be written: {answer.reason}.")
            if isinstance(answer, JobFailure):
                yield PreparedSong(song, error=answer.reason, passing=answer.passing)
            else:
                yield PreparedSong(song, job.part)


def duplicates_by_content(prepared: Sequence[PreparedSong], store: Store) -> list[tuple[str, str]]:
    """Pairs of songs whose features are the same to the byte."""
    digests = {}
    for item in prepared:
        if item.part:
            with store.open(item.part) as file:
                digests[item.song.name] = sha256_of(file)
    return same(digests)


def clear_parts(store: Store) -> None:
    """Remove the parts, and nothing else that may stand beside them."""
    names = (name for name in store.names(PARTS) if _PART_NAME.fullmatch(name))
    store.remove(f"{PARTS}/{name}" for name in names)


def same(digests: Mapping[str, str]) -> list[tuple[str, str]]:
    """Pairs of names with one digest."""
    seen: dict[str, str] = {}
    pairs = [(seen.setdefault(digest, name), name) for name, digest in digests.items()]
    return [(first, name) for first, name in pairs if first != name]


@dataclass(frozen=True)
class _SongJob:
    path: str
    part: str
    seconds: float


@dataclass(frozen=True)
class _Unwritable:
    reason: str


@dataclass(frozen=True)
class _Computing:
    """Sets up a process that computes songs."""

    store: Store
    feature_config: FeatureConfig
    wanted: Wanted

    def __call__(self) -> Callable[[_SongJob], JobFailure | _Unwritable | None]:
        """Import librosa, in the workers alone."""
        from pocketgenre.training.data.librosa_features import song_features, song_spectra

        compute = song_features if self.wanted == "segments" else song_spectra

        def answer(job: _SongJob) -> JobFailure | _Unwritable | None:
            try:
                features = compute(Path(job.path), self.feature_config)
            except AudioError as error:
                return JobFailure(str(error), passing=isinstance(error, UnreadableError))
            except MemoryError:
                return JobFailure("it needs more memory than there is", passing=True)
            except Exception as error:  # of one song in a hundred thousand must not end the rest
                return JobFailure(f"it cannot be computed ({type(error).__name__}: {error})")
            if not np.isfinite(features).all():
                return JobFailure("its features are not all numbers")
            buffer = io.BytesIO()
            np.save(buffer, features)
            try:
                with self.store.create(job.part) as file:
                    file.write(buffer.getbuffer())
            except OSError as error:
                return _Unwritable(error.strerror or str(error))
            return None

        return answer
