"""Store predictions of songs in the catalogue, an SQLite file."""

import gc
import json
import os
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from pocketgenre.confidence import ConfidenceModel
from pocketgenre.errors import CatalogError
from pocketgenre.inference import InferenceResult
from pocketgenre.library.discovery import SongFile, stat_file
from pocketgenre.library.file_hash import hash_file
from pocketgenre.library.library_song import LibrarySong, State
from pocketgenre.library.schema import (
    LOCK_TIMEOUT,
    NO_CATALOG,
    connect,
    connect_copy,
    connect_read_only,
    explained_errors,
    transaction,
)
from pocketgenre.library.tags.metadata import Metadata
from pocketgenre.models.model_card import ModelCard
from pocketgenre.prediction import (
    DEFAULT_LABELS,
    VOTE_RULES,
    LabelConfig,
    SongAnalysis,
    SongFeatures,
    SongPrediction,
    predict_song,
    predict_songs,
)

# Half precision stores the multiples of 1/256 that an int8 network returns without loss, and the
# probabilities of a float network with a relative error of 1/2,000. Four minutes take 1.6 KB.
_STORED_DTYPE = np.dtype("<f2")

_MAX_FEATURES = 65_536  # of a segment; a damaged catalogue must not fill the memory

_LABEL_COLUMNS = ("genre", "confidence", "probability", "margin")

_BATCH = 200
"""Number of songs that are predicted together."""


class CatalogEntry(NamedTuple):
    """State of a file in the catalogue, to be compared with the file.

    Attributes
    ----------
    path : absolute path
    size, modified_ns : size [bytes] and modification time [ns] when it was classified
    file_hash : see :func:`pocketgenre.library.file_hash.hash_file`; None after an error
    model : SHA-256 of the model that classified it
    requested_segments : number of segments requested, 0 for all
    has_failed : True if it could not be classified
    is_transient : True if another attempt may succeed
    is_vanished : True if the file was gone at the last scan
    features_base : hash of the network whose features are stored; None without features
    """

    path: str
    size: int
    modified_ns: int
    file_hash: bytes | None
    model: str
    requested_segments: int
    has_failed: bool
    is_transient: bool
    is_vanished: bool
    features_base: bytes | None = None


