"""A prepared data set on disk.

::

    DATASET/
        dataset.json    front end, labels, where the audio is; written last
        songs.csv       one row a song, in the order of its segments
        features.npy    float32 (segments of all songs, frames, coefficients)
        parts/          one file a song, while it is being prepared
"""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobile_demo.errors import ModelError
from mobile_demo.files import write_atomically
from mobile_demo.frontend import FrontEnd
from training.songs import DataError, LabelledSong

DATASET_FORMAT = 1
_COLUMNS = ["name", "path", "genre", "artist", "group", "segments"]


@dataclass(frozen=True)
class Dataset:
    """The songs of a data set and their features.

    Attributes
    ----------
    folder : where it stands
    audio : folder that the songs' paths are relative to
    front_end : what the features were computed with
    songs : in order
    segment_counts : int [shape=(songs,)], segments of each song
    """

    folder: Path
    audio: Path
    front_end: FrontEnd
    songs: tuple[LabelledSong, ...]
    segment_counts: NDArray[np.int64]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The genres, sorted: the order of the network's outputs."""
        return tuple(sorted({song.genre for song in self.songs}))

    @cached_property
    def song_targets(self) -> NDArray[np.int64]:
        """Index of each song's genre in :attr:`labels`, int64 [shape=(songs,)]."""
        position = {label: i for i, label in enumerate(self.labels)}
        return np.array([position[song.genre] for song in self.songs])

    @cached_property
    def song_groups(self) -> NDArray[np.int64]:
        """Group of each song, int64 [shape=(songs,)]."""
        return np.array([song.group for song in self.songs])

    @cached_property
    def segment_songs(self) -> NDArray[np.int64]:
        """Position of the song that each segment is from, int64 [shape=(segments,)]."""
        return np.repeat(np.arange(len(self.songs)), self.segment_counts)

    @cached_property
    def segment_targets(self) -> NDArray[np.int64]:
        """Index of each segment's genre, int64 [shape=(segments,)]."""
        return self.song_targets[self.segment_songs]

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """All segments, float32 [shape=(segments, frames, coefficients)], mapped from disk."""
        array: NDArray[np.float32] = np.load(self.folder / "features.npy", mmap_mode="r")
        expected = (int(self.segment_counts.sum()), *self.front_end.shape)
        if array.shape != expected or array.dtype != np.float32:
            raise DataError(
                f"{self.folder}/features.npy holds {array.dtype} {array.shape}, but songs.csv and"
                f" dataset.json say float32 {expected}; prepare the data set again."
            )
        return array

    @property
    def index_file(self) -> Path:
        """The list of songs."""
        return self.folder / "songs.csv"

    def check_finite(self) -> None:
        """Look for features that are not numbers, a block at a time.

        Raises
        ------
        DataError
            names the first song that has some.
        """
        for start in range(0, len(self.features), 4096):
            block = self.features[start : start + 4096]
            broken = np.flatnonzero(~np.isfinite(block).all(axis=(1, 2)))
            if len(broken):
                song = self.songs[self.segment_songs[start + broken[0]]]
                raise DataError(
                    f"The features of {song.name} are not all numbers; prepare it again."
                )


def load_dataset(folder: Path) -> Dataset:
    """Open a data set that ``prepare-dataset`` has finished.

    Raises
    ------
    DataError
        it is not one, or is damaged.
    """
    try:
        head = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        if head["format"] != DATASET_FORMAT:
            raise DataError(f"{folder} has format {head['format']}, not {DATASET_FORMAT}.")
        with open(
            folder / "songs.csv", encoding="utf-8", errors="surrogateescape", newline=""
        ) as file:
            rows = list(csv.DictReader(file))
        songs = tuple(
            LabelledSong(r["name"], Path(r["path"]), r["genre"], r["artist"], int(r["group"]))
            for r in rows
        )
        counts = np.array([int(r["segments"]) for r in rows], dtype=np.int64)
        front_end = FrontEnd.from_dict(head["front_end"])
        audio = Path(head["audio"])
    except FileNotFoundError as error:
        raise DataError(
            f"{folder} is not a finished data set (there is no {Path(error.filename).name});"
            " prepare-dataset makes one."
        ) from error
    except (OSError, ValueError, KeyError, TypeError, ModelError) as error:
        raise DataError(f"The data set {folder} is damaged: {error}; prepare it again.") from error
    if len({song.genre for song in songs}) < 2:
        raise DataError(f"The data set {folder} holds fewer than two genres.")
    return Dataset(folder, audio, front_end, songs, counts)


def save_dataset(
    folder: Path,
    audio: Path,
    front_end: FrontEnd,
    songs: Sequence[LabelledSong],
    parts: Sequence[Path],
) -> Dataset:
    """Join the songs' features to a data set.

    Its head is written last, so that it doesn't look whole before it is.

    Parameters
    ----------
    folder : where the data set goes
    audio : folder that the songs' paths are relative to
    front_end : what the features were computed with
    songs : the songs
    parts : a ``.npy`` file of each song's features, in the same order
    """
    (folder / "dataset.json").unlink(missing_ok=True)
    counts = [len(np.load(part, mmap_mode="r")) for part in parts]
    temporary = folder / "features.part"
    joined = np.lib.format.open_memmap(
        temporary, mode="w+", dtype=np.float32, shape=(sum(counts), *front_end.shape)
    )
    start = 0
    for part, count in zip(parts, counts, strict=True):
        joined[start : start + count] = np.load(part)
        start += count
    joined.flush()
    del joined
    temporary.replace(folder / "features.npy")

    with open(
        folder / "songs.part", "w", encoding="utf-8", errors="surrogateescape", newline=""
    ) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for song, count in zip(songs, counts, strict=True):
            row = [song.name, song.path.as_posix(), song.genre, song.artist, song.group, count]
            writer.writerow(row)
    (folder / "songs.part").replace(folder / "songs.csv")
    head = {
        "format": DATASET_FORMAT,
        "audio": str(audio.resolve()),
        "front_end": front_end.to_dict(),
        "labels": sorted({song.genre for song in songs}),
        "songs": len(songs),
        "segments": sum(counts),
    }
    write_atomically(folder / "dataset.json", (json.dumps(head, indent=2) + "\n").encode())
    return load_dataset(folder)
