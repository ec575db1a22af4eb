"""Write the shards of a data set on any executor and store.

An interrupted preparation continues with the shards and feature files that it has written.
"""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, BinaryIO, TypeVar

import numpy as np

from pocketgenre.features.config import FeatureConfig
from pocketgenre.jobs.executors import Executor
from pocketgenre.jobs.process import JobFailure
from pocketgenre.library.discovery import SongFile
from pocketgenre.training.data.feature_files import (
    FEATURE_FILES,
    PreparedSong,
    encode_name,
    feature_file_name,
    prepare_songs,
)
from pocketgenre.training.data.labelled_songs import LabelledSong
from pocketgenre.training.data.near_duplicates import Fingerprint, fingerprint
from pocketgenre.training.data.shard_format import (
    MANIFEST,
    SHARDS,
    HashingWriter,
    LeftOutSong,
    Shard,
    find_fault,
    read_shard,
)
from pocketgenre.training.data.storage import Store
from pocketgenre.training.errors import DataError

_MAX_FEATURE_FILES = 4096
"""Largest number of songs with a feature file at a time; then the files are joined to shards."""

_TIMEOUT = 600.0  # seconds to write or to read a shard

_FILE_NAME = re.compile(r"(\d{6}-[0-9a-f]{16})\.(?:npy|json)")

Item = TypeVar("Item")


@dataclass(frozen=True)
class ShardPlan:
    """Name and songs of a shard to write."""

    name: str
    files: Mapping[LabelledSong, SongFile]


def plan_shards(
    files: Mapping[LabelledSong, SongFile], feature_config: FeatureConfig, songs_per_shard: int
) -> list[ShardPlan]:
    """Assign songs to shards by a hash of their names, so that each shard is a random sample.

    A shard's name is a hash of its songs' feature file names, so that a changed song gives a new
    shard.
    """
    plans = []
    in_order = sorted(files, key=lambda song: hashlib.sha256(encode_name(song.name)).digest())
    for number, songs in enumerate(_chunks(in_order, songs_per_shard)):
        names = "".join(feature_file_name(files[song], feature_config) for song in songs)
        digest = hashlib.sha256(encode_name(names)).hexdigest()[:16]
        plans.append(ShardPlan(f"{number:06d}-{digest}", {song: files[song] for song in songs}))
    return plans


def find_intact_shards(
    plans: Sequence[ShardPlan], store: Store, executor: Executor
) -> dict[str, Shard]:
    """Return the planned shards that exist with the right checksum and need no other attempt.

    Returns
    -------
    shards by name.

    Raises
    ------
    PocketGenreError
        if the executor cannot run jobs.
    """
    existing = store.names(SHARDS)
    shards = [read_shard(plan.name, store) for plan in plans if f"{plan.name}.json" in existing]
    jobs = [_CheckJob(shard) for shard in shards if shard and shard.is_final]
    with closing(executor.map(jobs, _CheckSetup(store), lambda: False)) as results:
        return {job.shard.name: job.shard for job, fault in results if fault is None}


