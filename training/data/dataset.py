"""Read and write a prepared data set.

::

    DATASET/
        dataset.json    feature configuration, labels, audio folder; written last
        songs.csv       one row for each song, in the order of the segments
        features.npy    float32 (segments of all songs, frames, coefficients)
        parts/          one file for each song, during preparation only

Large data sets have shards and a manifest in place of ``features.npy``, see
:mod:`pocketgenre.training.data.shard_format`.
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
from pocketgenre.training.data.labelled_songs import LabelledSong
from pocketgenre.training.data.shard_format import MANIFEST, Shard, find_fault, read_manifest
from pocketgenre.training.data.sharded_array import ShardedFeatures
from pocketgenre.training.data.storage import FolderStore, Store, sha256_of
from pocketgenre.training.errors import DataError

DATASET_FORMAT = 1
DATASET_FILE = "dataset.json"
INDEX_FILE = "songs.csv"
FEATURES_FILE = "features.npy"
SPECTRA_ARRAY = "spectra.npy"
MFCC_SONGS_FILE = "mfcc_songs.npz"
_HASHED_FILES = (INDEX_FILE, FEATURES_FILE, MANIFEST, SPECTRA_ARRAY, MFCC_SONGS_FILE)
_COLUMNS = ["name", "path", "genre", "artist", "group", "segments"]
_BLOCK = 4096  # segments checked at a time


@dataclass(frozen=True, eq=False)
class Dataset:
    """The songs of a data set and their features.

    Attributes
    ----------
    folder : folder of the data set
    audio : folder that the songs' paths are relative to
    feature_config : parameters that the features were computed with
    songs : songs in the order of their segments
    segment_counts : int64 [shape=(songs,)], number of segments of each song
    shards : shards with the features; empty if the features are in one file
    more_labels : labels that none of the songs has, which come after the genres
    """

    folder: Path
    audio: Path
    feature_config: FeatureConfig
    songs: tuple[LabelledSong, ...]
    segment_counts: NDArray[np.int64]
    shards: tuple[Shard, ...] = ()
    more_labels: tuple[str, ...] = ()

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Sorted genres and :attr:`more_labels`, which is the order of the network's outputs."""
        return (*sorted({song.genre for song in self.songs}), *self.more_labels)

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
        """Position of each segment's song, int64 [shape=(segments,)]."""
        return np.repeat(np.arange(len(self.songs)), self.segment_counts)

    @cached_property
    def segment_targets(self) -> NDArray[np.int64]:
        """Index of each segment's genre in :attr:`labels`, int64 [shape=(segments,)]."""
        return self.song_targets[self.segment_songs]

    @cached_property
    def features(self) -> NDArray[np.float32] | ShardedFeatures:
        """All segments, float32 [shape=(segments, frames, coefficients)], memory-mapped.

        Raises
        ------
        DataError
            if the file is damaged, or its shape does not match the songs.
        """
        if self.shards:
            return ShardedFeatures(self.folder, self.shards, self.feature_config)
        path = self.folder / FEATURES_FILE
        try:
            array: NDArray[np.float32] = np.lib.format.open_memmap(path, mode="r")
        except (OSError, ValueError, TypeError, OverflowError, TokenError) as error:
            raise DataError(
                f"{path} cannot be read: {error}; prepare the data set again."
            ) from error
        expected = (int(self.segment_counts.sum()), *self.feature_config.shape)
        if array.shape != expected or array.dtype != np.float32:
            raise DataError(
                f"{path} contains {array.dtype} {array.shape}, but {INDEX_FILE} and {DATASET_FILE}"
                f" require float32 {expected}; prepare the data set again."
            )
        return array

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all training data, independent of the folder, in hexadecimal.

        For shards, the manifest with their checksums is hashed; :meth:`check` compares the
        shards with it.
        """
        digest = hashlib.sha256()
        for name in _HASHED_FILES:
            if (self.folder / name).exists():
                with open(self.folder / name, "rb") as file:
                    digest.update(f"{name} {sha256_of(file)}\n".encode())
        return digest.hexdigest()

    @property
    def index_file(self) -> Path:
        """File with the list of songs."""
        return self.folder / INDEX_FILE

    def check(self) -> None:
        """Read all features to find damaged shards and non-finite values.

        Raises
        ------
        DataError
            if a shard or a song's features are damaged; the message names the first one.
        """
        for shard in self.shards:  # their values were checked before the checksum was computed
            if fault := find_fault(shard, FolderStore(self.folder)):
                raise DataError(
                    f"{self.folder / shard.file} is damaged: {fault}; run the same"
                    " prepare-dataset command again to replace it."
                )
        if self.shards:
            return
        for start in range(0, len(self.features), _BLOCK):
            block = self.features[start : start + _BLOCK]
            broken = np.flatnonzero(~np.isfinite(block).all(axis=(1, 2)))
            if len(broken):
                song = self.songs[self.segment_songs[start + broken[0]]]
                raise DataError(
                    f"The features of {song.name} contain non-finite values; prepare the data set"
                    " again."
                )


def load_dataset(folder: Path) -> Dataset:
    """Open a data set that ``prepare-dataset`` has finished.

    Raises
    ------
    DataError
        if the folder is not a data set, or the data set is damaged.
    """
    if is_address(folder):
        raise DataError(f"{folder} is an address; mount it as a folder, or copy it to one.")
    try:
        head = json.loads((folder / DATASET_FILE).read_text(encoding="utf-8"))
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
        shards = read_manifest(FolderStore(folder)) if head.get("shards") else ()
    except FileNotFoundError as error:
        raise DataError(
            f"{folder} is not a finished data set: {Path(error.filename).name} is missing; create"
            " it with prepare-dataset."
        ) from error
    except (OSError, ValueError, KeyError, TypeError, ModelError) as error:
        raise DataError(f"The data set {folder} is damaged: {error}; prepare it again.") from error
    if len({song.genre for song in songs}) < 2:
        raise DataError(f"The data set {folder} contains fewer than two genres.")
    if shards and sum(shard.segments for shard in shards) != counts.sum():
        raise DataError(
            f"The shards of {folder} do not match its list of songs; prepare the data set again."
        )
    return Dataset(folder, audio, feature_config, songs, counts, shards)


def save_dataset(
    folder: Path,
    audio: Path,
    feature_config: FeatureConfig,
    songs: Sequence[LabelledSong],
    feature_files: Sequence[Path],
    write_extras: Callable[[Dataset], None] = lambda _: None,
) -> Dataset:
    """Concatenate the songs' features to a data set.

    ``dataset.json`` is written last, so that an unfinished data set is not taken for a finished
    one.

    Parameters
    ----------
    folder : folder of the data set
    audio : folder that the songs' paths are relative to
    feature_config : parameters that the features were computed with
    songs : songs of the data set
    feature_files : ``.npy`` file of each song's features, in the same order
    write_extras : function that writes further files of the data set before ``dataset.json``

    Returns
    -------
    the finished data set.
    """
    store = FolderStore(folder)
    store.remove([DATASET_FILE])
    counts = [len(np.load(file, mmap_mode="r")) for file in feature_files]
    temporary = folder / "features.part"
    features = np.lib.format.open_memmap(
        temporary, mode="w+", dtype=np.float32, shape=(sum(counts), *feature_config.shape)
    )
    start = 0
    for file, count in zip(feature_files, counts, strict=True):
        features[start : start + count] = np.load(file)
        start += count
    features.flush()
    del features
    temporary.replace(folder / FEATURES_FILE)
    write_extras(Dataset(folder, audio, feature_config, tuple(songs), np.array(counts, np.int64)))
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
    """Write ``songs.csv`` and ``dataset.json`` after the features have been written.

    Parameters
    ----------
    store : store of the data set
    audio : folder or address that the songs' paths are relative to
    feature_config : parameters that the features were computed with
    songs : songs in the order of their segments
    counts : number of segments of each song
    shards : number of shards; 0 if the features are in one file

    Raises
    ------
    OSError
        if a file cannot be written.
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
    with store.create(DATASET_FILE) as file:
        file.write((json.dumps(head, indent=2) + "\n").encode())
