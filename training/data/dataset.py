"""A prepared data set on disk.

::

    DATASET/
        dataset.json    front end, labels, where the audio is; written last
        songs.csv       one row a song, in the order of its segments
        features.npy    float32 (segments of all songs, frames, coefficients)
        parts/          one file a song, while it is being prepared

or, in place of ``features.npy``, shards and a manifest, see :mod:`pocketgenre.training.data.shard_format`.
"""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tokenize import TokenError

import numpy as np
from numpy.typing import NDArray

from pocketgenre.errors import ModelError
from pocketgenre.features.config import FeatureConfig
from pocketgenre.library.discovery import is_address
from pocketgenre.training.data.shard_format import MANIFEST, Shard, find_fault, read_manifest
from pocketgenre.training.data.sharded_array import ShardedFeatures
from pocketgenre.training.data.songs import DataError, LabelledSong
from pocketgenre.training.data.storage import Folder, Store, sha256_of

DATASET_FORMAT = 1
HEAD = "dataset.json"
INDEX_FILE = "songs.csv"
FEATURES_FILE = "features.npy"
SPECTRA_ARRAY = "spectra.npy"
MFCC_SONGS_FILE = "mfcc_songs.npz"
_LEARNED_FROM = (INDEX_FILE, FEATURES_FILE, MANIFEST, SPECTRA_ARRAY, MFCC_SONGS_FILE)
_COLUMNS = ["name", "path", "genre", "artist", "group", "segments"]