def write_shards(
    plans: Sequence[ShardPlan],
    store: Store,
    feature_config: FeatureConfig,
    executor: Executor,
    on_song: Callable[[PreparedSong], None],
) -> Iterator[Shard]:
    """Compute songs and write them as shards, a few thousand songs at a time.

    Parameters
    ----------
    plans : shards to write
    store : store for feature files and shards
    feature_config : parameters of the features
    executor : executor that computes features and writes shards
    on_song : function called after each song

    Yields
    ------
    Shard
        in order of completion.

    Raises
    ------
    DataError
        if a feature file or a shard cannot be written.
    PocketGenreError
        if the executor cannot run jobs.
    """
    songs_per_shard = max((len(plan.files) for plan in plans), default=1)
    for chunk in _chunks(plans, max(1, _MAX_FEATURE_FILES // songs_per_shard)):
        files = {song: file for plan in chunk for song, file in plan.files.items()}
        prepared: dict[LabelledSong, PreparedSong] = {}
        for item in prepare_songs(files, store, feature_config, executor):
            prepared[item.song] = item
            on_song(item)
        jobs = [_JoinJob(plan.name, tuple(prepared[song] for song in plan.files)) for plan in chunk]
        setup = _JoinSetup(store, feature_config)
        with closing(executor.map(jobs, setup, lambda: False)) as results:
            for job, result in results:
                if not isinstance(result, Shard):
                    raise DataError(
                        f"{store.location / SHARDS / job.name} cannot be written: {result.reason}."
                    )
                store.remove(item.file for item in job.songs if item.file)
                yield result


def shard_fingerprints(
    shards: Sequence[Shard], store: Store, feature_config: FeatureConfig, executor: Executor
) -> dict[str, Fingerprint]:
    """Compute the fingerprint of each song of shards, by name.

    Raises
    ------
    PocketGenreError
        if a shard cannot be read, or the executor cannot run jobs.
    """
    jobs = [_FingerprintJob(shard) for shard in shards if shard.songs]
    setup = _FingerprintSetup(store, feature_config)
    found: dict[str, Fingerprint] = {}
    with closing(executor.map(jobs, setup, lambda: False)) as results:
        for job, result in results:
            if isinstance(result, JobFailure):
                raise DataError(
                    f"{store.location / job.shard.file} cannot be read: {result.reason}."
                )
            found.update(zip(job.shard.songs, result, strict=True))
    return found


def remove_other_shards(store: Store, kept: Collection[Shard]) -> None:
    """Remove the shards that a data set does not use, and the manifest if it has no shards.

    Parameters
    ----------
    store : store of the data set
    kept : shards of the data set
    """
    names = {shard.name for shard in kept}
    for name in store.names(SHARDS):
        found = _FILE_NAME.fullmatch(name)
        if found and found[1] not in names:
            store.remove([f"{SHARDS}/{name}"])
    if not names:
        store.remove([MANIFEST])


def _chunks(items: Sequence[Item], size: int) -> Iterator[list[Item]]:
    remaining = iter(items)
    while chunk := list(islice(remaining, size)):
        yield chunk


@dataclass(frozen=True)
class _CheckJob:
    shard: Shard
    timeout: float = _TIMEOUT


@dataclass(frozen=True)
class _CheckSetup:
    """Set up a worker that compares shards with their checksums."""

    store: Store

    def __call__(self) -> Callable[[_CheckJob], str | None]:
        return lambda job: find_fault(job.shard, self.store)


def _failure(error: OSError | ValueError) -> JobFailure:
    return JobFailure(getattr(error, "strerror", None) or str(error))


@dataclass(frozen=True)
class _FingerprintJob:
    shard: Shard
    timeout: float = _TIMEOUT


@dataclass(frozen=True)
class _FingerprintSetup:
    """Set up a worker that computes the fingerprints of a shard's songs."""

    store: Store
    feature_config: FeatureConfig

    def __call__(self) -> Callable[[_FingerprintJob], list[Fingerprint] | JobFailure]:
        def run(job: _FingerprintJob) -> list[Fingerprint] | JobFailure:
            try:
                return list(_fingerprints(job.shard, self.store, self.feature_config))
            except (OSError, ValueError) as error:
                return _failure(error)

        return run


def _fingerprints(
    shard: Shard, store: Store, feature_config: FeatureConfig
) -> Iterator[Fingerprint]:
    """Read a shard song by song, so that memory does not grow with the shard."""
    values = int(np.prod(feature_config.shape))
    with store.open(shard.file) as file:
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        for count in shard.counts:
            features = np.frombuffer(file.read(4 * values * count), "<f4")
            yield fingerprint(features.reshape(count, *feature_config.shape), feature_config)


@dataclass(frozen=True)
class _JoinJob:
    name: str
    songs: tuple[PreparedSong, ...]
    timeout: float = _TIMEOUT


@dataclass(frozen=True)
class _JoinSetup:
    """Set up a worker that joins feature files to shards."""

    store: Store
    feature_config: FeatureConfig

    def __call__(self) -> Callable[[_JoinJob], Shard | JobFailure]:
        def run(job: _JoinJob) -> Shard | JobFailure:
            try:
                return _join(job, self.store, self.feature_config)
            except (OSError, ValueError) as error:
                return _failure(error)

        return run


def _join(job: _JoinJob, store: Store, feature_config: FeatureConfig) -> Shard:
    left_out = tuple(
        LeftOutSong(item.song.name, item.error or "", item.is_transient)
        for item in job.songs
        if item.file is None
    )
    names = {item.song.name: item.file for item in job.songs if item.file}
    shard = Shard(job.name, tuple(names), (), (), left_out, 0, "")
    if names:
        with ExitStack() as opened:
            files = [opened.enter_context(store.open(name)) for name in names.values()]
            counts = tuple(_read_segment_count(file, feature_config) for file in files)
            out = HashingWriter(opened.enter_context(store.create(shard.file)))
            shape = (sum(counts), *feature_config.shape)
            header: Any = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(out, header)
            digests = tuple(out.copy(file) for file in files)
        shard = replace(
            shard, counts=counts, digests=digests, size=out.size, sha256=out.sha256.hexdigest()
        )
    with store.create(shard.description_file) as file:
        file.write(json.dumps(shard.to_dict()).encode())
    return shard


def _read_segment_count(file: BinaryIO, feature_config: FeatureConfig) -> int:
    """Read a feature file's header, and leave the file at its first segment."""
    np.lib.format.read_magic(file)
    (count, *shape), fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
    if tuple(shape) != feature_config.shape or fortran_order or dtype != np.dtype("<f4"):
        raise ValueError(f"a feature file is damaged; remove the folder {FEATURE_FILES}")
    return int(count)
