"""Read and write the backup of the phone page: results and corrections in one JSON file.

``docs/phone-page.md`` describes the format. Songs are identified by a hash of their content, since
a phone and a computer have different paths.
"""

import base64
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketgenre.errors import PocketGenreError
from pocketgenre.inference import InferenceResult
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.discovery import FolderListing, SongFile, is_address
from pocketgenre.library.file_hash import hash_or_none
from pocketgenre.library.genre_folding import clean_genre, letters
from pocketgenre.library.library_song import LibrarySong
from pocketgenre.library.queries import known_labels
from pocketgenre.library.tags.metadata import NO_METADATA, Metadata
from pocketgenre.models.model_card import ModelCard
from pocketgenre.models.pretrained import same_network
from pocketgenre.prediction import SongAnalysis
from pocketgenre.text import printable

_FORMAT = "pocketgenre backup"
_VERSION = 1
_MAX_BYTES = 256 << 20
_MAX_TAG = 200  # characters
_DTYPE = np.dtype("<f4")
_HASH_BYTES = 16


@dataclass(frozen=True, eq=False)
class BackupSong:
    """The result of a model for a file.

    Attributes
    ----------
    file_hash : see :func:`pocketgenre.library.file_hash.hash_file`
    size : size of the file [bytes]
    model : SHA-256 of the model, in hexadecimal
    probabilities : float32 [shape=(segments * labels,)], zeros for a segment that is silent or was
        not classified
    analyzed_seconds : length of the classified audio [s]; None if unknown
    duration_seconds : length of the whole song [s]; None if unknown
    is_partial : True if parts of the song were not classified
    """

    file_hash: bytes
    size: int
    model: str
    probabilities: NDArray[np.float32]
    analyzed_seconds: float | None
    duration_seconds: float | None
    is_partial: bool


@dataclass(frozen=True, eq=False)
class Backup:
    """Content of a backup.

    Attributes
    ----------
    songs : results, without those of failed songs
    corrections : genres given by the user, by the file's hash in hexadecimal
    """

    songs: tuple[BackupSong, ...]
    corrections: Mapping[str, str]