@dataclass(frozen=True)
class Dataset:
    """The songs of a data set and their features.

    Attributes
    ----------
    folder : where it stands
    audio : folder that the songs' paths are relative to
    feature_config : what the features were computed with
    songs : in order
    segment_counts : int [shape=(songs,)], segments of each song
    shards : that the features are in; none where they are in one file
    """

    folder: Path
    audio: Path
    feature_config: FeatureConfig
    songs: tuple[LabelledSong, ...]
    segment_counts: NDArray[np.int64]
    shards: tuple[Shard, ...] = ()

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
    def features(self) -> NDArray[np.float32] | ShardedFeatures:
        """All segments, float32 [shape=(segments, frames, coefficients)], mapped from disk.

        Raises
        ------
        DataError
            they are damaged, or not as many as the songs have.
        """
        if self.shards:
            return ShardedFeatures(self.folder, self.shards, self.feature_config)
        try:
            array: NDArray[np.float32] = np.lib.format.open_memmap(
                self.folder / FEATURES_FILE, mode="r"
            )
        except (OSError, ValueError, TypeError, OverflowError, TokenError) as error:
            raise DataError(
                f"{self.folder}/features.npy cannot be read: {error}; prepare the data set again."
            ) from error
        expected = (int(self.segment_counts.sum()), *self.feature_config.shape)
        if array.shape != expected or array.dtype != np.float32:
            raise DataError(
                f"{self.folder}/features.npy holds {array.dtype} {array.shape}, but songs.csv and"
                f" dataset.json say float32 {expected}; prepare the data set again."
            )
        return array

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that can be learned from it, wherever that is, in hexadecimal.

        Of shards the manifest stands for their content, which :meth:`check` compares with it.
        """
        whole = hashlib.sha256()
        for name in _LEARNED_FROM:
            if (self.folder / name).exists():
                with open(self.folder / name, "rb") as file:
                    whole.update(f"{name} {sha256_of(file)}\n".encode())
        return whole.hexdigest()

    @property
    def index_file(self) -> Path:
        """The list of songs."""
        return self.folder / INDEX_FILE

    def check(self) -> None:
        """Read all features, and look for what is not as it was written, or not a number.

        Raises
        ------
        DataError
            names the first shard or song that is damaged.
        """
        for shard in self.shards:  # they were looked through before they got their checksum
            if fault := find_fault(shard, Folder(self.folder)):
                raise DataError(
                    f"{self.folder / shard.file} is damaged: {fault}; the same prepare-dataset"
                    " makes it anew."
                )
        if self.shards:
            return
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
    if is_address(folder):
        raise DataError(f"{folder} is an address; mount it as a folder, or copy it to one.")
    try:
        head = json.loads((folder / HEAD).read_text(encoding="utf-8"))
        if head["format"] != DATASET_FORMAT:
            raise DataError(f"{folder} has format {head['format']}, not {DATASET_FORMAT}.")
        with open(
            folder / INDEX_FILE, encoding="utf-8", errors="surrogateescape", newline=""
        ) as file:
            rows = list(csv.DictReader(file))
        songs = tuple(
            LabelledSong(r["name"], Path(r["path"]), r["genre"], r["artist"], int(r["group"]))
            for r in rows
        )
        counts = np.array([int(r["segments"]) for r in rows], dtype=np.int64)
        feature_config = FeatureConfig.from_dict(head["front_end"])
        audio = Path(head["audio"])
        shards = read_manifest(Folder(folder)) if head.get("shards") else ()
    except FileNotFoundError as error:
        raise DataError(
            f"{folder} is not a finished data set (there is no {Path(error.filename).name});"
            " prepare-dataset makes one."
        ) from error
    except (OSError, ValueError, KeyError, TypeError, ModelError) as error:
        raise DataError(f"The data set {folder} is damaged: {error}; prepare it again.") from error
    if len({song.genre for song in songs}) < 2:
        raise DataError(f"The data set {folder} holds fewer than two genres.")
    if shards and sum(shard.segments for shard in shards) != counts.sum():
        raise DataError(f"The shards of {folder} are not those of its songs; prepare it again.")
    return Dataset(folder, audio, feature_config, songs, counts, shards)


def save_dataset(
    folder: Path,
    audio: Path,
    feature_config: FeatureConfig,
    songs: Sequence[LabelledSong],
    parts: Sequence[Path],
    write_beside: Callable[[Dataset], None] = lambda _: None,
) -> Dataset:
    """Join the songs' features to a data set.

    Its head is written last, so that it doesn't look whole before it is.

    Parameters
    ----------
    folder : where the data set goes
    audio : folder that the songs' paths are relative to
    feature_config : what the features were computed with
    songs : the songs
    parts : a ``.npy`` file of each song's features, in the same order
    write_beside : writes what belongs to the data set besides, before the head
    """
    store = Folder(folder)
    store.remove([HEAD])
    counts = [len(np.load(part, mmap_mode="r")) for part in parts]
    temporary = folder / "features.part"
    joined = np.lib.format.open_memmap(
        temporary, mode="w+", dtype=np.float32, shape=(sum(counts), *feature_config.shape)
    )
    start = 0
    for part, count in zip(parts, counts, strict=True):
        joined[start : start + count] = np.load(part)
        start += count
    joined.flush()
    del joined
    temporary.replace(folder / FEATURES_FILE)
    write_beside(Dataset(folder, audio, feature_config, tuple(songs), np.array(counts, np.int64)))
    save_index(store, audio, feature_config, songs, counts)
    return load_dataset(folder)


def save_index(
    store: Store,
    audio: Path,
    feature_config: FeatureConfig,
    songs: Sequence[LabelledSong],
    counts: Sequence[int],
    shards: int = 0,
) -> None:
    """Write the list of songs and the head, for features that are there.

    Parameters
    ----------
    store : of the data set
    audio : folder or address that the songs' paths are relative to
    feature_config : what the features were computed with
    songs : in the order of their segments
    counts : segments of each
    shards : that they are in; 0 for one file

    Raises
    ------
    OSError
        something can't be written.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for song, count in zip(songs, counts, strict=True):
        row = [song.name, song.path.as_posix(), song.genre, song.artist, song.group, count]
        writer.writerow(row)
    with store.create(INDEX_FILE) as file:
        file.write(text.getvalue().encode("utf-8", "surrogateescape"))
    head = {
        "format": DATASET_FORMAT,
        "audio": str(audio if is_address(audio) else audio.resolve()),
        "front_end": feature_config.to_dict(),
        "labels": sorted({song.genre for song in songs}),
        "songs": len(songs),
        "segments": sum(counts),
    }
    if shards:
        head["shards"] = shards
    with store.create(HEAD) as file:
        file.write((json.dumps(head, indent=2) + "\n").encode())
