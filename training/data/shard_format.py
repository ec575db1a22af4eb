"""Read and write shards: feature files of several songs each, for many workers and hosts.

::

    DATASET/
        manifest.json       all shards in the order of their songs; written after them
        shards/NAME.npy     float32 (segments of its songs, frames, coefficients)
        shards/NAME.json    songs, counts and checksums of the shard; written after NAME.npy

A ``.npy`` file is a header followed by segments of equal size: NumPy maps it, and ``tf.data``
reads it as fixed-length records without passing through Python.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

from pocketgenre.text import count_of
from pocketgenre.training.data.storage import BLOCK_SIZE, Store, sha256_of
from pocketgenre.training.errors import DataError

SHARDS = "shards"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class LeftOutSong:
    """A song without features.

    Attributes
    ----------
    song : name of the song
    reason : reason of the failure, without a full stop
    is_transient : True if another attempt may succeed
    """

    song: str
    reason: str
    is_transient: bool


@dataclass(frozen=True)
class Shard:
    """Contents and checksums of a shard.

    Attributes
    ----------
    name : name of the shard's files without extension; it depends on its songs' files
    songs : song names in the order of their segments
    counts : number of segments of each song
    digests : SHA-256 of each song's features, in hexadecimal
    left_out : songs of the shard without features
    size : size of the feature file in bytes; 0 if there is no file because it would be empty
    sha256 : SHA-256 of the feature file, in hexadecimal
    """

    name: str
    songs: tuple[str, ...]
    counts: tuple[int, ...]
    digests: tuple[str, ...]
    left_out: tuple[LeftOutSong, ...]
    size: int
    sha256: str

    @property
    def file(self) -> str:
        """Name of the feature file in the data set's store."""
        return f"{SHARDS}/{self.name}.npy"

    @property
    def description_file(self) -> str:
        """Name of the JSON file in the data set's store."""
        return f"{SHARDS}/{self.name}.json"

    @property
    def segments(self) -> int:
        """Number of segments."""
        return sum(self.counts)

    @property
    def is_final(self) -> bool:
        """True if no song was left out for a transient reason."""
        return not any(song.is_transient for song in self.left_out)

    def to_dict(self) -> dict[str, Any]:
        """Return the shard as JSON types."""
        left_out = [
            {"song": one.song, "reason": one.reason, "passing": one.is_transient}
            for one in self.left_out
        ]
        return asdict(self) | {"left_out": left_out}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Shard":
        """Read the result of :meth:`to_dict`.

        Raises
        ------
        ValueError
            if a value is missing or invalid.
        """
        try:
            shard = cls(
                name=str(values["name"]),
                songs=tuple(map(str, values["songs"])),
                counts=tuple(map(int, values["counts"])),
                digests=tuple(map(str, values["digests"])),
                left_out=tuple(
                    LeftOutSong(song["song"], song["reason"], is_transient=song["passing"])
                    for song in values["left_out"]
                ),
                size=int(values["size"]),
                sha256=str(values["sha256"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"invalid shard: {error}") from error
        if not len(shard.songs) == len(shard.counts) == len(shard.digests):
            raise ValueError("invalid shard: its lists differ in length")
        if not shard.name.replace("-", "").isalnum():  # the name becomes part of a path
            raise ValueError("invalid shard: its name is not alphanumeric")
        return shard


def find_fault(shard: Shard, store: Store) -> str | None:
    """Compare a shard's file with its size and checksum.

    Returns
    -------
    the fault as a clause without a full stop; None if the file is intact.
    """
    if not shard.songs:
        return None
    try:
        with store.open(shard.file) as file:
            digest = sha256_of(file)
            size = file.tell()
    except FileNotFoundError:
        return "it is missing"
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"
    if size != shard.size:
        return f"it has {count_of(size, 'byte')}, not {shard.size:,}"
    return None if digest == shard.sha256 else "its checksum is wrong"


def read_shard(name: str, store: Store) -> Shard | None:
    """Read the description of a shard; None if it is missing or invalid."""
    try:
        with store.open(f"{SHARDS}/{name}.json") as file:
            return Shard.from_dict(json.load(file))
    except (OSError, ValueError):
        return None


def write_manifest(shards: list[Shard], store: Store) -> None:
    """Write the list of all shards.

    Raises
    ------
    OSError
        if the file cannot be written.
    """
    content = {
        "segments": sum(shard.segments for shard in shards),
        "songs": sum(len(shard.songs) for shard in shards),
        "shards": [shard.to_dict() for shard in shards],
    }
    with store.create(MANIFEST) as file:
        file.write((json.dumps(content, indent=1) + "\n").encode())


def read_manifest(store: Store) -> tuple[Shard, ...]:
    """Read the list of a data set's shards.

    Raises
    ------
    DataError
        if the manifest is missing or damaged.
    """
    try:
        with store.open(MANIFEST) as file:
            return tuple(Shard.from_dict(values) for values in json.load(file)["shards"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{store.location / MANIFEST} cannot be used ({error}); prepare the data set again."
        ) from error


class HashingWriter:
    """Write to a file while computing its size and SHA-256.

    Parameters
    ----------
    file : file to write to

    Attributes
    ----------
    size : number of bytes written
    sha256 : hash of the bytes written
    """

    def __init__(self, file: BinaryIO) -> None:
        self.size = 0
        self.sha256 = hashlib.sha256()
        self._file = file

    def write(self, data: bytes) -> int:
        """Write bytes."""
        self.size += len(data)
        self.sha256.update(data)
        return self._file.write(data)

    def copy(self, source: BinaryIO) -> str:
        """Copy the rest of another file; return the SHA-256 of the copied bytes."""
        digest = hashlib.sha256()
        while block := source.read(BLOCK_SIZE):
            digest.update(block)
            self.write(block)
        return digest.hexdigest()
