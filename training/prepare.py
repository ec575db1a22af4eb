"""Compute the features of many songs in parallel; what is done stays done."""

import hashlib
import io
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from mobile_demo.errors import AudioError
from mobile_demo.files import write_atomically
from mobile_demo.frontend import FrontEnd
from training.songs import DataError, LabelledSong

Wanted = Literal["segments", "spectra"]
"""What is computed of a song: the features of its segments, or its whole mel spectrum."""

_PART_NAME = re.compile(r"[0-9a-f]{64}\.npy")


@dataclass(frozen=True)
class PreparedSong:
    """A song and the file of its features, or the reason why there is none."""

    song: LabelledSong
    part: Path | None = None
    error: str | None = None


def prepare_songs(
    songs: Sequence[LabelledSong],
    audio: Path,
    parts: Path,
    front_end: FrontEnd,
    workers: int,
    wanted: Wanted = "segments",
) -> Iterator[PreparedSong]:
    """Write a ``.npy`` file for each song into ``parts``, skipping those that are there.

    A part's name is made of the file's path, size and time, of the front end and of what is
    computed, so that a changed file is done again.

    Yields
    ------
    PreparedSong
        in order of completion.

    Raises
    ------
    DataError
        a worker process died.
    """
    todo: dict[Path, LabelledSong] = {}
    for song in songs:
        try:
            part = parts / _part_name(audio / song.path, front_end, wanted)
        except OSError as error:
            yield PreparedSong(song, error=f"cannot be read: {error.strerror}")
            continue
        if part.exists():
            yield PreparedSong(song, part)
        else:
            todo[part] = song
    if not todo:
        return
    with ProcessPoolExecutor(workers) as pool:
        futures = {
            pool.submit(_prepare_song, audio / song.path, part, front_end, wanted): (song, part)
            for part, song in todo.items()
        }
        for future in as_completed(futures):
            song, part = futures[future]
            try:
                future.result()
                yield PreparedSong(song, part)
            except AudioError as error:
                yield PreparedSong(song, error=str(error))
            except OSError as error:
                pool.shutdown(cancel_futures=True)
                raise DataError(f"{part} cannot be written: {error.strerror}.") from error
            except BrokenProcessPool as error:
                raise DataError(
                    f"A worker process died, perhaps at {song.path}; the same command goes on."
                ) from error


def duplicates_by_content(prepared: Sequence[PreparedSong]) -> list[tuple[str, str]]:
    """Pairs of songs whose features are the same to the byte."""
    seen: dict[bytes, str] = {}
    pairs = []
    for item in prepared:
        if item.part:
            digest = hashlib.sha256(item.part.read_bytes()).digest()
            first = seen.setdefault(digest, item.song.name)
            if first != item.song.name:
                pairs.append((first, item.song.name))
    return pairs


def clear_parts(parts: Path) -> None:
    """Remove the parts, and their folder unless something else stands in it."""
    for part in parts.iterdir():
        if _PART_NAME.fullmatch(part.name):
            part.unlink()
    if not any(parts.iterdir()):
        parts.rmdir()


def _part_name(path: Path, front_end: FrontEnd, wanted: Wanted) -> str:
    status = path.stat()
    identity = (os.fspath(path), status.st_size, status.st_mtime_ns, front_end, wanted)
    return hashlib.sha256(repr(identity).encode("utf-8", "surrogateescape")).hexdigest() + ".npy"


def _prepare_song(path: Path, part: Path, front_end: FrontEnd, wanted: Wanted) -> None:
    from training.features import song_features, song_spectra  # librosa, in the workers alone

    compute = song_features if wanted == "segments" else song_spectra
    buffer = io.BytesIO()
    np.save(buffer, compute(path, front_end))
    write_atomically(part, buffer.getvalue())