def read_backup(file: Path) -> Backup:
    """Read a backup.

    Raises
    ------
    PocketGenreError
        if it is not a backup.
    OSError
        if it can't be read.
    """
    with open(file, "rb") as opened:
        content = opened.read(_MAX_BYTES + 1)
    try:
        return _parse(content)
    except (KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise PocketGenreError(
            f"{printable(str(file))} is not a backup; name a file that the phone page or"
            " export-catalog --format backup wrote."
        ) from error


def _parse(content: bytes) -> Backup:
    if len(content) > _MAX_BYTES:
        raise ValueError("the file is too large")
    values = json.loads(content)
    if (values["format"], values["version"]) != (_FORMAT, _VERSION):
        raise ValueError("another format")
    songs = map(_parse_song, _typed(values["songs"], list))
    corrections = _typed(values["corrections"], dict)
    if not all(isinstance(genre, str) for genre in corrections.values()):
        raise TypeError("a genre is not text")
    return Backup(tuple(song for song in songs if song), corrections)


def _parse_song(fields: dict[str, Any]) -> BackupSong | None:
    """Read a song; None if it failed, or if its content could not be hashed."""
    if fields["probabilities"] is None or fields["hash"] is None:
        return None
    file_hash = bytes.fromhex(fields["hash"])
    encoded = base64.b64decode(fields["probabilities"], validate=True)
    probabilities = np.frombuffer(encoded, _DTYPE)
    in_range = (probabilities >= 0) & (probabilities <= 1)  # False for a value that is not a number
    if len(file_hash) != _HASH_BYTES or not len(probabilities) or not in_range.all():
        raise ValueError("values out of range")
    return BackupSong(
        file_hash,
        _typed(fields["size"], int),
        _typed(fields["model"], str),
        probabilities,
        _seconds(fields["analyzedSeconds"]),
        _seconds(fields["durationSeconds"]),
        _typed(fields["partial"], bool),
    )


def _typed(value: Any, kind: type[Any]) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is not a {kind.__name__}")
    return value


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError("values out of range")
    return float(value)


def restore_results(
    files: Iterable[SongFile], backup: Backup, catalog: Catalog, card: ModelCard
) -> tuple[SongFile, ...]:
    """Record the backup's results for files with the same content, without decoding them.

    Parameters
    ----------
    files : files without a result in the catalogue
    backup : backup; results of other networks are left out
    catalog : catalogue
    card : model card of the scan's model

    Returns
    -------
    tuple of SongFile
        The files that have a result now; their tags are not read yet.
    """
    networks = same_network(card.sha256)
    songs = {
        song.file_hash: song
        # The results of the model itself come last, since the last ones are kept.
        for song in sorted(backup.songs, key=lambda song: song.model == card.sha256)
        if song.model in networks and len(song.probabilities) % len(card.labels) == 0
    }
    sizes = {song.size for song in songs.values()}
    restored = []
    for file in files:
        if file.size not in sizes or is_address(file.path):
            continue
        song = songs.get(hash_or_none(file.path) or b"")
        if song:
            analysis = SongAnalysis(
                song.probabilities.reshape(-1, len(card.labels)),
                song.analyzed_seconds,
                song.duration_seconds,
                song.is_partial,
            )
            result = InferenceResult(song.file_hash, analysis)
            catalog.record(file, card, 0, result, has_metadata=False)
            restored.append(file)
    return tuple(restored)


def restore_corrections(listing: FolderListing, backup: Backup, catalog: Catalog) -> int:
    """Correct listed songs as in the backup, and return their number.

    Songs that are corrected in the catalogue stay as they are.
    """
    by_letters = {letters(label): label for label in known_labels(catalog)}
    present = {file.path for file in listing.files} - catalog.corrections().keys()
    corrected = 0
    for entry in catalog.entries():
        if entry.path not in present or entry.file_hash is None:
            continue
        genre = clean_genre(backup.corrections.get(entry.file_hash.hex(), ""))
        if genre is not None:
            catalog.correct(entry.path, by_letters.get(letters(genre), genre))
            corrected += 1
    return corrected


def is_in_backup(song: LibrarySong) -> bool:
    """Return True if a backup can contain a song: all of it was classified, and it has a place.

    The phone page has no times for segments that are not consecutive.
    """
    has_times = song.prediction is not None and song.prediction.seconds_per_segment > 0
    return has_times and song.state == "labelled" and not song.name.is_absolute()


def to_backup(songs: Iterable[LibrarySong]) -> bytes:
    """Write a backup that the phone page reads; songs for which it has no place are left out."""
    rows, corrections = [], {}
    for song in filter(is_in_backup, songs):
        file_hash = song.file_hash.hex() if song.file_hash else None
        rows.append(json.dumps(_fields(song, file_hash)))
        if song.correction and file_hash:
            corrections[file_hash] = song.correction
    rest = json.dumps({"corrections": corrections, "covers": {}})
    head = json.dumps({"format": _FORMAT, "version": _VERSION})
    listed = ",\n".join(rows)
    return f'{head[:-1]}, "songs": [\n{listed}\n], {rest[1:]}\n'.encode("ascii")


def _fields(song: LibrarySong, file_hash: str | None) -> dict[str, Any]:
    prediction = song.prediction
    assert prediction is not None  # noqa: S101  # is_in_backup
    packed = np.ascontiguousarray(prediction.segment_probabilities, _DTYPE).tobytes()
    folder = song.path.parents[len(song.name.parts) - 1].name
    return {
        "path": f"{folder}/{song.name.as_posix()}" if folder else song.name.as_posix(),
        "size": song.size,
        "modified": song.modified_ns // 1_000_000,
        "hash": file_hash,
        "model": song.model,
        "error": None,
        "passing": False,
        "probabilities": base64.b64encode(packed).decode("ascii"),
        "analyzedSeconds": prediction.analyzed_seconds,
        "durationSeconds": prediction.duration_seconds,
        "partial": prediction.is_partial,
        "tags": None if song.metadata == NO_METADATA else _tags(song.metadata),
    }


def _tags(metadata: Metadata) -> dict[str, Any]:
    def text(value: str | None) -> str | None:
        return (value or "")[:_MAX_TAG] or None

    return {
        "title": text(metadata.title),
        "artist": text(metadata.artist or metadata.album_artist),
        "album": text(metadata.album),
        "year": metadata.year,
        "cover": None,
    }
