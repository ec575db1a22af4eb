"""Features in shards: files of so many songs each, that many workers write and many hosts read.

::

    DATASET/
        manifest.json       the shards in the order of their songs, once all are there
        shards/NAME.npy     float32 (segments of its songs, frames, coefficients)
        shards/NAME.json    what is in it: songs, counts, checksums; written after it

A ``.npy`` file is a header and then segments of one length: NumPy maps it, and ``tf.data`` reads
it as records without passing through Python.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

from pocketgenre.training.data.songs import DataError
from pocketgenre.training.data.storage import BLOCK, Store, sha256_of

SHARDS = "shards"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class LeftOut:
    """A song without features, and why; ``passing`` if another try may be worth while."""

    song: str
    reason: str
    passing: bool


@dataclass(frozen=True)
class Shard:
    """What a shard holds.

    Attributes
    ----------
    name : of its files, without an ending; made of what its songs' files were
    songs : names, in the order of their segments
    counts : segments of each
    digests : SHA-256 of each one's features, in hexadecimal
    left_out : songs that belong here, but could not be computed
    size : of the file in bytes; 0 where there is none, since it would be empty
    sha256 : of the file, in hexadecimal
    """

    name: str
    songs: tuple[str, ...]
    counts: tuple[int, ...]
    digests: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    size: int
    sha256: str

    @property
    def file(self) -> str:
        """Name of its features in the data set's store."""
        return f"{SHARDS}/{self.name}.npy"

    @property
    def entry(self) -> str:
        """Name of the file that says what is in it."""
        return f"{SHARDS}/{self.name}.json"

    @property
    def segments(self) -> int:
        """How many there are."""
        return sum(self.counts)

    @property
    def is_final(self) -> bool:
        """Whether another try would be of no use."""
        return not any(song.passing for song in self.left_out)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Shard":
        """From JSON.

        Raises
        ------
        ValueError
            it is none.
        """
        try:
            shard = cls(
                name=str(values["name"]),
                songs=tuple(map(str, values["songs"])),
                counts=tuple(map(int, values["counts"])),
                digests=tuple(map(str, values["digests"])),
                left_out=tuple(LeftOut(**song) for song in values["left_out"]),
                size=int(values["size"]),
                sha256=str(values["sha256"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"no shard: {error}") from error
        whole = len(shard.songs) == len(shard.counts) == len(shard.digests)
        if not whole or not shard.name.replace("-", "").isalnum():  # which is a path's part
            raise ValueError("no shard: its lists don't fit")
        return shard


def find_fault(shard: Shard, store: Store) -> str | None:
    """What is wrong with a shard's file, by its size and checksum; None where nothing is."""
    if not shard.songs:
        return None
    try:
        with store.open(shard.file) as file:
            digest = sha256_of(file)
            size = file.tell()
    except FileNotFoundError:
        return "it is not there"
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"
    if size != shard.size:
        return f"it has {size} bytes, not {shard.size}"
    return None if digest == shard.sha256 else "its checksum is wrong"


def read_entry(name: str, store: Store) -> Shard | None:
    """What a shard of that name holds, or None if it was not finished."""
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
        it can't be written.
    """
    content = {
        "segments": sum(shard.segments for shard in shards),
        "songs": sum(len(shard.songs) for shard in shards),
        "shards": [shard.to_dict() for shard in shards],
    }
    with store.create(MANIFEST) as file:
        file.write((json.dumps(content, indent=1) + "\n").encode())


def read_manifest(store: Store) -> tuple[Shard, ...]:
    """The shards of a data set.

    Raises
    ------
    DataError
        the manifest is missing or damaged.
    """
    try:
        with store.open(MANIFEST) as file:
            return tuple(Shard.from_dict(values) for values in json.load(file)["shards"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{store.place / MANIFEST} cannot be used ({error}); prepare the data set again."
        ) from error


class Hashing:
    """A file that is written, and hashed on the way."""

    def __init__(self, file: BinaryIO) -> None:
        self.size = 0
        self.sha256 = hashlib.sha256()
        self._file = file

    def write(self, data: bytes) -> int:
        """Write some bytes."""
        self.size += len(data)
        self.sha256.update(data)
        return self._file.write(data)

    def copy(self, source: BinaryIO) -> str:
        """Write the rest of another file; the SHA-256 of that, in hexadecimal."""
        digest = hashlib.sha256()
        while block := source.read(BLOCK):
            digest.update(block)
            self.write(block)
        return digest.hexdigest()
