"""Compute the features of many songs in parallel, one file for each song.

An interrupted preparation continues with the files that it has written.
"""

import hashlib
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from pocketgenre.audio.decoding import UnreadableError
from pocketgenre.errors import AudioError
from pocketgenre.features.config import FeatureConfig
from pocketgenre.inference import timeout_for
from pocketgenre.jobs.executors import Executor
from pocketgenre.jobs.process import JobFailure
from pocketgenre.library.discovery import SongFile, is_address, stat_file
from pocketgenre.training.data.labelled_songs import LabelledSong
from pocketgenre.training.data.near_duplicates import Fingerprint, fingerprint
from pocketgenre.training.data.storage import Store, sha256_of
from pocketgenre.training.errors import DataError

FileContent = Literal["segments", "spectra"]
"""Content of a song's file: the features of its segments, or its whole mel spectrum."""

FEATURE_FILES = "parts"
"""Folder of a data set with one file for each song, during preparation only."""

_FILE_NAME = re.compile(r"[0-9a-f]{64}\.npy")


@dataclass(frozen=True)
class PreparedSong:
    """A song with the file of its features, or with the reason why they are missing.

    Attributes
    ----------
    song : the song
    file : name of the feature file in the data set's store; None after a failure
    error : reason of the failure, without a full stop
    is_transient : True if another attempt may succeed
    """

    song: LabelledSong
    file: str | None = None
    error: str | None = None
    is_transient: bool = False


def find_files(
    songs: Sequence[LabelledSong], audio: Path, executor: Executor
) -> dict[LabelledSong, SongFile]:
    """Return the songs' files with size and modification time; both are -1 if a file is missing."""
    if not is_address(audio):
        return {song: stat_file(str(audio / song.path)) for song in songs}
    found = {file.path: file for file in executor.list_songs(audio).files}
    paths = {song: str(audio / song.path) for song in songs}
    return {song: found.get(path, SongFile(path, -1, -1)) for song, path in paths.items()}


def feature_file_name(
    file: SongFile, feature_config: FeatureConfig, content: FileContent = "segments"
) -> str:
    """Return the name of a song's feature file in the data set's store.

    The name is a hash of the song's path, size and modification time, of the feature
    configuration and of the content, so that a changed song gets a new feature file.
    """
    # The names of existing shards are hashes of exactly this text.
    names = {"kind": "features"}
    values = [f"{names.get(k, k)}={v!r}" for k, v in asdict(feature_config).items()]
    text = (
        f"({file.path!r}, {file.size!r}, {file.modified_ns!r}, FrontEnd({', '.join(values)}),"
        f" {content!r})"
    )
    return f"{FEATURE_FILES}/{hashlib.sha256(encode_name(text)).hexdigest()}.npy"


def prepare_songs(
    files: Mapping[LabelledSong, SongFile],
    store: Store,
    feature_config: FeatureConfig,
    executor: Executor,
    content: FileContent = "segments",
) -> Iterator[PreparedSong]:
    """Write a feature file for each song into the store, unless it already exists.

    Parameters
    ----------
    files : songs with their audio files
    store : store of the data set
    feature_config : parameters of the features
    executor : executor that computes the features
    content : content of the feature files

    Yields
    ------
    PreparedSong
        in order of completion.

    Raises
    ------
    DataError
        if a feature file cannot be written.
    PocketGenreError
        if the executor cannot run jobs.
    """
    existing = store.names(FEATURE_FILES)
    missing: dict[str, tuple[LabelledSong, SongFile]] = {}
    for song, file in files.items():
        name = feature_file_name(file, feature_config, content)
        if file.size < 0:
            yield PreparedSong(song, error="cannot be read: it is missing", is_transient=True)
        elif name.removeprefix(f"{FEATURE_FILES}/") in existing:
            yield PreparedSong(song, name)
        else:
            missing[name] = song, file
    jobs = [
        _SongJob(file.path, name, timeout_for(file.size)) for name, (_, file) in missing.items()
    ]
    setup = _FeatureSetup(store, feature_config, content)
    with closing(executor.map(jobs, setup, lambda: False)) as results:
        for job, result in results:
            song = missing[job.feature_file][0]
            if isinstance(result, _WriteError):
                raise DataError(
                    f"{store.location / job.feature_file} cannot be written: {result.reason}."
                )
            if isinstance(result, JobFailure):
                yield PreparedSong(song, error=result.reason, is_transient=result.is_transient)
            else:
                yield PreparedSong(song, job.feature_file)


def find_duplicates(prepared: Sequence[PreparedSong], store: Store) -> list[tuple[str, str]]:
    """Return pairs of songs with identical features."""
    digests = {}
    for item in prepared:
        if item.file:
            with store.open(item.file) as file:
                digests[item.song.name] = sha256_of(file)
    return pairs_of_equal_digests(digests)


def song_fingerprints(
    prepared: Sequence[PreparedSong], store: Store, config: FeatureConfig
) -> dict[str, Fingerprint]:
    """Compute the fingerprint of each song that has a feature file, by name."""
    found = {}
    for item in prepared:
        if item.file:
            with store.open(item.file) as file:
                found[item.song.name] = fingerprint(np.load(file), config)
    return found


def pairs_of_equal_digests(digests: Mapping[str, str]) -> list[tuple[str, str]]:
    """Pair each name with the first name of the same digest."""
    first: dict[str, str] = {}
    pairs = [(first.setdefault(digest, name), name) for name, digest in digests.items()]
    return [(one, other) for one, other in pairs if one != other]


def remove_feature_files(store: Store) -> None:
    """Remove the songs' feature files, and no other file in their folder."""
    names = (name for name in store.names(FEATURE_FILES) if _FILE_NAME.fullmatch(name))
    store.remove(f"{FEATURE_FILES}/{name}" for name in names)


def encode_name(text: str) -> bytes:
    """Encode text that contains file names; surrogate escapes become the original bytes."""
    return text.encode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class _SongJob:
    path: str
    feature_file: str
    timeout: float


@dataclass(frozen=True)
class _WriteError:
    reason: str


@dataclass(frozen=True)
class _FeatureSetup:
    """Set up a worker that computes and writes the features of songs."""

    store: Store
    feature_config: FeatureConfig
    content: FileContent

    def __call__(self) -> Callable[[_SongJob], JobFailure | _WriteError | None]:
        """Import librosa, which only the workers need, and return the job's function."""
        from pocketgenre.training.data.librosa_features import song_features, song_spectra

        compute = song_features if self.content == "segments" else song_spectra

        def run(job: _SongJob) -> JobFailure | _WriteError | None:
            try:
                features = compute(Path(job.path), self.feature_config)
            except AudioError as error:
                return JobFailure(str(error), is_transient=isinstance(error, UnreadableError))
            except MemoryError:
                return JobFailure("it needs more memory than is available", is_transient=True)
            except Exception as error:  # one song must not end the others
                return JobFailure(f"it cannot be computed ({type(error).__name__}: {error})")
            if not np.isfinite(features).all():
                return JobFailure("its features contain non-finite values")
            buffer = io.BytesIO()
            np.save(buffer, features)
            try:
                with self.store.create(job.feature_file) as file:
                    file.write(buffer.getbuffer())
            except OSError as error:
                return _WriteError(error.strerror or str(error))
            return None

        return run