class Catalog:
    """An open catalogue, for use in one thread.

    Each method either completes or changes nothing. Several programs may use one file at once.

    Parameters
    ----------
    file : SQLite file
    create : create the file if it is missing
    access : ``write``; ``read``, also on a read-only drive; or ``copy``, which reads the file into
        memory and never stores a change
    lock_timeout : time to wait for another program that is writing [s]

    Raises
    ------
    CatalogError
        if the file is missing, or is not a catalogue.
    """

    def __init__(
        self,
        file: Path,
        *,
        create: bool = False,
        access: Literal["write", "read", "copy"] = "write",
        lock_timeout: float = LOCK_TIMEOUT,
    ) -> None:
        self.file = file
        if access == "read":
            self._connection = connect_read_only(file, lock_timeout=lock_timeout)
        elif access == "copy" and not (create and not file.exists()):
            self._connection = connect_copy(file)
        else:
            target = NO_CATALOG if access == "copy" else file
            self._connection = connect(target, create=create, lock_timeout=lock_timeout)

    def close(self) -> None:
        """Close the file."""
        with explained_errors(self.file):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def entries(self, folder: Path | None = None) -> list[CatalogEntry]:
        """Return the entries of all files below a folder, or of all files."""
        rows = self.select(
            "SELECT path, size, modified_ns, file_hash, sha256, requested_segments,"
            " error IS NOT NULL, is_transient, is_vanished, base"
            " FROM songs JOIN models ON models.id = songs.model"
            " LEFT JOIN segment_features ON segment_features.song = songs.id"
            " WHERE path >= ? AND path < ?",
            path_range(folder),
        )
        return [CatalogEntry(os.fsdecode(row[0]), *row[1:]) for row in rows]

    def songs(
        self,
        folder: Path | None = None,
        label_config: LabelConfig = DEFAULT_LABELS,
        names_from: Path | None = None,
    ) -> Iterator[LibrarySong]:
        """Read the songs below a folder, or all songs, in the order of their paths.

        Parameters
        ----------
        folder : folder
        label_config : vote rule and thresholds
        names_from : folder to which the songs' names are relative; by default ``folder``

        Raises
        ------
        CatalogError
            if the catalogue is damaged.
        """
        return self._songs(*path_range(folder), names_from or folder, label_config)

    def song(
        self,
        path: str,
        folder: Path | None = None,
        label_config: LabelConfig = DEFAULT_LABELS,
    ) -> LibrarySong | None:
        """Read one song; None if it is not in the catalogue."""
        start = os.fsencode(path)
        return next(self._songs(start, start + b"\0", folder, label_config), None)

    def _songs(
        self, start: bytes, end: bytes, folder: Path | None, label_config: LabelConfig
    ) -> Iterator[LibrarySong]:
        models: dict[tuple[str, str | None], _Model] = {}
        # Text, since Path.relative_to is slow for thousands of songs.
        prefix = os.fsdecode(path_range(folder)[0]) if folder else ""
        rows = map(
            _SongRow._make,
            self._stream(
                "SELECT songs.path, size, modified_ns, sha256,"
                # Selected segments are not consecutive, so their times are unknown.
                " CASE WHEN requested_segments AND segments >= requested_segments THEN 0.0"
                " ELSE seconds_per_segment END,"
                " labels, models.confidence, error, is_vanished, analyzed_seconds,"
                " duration_seconds, is_partial, is_retagged, corrections.genre, probabilities,"
                " title, artist, album, album_artist, year, file_hash"
                " FROM songs JOIN models ON models.id = songs.model"
                " LEFT JOIN segment_probabilities ON segment_probabilities.song = songs.id"
                " LEFT JOIN corrections ON corrections.path = songs.path"
                " WHERE songs.path >= ? AND songs.path < ? ORDER BY songs.path",
                (start, end),
            ),
        )
        # In batches, since NumPy takes about as long for one song as for a hundred.
        while batch := list(islice(rows, _BATCH)):
            try:
                predictions = _predict(batch, models, label_config)
            except (KeyError, TypeError, ValueError) as damage:
                raise CatalogError(
                    f"The catalogue {self.file} is damaged; delete it and scan again."
                ) from damage
            for row, prediction in zip(batch, predictions, strict=True):
                yield _library_song(row, prediction, prefix)

    def record(
        self,
        file: SongFile,
        card: ModelCard,
        requested_segments: int,
        result: InferenceResult,
        *,
        has_metadata: bool = True,
    ) -> None:
        """Store the result for a file, replacing an earlier one.

        Parameters
        ----------
        file : file as it was before it was decoded, so that the next scan notices a change since
        card : model card of the model
        requested_segments : number of segments requested, 0 for all
        result : result of the inference
        has_metadata : False if the file's tags were not read
        """
        row = _row(file, card, requested_segments, result)
        row |= asdict(result.metadata) | {"has_metadata": has_metadata}
        with self._transaction() as execute:
            row["model"] = _model_id(execute, card)
            names = ", ".join(row)
            marks = ", ".join(f":{name}" for name in row)
            updates = ", ".join(f"{name} = excluded.{name}" for name in row if name != "path")
            execute("DELETE FROM moves WHERE old_path = ?", (row["path"],))
            song = execute(
                f"INSERT INTO songs ({names}) VALUES ({marks})"  # noqa: S608  # our own names
                f" ON CONFLICT (path) DO UPDATE SET {updates} RETURNING id",
                row,
            ).fetchone()[0]
            execute("DELETE FROM segment_probabilities WHERE song = ?", (song,))
            execute("DELETE FROM segment_features WHERE song = ?", (song,))
            if result.analysis:
                packed = _pack(result.analysis.probabilities)
                execute("INSERT INTO segment_probabilities VALUES (?, ?)", (song, packed))
            if features := result.analysis and result.analysis.features:
                compressed = zlib.compress(np.ascontiguousarray(features.values).tobytes())
                execute(
                    "INSERT INTO segment_features VALUES (?, ?, ?)",
                    (song, features.base, compressed),
                )

    def features(self, path: str, base: bytes) -> SongFeatures | None:
        """Read the features of a song; None if they are missing, or of another network.

        Raises
        ------
        CatalogError
            if the catalogue is damaged.
        """
        rows = self.select(
            "SELECT compressed, segments FROM songs"
            " JOIN segment_features ON segment_features.song = songs.id"
            " WHERE path = ? AND base = ?",
            (os.fsencode(path), base),
        )
        return self._features(base, *rows[0]) if rows else None

    def all_features(self, base: bytes) -> Iterator[tuple[str, Metadata, SongFeatures]]:
        """Read the path, the fields of the tags and the features of each song that has features.

        Raises
        ------
        CatalogError
            if the catalogue is damaged.
        """
        for path, compressed, segments, *metadata in self._stream(
            "SELECT path, compressed, segments, title, artist, album, album_artist, year FROM songs"
            " JOIN segment_features ON segment_features.song = songs.id"
            " WHERE base = ? ORDER BY path",
            (base,),
        ):
            features = self._features(base, compressed, segments)
            yield os.fsdecode(path), Metadata(*metadata), features

    def _features(self, base: bytes, compressed: bytes, segments: int) -> SongFeatures:
        try:
            content = _decompress(compressed, _MAX_FEATURES * segments)
            values = np.frombuffer(content, np.int8).reshape(segments, -1)
        except (ValueError, zlib.error) as damage:
            raise CatalogError(
                f"The catalogue {self.file} is damaged; delete it and scan again."
            ) from damage
        return SongFeatures(base, values)

    def relabel(self, songs: Iterable[tuple[str, NDArray[np.floating]]], card: ModelCard) -> None:
        """Replace the probabilities of songs by those of another model; their features stay.

        Parameters
        ----------
        songs : path and probabilities of each song: float [shape=(segments, labels)], zeros for a
            silent segment
        card : model card of the model
        """
        with self._transaction() as execute:
            model = _model_id(execute, card)
            for path, probabilities in songs:
                labels = _label_values(probabilities, card)
                updates = ", ".join(f"{name} = :{name}" for name in labels)
                song = execute(
                    f"UPDATE songs SET {updates}, model = :model WHERE path = :path RETURNING id",  # noqa: S608
                    labels | {"path": os.fsencode(path), "model": model},
                ).fetchone()[0]
                execute(
                    "UPDATE segment_probabilities SET probabilities = ? WHERE song = ?",
                    (_pack(probabilities), song),
                )

    def correct(self, path: str, genre: str | None) -> None:
        """Store the genre that the user gives to a song; None to remove it."""
        with self._transaction() as execute:
            key = os.fsencode(path)
            if genre is None:
                execute("DELETE FROM corrections WHERE path = ?", (key,))
            else:
                execute("INSERT OR REPLACE INTO corrections VALUES (?, ?)", (key, genre))

    def corrections(self, folder: Path | None = None) -> dict[str, str]:
        """Return the genres that the user has given to songs below a folder, by path."""
        rows = self.select(
            "SELECT path, genre FROM corrections WHERE path >= ? AND path < ?", path_range(folder)
        )
        return {os.fsdecode(path): genre for path, genre in rows}

    def move(self, moves: Iterable[tuple[str, SongFile]]) -> None:
        """Move entries to new paths.

        Parameters
        ----------
        moves : (old path, new file) each
        """
        with self._transaction() as execute:
            for old, new in moves:
                execute("DELETE FROM songs WHERE path = ?", (os.fsencode(new.path),))
                execute(
                    "UPDATE songs SET path = ?, size = ?, modified_ns = ?, is_vanished = 0"
                    " WHERE path = ?",
                    (os.fsencode(new.path), new.size, new.modified_ns, os.fsencode(old)),
                )
                paths = {"old": os.fsencode(old), "new": os.fsencode(new.path)}
                execute("UPDATE OR REPLACE corrections SET path = :new WHERE path = :old", paths)
                execute("DELETE FROM moves WHERE old_path = :new", paths)
                execute("UPDATE moves SET path = :new WHERE path = :old", paths)
                execute("INSERT OR REPLACE INTO moves VALUES (:old, :new)", paths)

    def files_without_metadata(self) -> set[str]:
        """Return the files whose tags have not been read, by an older version of the program."""
        rows = self.select(
            "SELECT path FROM songs WHERE NOT has_metadata AND error IS NULL AND NOT is_vanished"
        )
        return {os.fsdecode(path) for (path,) in rows}

    def add_metadata(self, path: str, metadata: Metadata) -> None:
        """Store the fields of a file's tags."""
        names = ", ".join(f"{field.name} = :{field.name}" for field in fields(Metadata))
        with self._transaction() as execute:
            execute(
                f"UPDATE songs SET {names}, has_metadata = 1 WHERE path = :path",  # noqa: S608
                asdict(metadata) | {"path": os.fsencode(path)},
            )

    def current_path(self, path: Path) -> Path:
        """Return the path to which a file was moved, or ``path`` if no move is known."""
        rows = self.select("SELECT path FROM moves WHERE old_path = ?", (os.fsencode(path),))
        return Path(os.fsdecode(rows[0][0])) if rows else path

    def mark_vanished(self, paths: Iterable[str], *, vanished: bool) -> None:
        """Mark files as vanished, or as present again."""
        with self._transaction() as execute:
            for path in paths:
                execute(
                    "UPDATE songs SET is_vanished = ? WHERE path = ?", (vanished, os.fsencode(path))
                )

    def update_stat(self, path: Path, before: tuple[int, int]) -> None:
        """Update a file's size, time and hash after a change that kept the audio, such as tags.

        Parameters
        ----------
        path : the file
        before : size [bytes] and time [ns] before the change. If those of the entry differ, the
            audio may have changed as well, and the next scan classifies the file again
        """
        with explained_errors(self.file):
            digest = hash_file(path)
        file = stat_file(str(path))
        with self._transaction() as execute:
            execute(
                "UPDATE songs SET size = ?, modified_ns = ?, file_hash = ?, is_retagged = 1"
                " WHERE path = ? AND size = ? AND modified_ns = ?",
                (file.size, file.modified_ns, digest, os.fsencode(path), *before),
            )

    def forget(self, paths: Iterable[str]) -> None:
        """Remove entries; the files are not touched."""
        with self._transaction() as execute:
            for path in paths:
                execute("DELETE FROM songs WHERE path = ?", (os.fsencode(path),))

    def select(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return rows of the tables that :mod:`pocketgenre.library.schema` defines."""
        with explained_errors(self.file):
            return self._connection.execute(statement, values).fetchall()

    def _stream(self, statement: str, values: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        with explained_errors(self.file):
            yield from self._connection.execute(statement, values)

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        with explained_errors(self.file), transaction(self._connection):
            yield self._connection.execute


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Pause garbage collection, which takes a fifth of the time; rows form no cycles."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def path_range(folder: Path | None) -> tuple[bytes, bytes]:
    """Return the range of paths below a folder, in the order of the index; None for all paths."""
    if folder is None:
        return b"", b"\xff"
    separator = os.sep.encode()
    start = os.fsencode(folder).rstrip(separator) + separator
    return start, start[:-1] + bytes([separator[0] + 1])


class _SongRow(NamedTuple):
    path: bytes
    size: int
    modified_ns: int
    model: str
    seconds: float
    labels: str
    confidence: str | None
    error: str | None
    is_vanished: int
    analyzed_seconds: float | None
    duration_seconds: float | None
    is_partial: int
    is_retagged: int
    correction: str | None
    probabilities: bytes | None
    title: str | None
    artist: str | None
    album: str | None
    album_artist: str | None
    year: int | None
    file_hash: bytes | None


def _predict(
    rows: Sequence[_SongRow],
    models: dict[tuple[str, str | None], "_Model"],
    label_config: LabelConfig,
) -> list[SongPrediction | None]:
    """Predict the genres of songs; None for those without probabilities.

    Raises
    ------
    KeyError, TypeError, ValueError
        if the catalogue is damaged.
    """
    predictions: list[SongPrediction | None] = [None] * len(rows)
    by_model: dict[tuple[str, str | None], list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        by_model[row.labels, row.confidence].append(i)
    for key, of_model in by_model.items():
        if key not in models:
            models[key] = _Model.parse(*key)
        labels, confidence_model = models[key]
        indices = [i for i in of_model if rows[i].probabilities]
        tables = _unpack_all([rows[i].probabilities or b"" for i in indices], len(labels))
        songs = [
            (
                SongAnalysis(
                    table, row.analyzed_seconds, row.duration_seconds, bool(row.is_partial)
                ),
                row.seconds,
            )
            for row, table in zip(map(rows.__getitem__, indices), tables, strict=True)
        ]
        found = predict_songs(songs, labels, label_config, confidence_model)
        for i, prediction in zip(indices, found, strict=True):
            correction = rows[i].correction
            predictions[i] = replace(prediction, genre=correction) if correction else prediction
    return predictions


def _library_song(row: _SongRow, prediction: SongPrediction | None, prefix: str) -> LibrarySong:
    text = os.fsdecode(row.path)
    metadata = Metadata(row.title, row.artist, row.album, row.album_artist, row.year)
    return LibrarySong(
        path=Path(text),
        name=Path(text.removeprefix(prefix)),
        state=_state(bool(row.is_vanished), row.error if prediction is None else None),
        size=row.size,
        modified_ns=row.modified_ns,
        model=row.model,
        prediction=prediction,
        failure=row.error,
        is_retagged=bool(row.is_retagged),
        metadata=metadata,
        file_hash=row.file_hash,
        correction=row.correction,
    )


def _state(is_vanished: bool, error: str | None) -> State:
    if is_vanished:
        return "vanished"
    return "labelled" if error is None else "failed"


def _row(
    file: SongFile, card: ModelCard, requested_segments: int, result: InferenceResult
) -> dict[str, Any]:
    analysis = result.analysis
    row: dict[str, Any] = {
        "path": os.fsencode(file.path),
        "size": file.size,
        "modified_ns": file.modified_ns,
        "file_hash": result.file_hash,
        "requested_segments": requested_segments,
        "segments": len(analysis.probabilities) if analysis else 0,
        "error": result.error,
        "is_transient": result.is_transient,
        "is_vanished": False,
        "analyzed_seconds": analysis.analyzed_seconds if analysis else None,
        "duration_seconds": analysis.duration_seconds if analysis else None,
        "is_partial": bool(analysis and analysis.is_partial),
        "is_retagged": False,
    }
    return row | _label_values(analysis.probabilities if analysis else None, card)


def _label_values(probabilities: NDArray[np.floating] | None, card: ModelCard) -> dict[str, Any]:
    """Return the columns of the label by each vote rule."""
    # From the stored values, so that a label predicted from the catalogue is the same.
    stored = None if probabilities is None else _unpack(_pack(probabilities), len(card.labels))
    row: dict[str, Any] = {}
    for rule in VOTE_RULES:
        prediction = None
        if stored is not None:
            config = LabelConfig(rule, min_confidence=0.0)
            prediction = predict_song(stored, card.labels, config, confidence_model=card.confidence)
        for name in _LABEL_COLUMNS:
            row[f"{rule}_{name}"] = getattr(prediction, name, None)
    return row


def _decompress(content: bytes, max_size: int) -> bytes:
    """Decompress features.

    Raises
    ------
    ValueError, zlib.error
        if they are damaged, or larger than ``max_size`` bytes.
    """
    decompressor = zlib.decompressobj()
    decompressed = decompressor.decompress(content, max_size)
    if not decompressor.eof:
        raise ValueError(f"more than {max_size} bytes of features")
    return decompressed


def _model_id(execute: Any, card: ModelCard) -> int:
    found = execute("SELECT id FROM models WHERE sha256 = ?", (card.sha256,)).fetchone()
    if found:
        return int(found[0])
    labels = json.dumps(card.labels, ensure_ascii=False)
    model = card.confidence
    confidence = json.dumps(model.to_dict()) if model else None
    threshold = model.min_confidence if model else 0.0
    values = (card.sha256, labels, card.feature_config.segment_seconds, confidence, threshold)
    statement = (
        "INSERT INTO models (sha256, labels, seconds_per_segment, confidence, min_confidence)"
        " VALUES (?, ?, ?, ?, ?)"
    )
    return int(execute(statement, values).lastrowid)


class _Model(NamedTuple):
    labels: tuple[str, ...]
    confidence: ConfidenceModel | None

    @classmethod
    def parse(cls, labels: str, confidence: str | None) -> Self:
        """Read the columns of a model."""
        model = ConfidenceModel.from_dict(json.loads(confidence)) if confidence else None
        return cls(_parse_labels(labels), model)


def _parse_labels(text: str) -> tuple[str, ...]:
    labels = json.loads(text)
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValueError("labels are a list of strings")
    return tuple(labels)


def _pack(probabilities: NDArray[np.floating]) -> bytes:
    """Pack probabilities [shape=(segments, genres)], row by row."""
    return np.ascontiguousarray(probabilities, dtype=_STORED_DTYPE).tobytes()


def _unpack(packed: bytes, genres: int) -> NDArray[np.float32]:
    """Unpack the result of :func:`_pack`, float32 [shape=(segments, genres)].

    Raises
    ------
    ValueError
        if it is not a table of ``genres`` columns, or contains non-finite values.
    """
    return _unpack_all([packed], genres)[0]


def _unpack_all(packed: Sequence[bytes], genres: int) -> list[NDArray[np.float32]]:
    """Unpack many tables at once, see :func:`_unpack`."""
    row = genres * _STORED_DTYPE.itemsize
    for content in packed:
        if not content or genres < 1 or len(content) % row:
            raise ValueError(f"{len(content)} bytes are not a table of {genres} genres")
    flat = np.frombuffer(b"".join(packed), dtype=_STORED_DTYPE).astype(np.float32)
    if not np.isfinite(flat).all():
        raise ValueError("some probabilities are not finite")
    table = flat.reshape(-1, max(1, genres))
    ends = list(accumulate(len(content) // row for content in packed))
    return [table[start:end] for start, end in zip([0, *ends], ends, strict=False)]
