"""Make the shards of a data set, wherever its songs and files are; what is done stays done."""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from pocketgenre.features.config import FeatureConfig
from pocketgenre.jobs.executors import Executor
from pocketgenre.jobs.pool import JobFailure
from pocketgenre.library.discovery import SongFile
from pocketgenre.training.data.feature_files import PreparedSong, part_name, prepare_songs
from pocketgenre.training.data.shard_format import (
    MANIFEST,
    SHARDS,
    Hashing,
    LeftOut,
    Shard,
    find_fault,
    read_entry,
)
from pocketgenre.training.data.songs import DataError, LabelledSong
from pocketgenre.training.data.storage import Store

_SONGS_AT_ONCE = 4096
"""Of so many songs there are parts at once, before they are joined."""

_SECONDS = 600.0  # to write or to read a shard

_NAME = re.compile(r"(\d{6}-[0-9a-f]{16})\.(?:npy|json)")

Item = TypeVar("Item")


@dataclass(frozen=True)
class Plan:
    """What is to become a shard."""

    name: str
    files: Mapping[LabelledSong, SongFile]


def plan_shards(
    files: Mapping[LabelledSong, SongFile], feature_config: FeatureConfig, songs_each: int
) -> list[Plan]:
    """Divide songs into shards by a hash of their names, so that each is a fair sample of all.

    A shard's name is made of what its songs' parts are named by, so that it is made anew if the
    file of one has changed.
    """
    plans = []
    in_order = sorted(files, key=lambda song: hashlib.sha256(_bytes(song.name)).digest())
    for number, songs in enumerate(_chunks(in_order, songs_each)):
        parts = "".join(part_name(files[song], feature_config) for song in songs)
        digest = hashlib.sha256(_bytes(parts)).hexdigest()[:16]
        plans.append(Plan(f"{number:06d}-{digest}", {song: files[song] for song in songs}))
    return plans


def sound_shards(plans: Sequence[Plan], store: Store, engine: Executor) -> dict[str, Shard]:
    """The shards that are there already, whole, and as they were written, by name.

    Raises
    ------
    PocketGenreError
        the engine can't do its work.
    """
    there = store.names(SHARDS)
    entries = [read_entry(plan.name, store) for plan in plans if f"{plan.name}.json" in there]
    jobs = [_Check(shard) for shard in entries if shard and shard.is_final]
    with closing(engine.answer(jobs, _Checking(store), lambda: False)) as answers:
        return {job.shard.name: job.shard for job, fault in answers if fault is None}


def make_shards(
    plans: Sequence[Plan],
    store: Store,
    feature_config: FeatureConfig,
    engine: Executor,
    on_song: Callable[[PreparedSong], None],
) -> Iterator[Shard]:
    """Compute songs and write them as shards, some thousand songs at a time.

    Parameters
    ----------
    plans : of the shards that aren't there
    store : for parts and shards
    feature_config : of the features
    engine : that does both
    on_song : called after each song

    Raises
    ------
    DataError
        a part or a shard can't be written.
    PocketGenreError
        the engine can't do its work.
    """
    songs_each = max((len(plan.files) for plan in plans), default=1)
    for some in _chunks(plans, max(1, _SONGS_AT_ONCE // songs_each)):
        files = {song: file for plan in some for song, file in plan.files.items()}
        prepared: dict[LabelledSong, PreparedSong] = {}
        for item in prepare_songs(files, store, feature_config, engine):
            prepared[item.song] = item
            on_song(item)
        jobs = [_Join(plan.name, tuple(prepared[song] for song in plan.files)) for plan in some]
        with closing(
            engine.answer(jobs, _Joining(store, feature_config), lambda: False)
        ) as answers:
            for job, answer in answers:
                if not isinstance(answer, Shard):
                    raise DataError(
                        f"{store.place / SHARDS / job.name} cannot be written: {answer.reason}."
                    )
                store.remove(item.part for item in job.songs if item.part)
                yield answer


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def clear_shards(store: Store, kept: Collection[Shard]) -> None:
    """Remove the shards that a data set doesn't need, and the manifest if it needs none.

    Parameters
    ----------
    store : of the data set
    kept : its shards
    """
    names = {shard.name for shard in kept}
    for name in store.names(SHARDS):
        found = _NAME.fullmatch(name)
        if found and found[1] not in names:
            store.remove([f"{SHARDS}/{name}"])
    if not names:
        store.remove([MANIFEST])


def _chunks(items: Sequence[Item], size: int) -> Iterator[list[Item]]:
    waiting = iter(items)
    while some := list(islice(waiting, size)):
        yield some


@dataclass(frozen=True)
class _Check:
    shard: Shard
    seconds: float = _SECONDS


@dataclass(frozen=True)
class _Checking:
    """Sets up a process that reads shards and says what is wrong with them."""

    store: Store

    def __call__(self) -> Callable[[_Check], str | None]:
        return lambda job: find_fault(job.shard, self.store)


@dataclass(frozen=True)
class _Join:
    name: str
    songs: tuple[PreparedSong, ...]
    seconds: float = _SECONDS


@dataclass(frozen=True)
class _Joining:
    """Sets up a process that writes shards."""

    store: Store
    feature_config: FeatureConfig

    def __call__(self) -> Callable[[_Join], Shard | JobFailure]:
        def answer(job: _Join) -> Shard | JobFailure:
            try:
                return _join(job, self.store, self.feature_config)
            except (OSError, ValueError) as error:
                return JobFailure(getattr(error, "strerror", None) or str(error))

        return answer


def _join(job: _Join, store: Store, feature_config: FeatureConfig) -> Shard:
    left_out = tuple(
        LeftOut(item.song.name, item.error or "", item.passing)
        for item in job.songs
        if item.part is None
    )
    parts = {item.song.name: item.part for item in job.songs if item.part}
    shard = Shard(job.name, tuple(parts), (), (), left_out, 0, "")
    if parts:
        with ExitStack() as opened:
            files = [opened.enter_context(store.open(part)) for part in parts.values()]
            counts = tuple(_count(file, feature_config) for file in files)
            out = Hashing(opened.enter_context(store.create(shard.file)))
            shape = (sum(counts), *feature_config.shape)
            header: Any = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(out, header)
            digests = tuple(out.copy(file) for file in files)
        shard = replace(
            shard, counts=counts, digests=digests, size=out.size, sha256=out.sha256.hexdigest()
        )
    with store.create(shard.entry) as file:
        file.write(json.dumps(shard.to_dict()).encode())
    return shard


def _count(part: Any, feature_config: FeatureConfig) -> int:
    """Segments of a part, which is left where they begin."""
    np.lib.format.read_magic(part)
    (count, *shape), in_columns, dtype = np.lib.format.read_array_header_1_0(part)
    if tuple(shape) != feature_config.shape or in_columns or dtype != np.dtype("<f4"):
        raise ValueError("a part is damaged; remove the folder parts")
    return int(count)
