"""The catalogue: what is known of each song, kept in one SQLite file."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from pocketgenre.errors import CatalogError
from pocketgenre.library import evidence
from pocketgenre.library.discovery import SongFile, stat_file
from pocketgenre.library.file_hash import hash_file
from pocketgenre.library.label import label_song
from pocketgenre.library.schema import PATIENCE, RULES, connect, explained, transaction
from pocketgenre.library.song import CatalogSong, State
from pocketgenre.models.model_card import ModelCard


class CatalogEntry(NamedTuple):
    """What the catalogue holds of a file, to be compared with the file.

    Attributes
    ----------
    model : SHA-256 of the model that listened
    asked : segments asked for, 0 for all of them
    failed : whether there is an error in place of a label
    passing : whether that error may pass by itself: it couldn't be read, not: it is damaged
    """

    path: str
    size: int
    modified_ns: int
    content: bytes | None
    model: str
    asked: int
    failed: bool
    passing: bool
    vanished: bool


@dataclass(frozen=True, eq=False)
class InferenceResult:
    """What came of listening to a file.

    Attributes
    ----------
    probabilities : float [shape=(segments, genres)], or None and an error
    passing : whether the error may pass by itself
    """

    content: bytes | None
    probabilities: NDArray[np.floating] | None
    error: str | None = None
    passing: bool = False


class Catalog:
    """An open catalogue. One object serves one thread; close it, or use ``with``.

    Each method either does all that it says or nothing, and several programs may use one file
    at once.
    """

    def __init__(self, file: Path, *, create: bool = False, patience: float = PATIENCE) -> None:
        self.file = file
        self._connection = connect(file, create=create, patience=patience)

    def close(self) -> None:
        """Let go of the file."""
        with explained(self.file):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def known(self, folder: Path | None = None) -> list[CatalogEntry]:
        """Every file of a folder, or of all of them, without what the network said."""
        rows = self.select(
            "SELECT path, size, modified_ns, content, sha256, asked, error IS NOT NULL, passing,"
            " vanished FROM songs JOIN models ON models.id = songs.model"
            " WHERE path >= ? AND path < ?",
            path_range(folder),
        )
        return [CatalogEntry(os.fsdecode(row[0]), *row[1:]) for row in rows]

    def songs(self, folder: Path | None = None) -> Iterator[CatalogSong]:
        """The songs of a folder, or of all of them, by path, with what the network said.

        Raises
        ------
        CatalogError
            the catalogue is damaged.
        """
        return self._songs(*path_range(folder))

    def song(self, path: str) -> CatalogSong | None:
        """One song, if it is known."""
        start = os.fsencode(path)
        return next(self._songs(start, start + b"\0"), None)

    def _songs(self, start: bytes, end: bytes) -> Iterator[CatalogSong]:
        labels: dict[str, tuple[str, ...]] = {}
        for row in self._stream(
            "SELECT path, size, modified_ns, sha256,"
            " CASE WHEN asked AND segments >= asked THEN 0.0 ELSE seconds_per_segment END,"
            " labels, error, vanished,"
            " probabilities FROM songs JOIN models ON models.id = songs.model"
            " LEFT JOIN evidence ON evidence.song = songs.id"
            " WHERE path >= ? AND path < ? ORDER BY path",
            (start, end),
        ):
            path, size, modified_ns, model, seconds, names, error, vanished, packed = row
            try:
                if names not in labels:
                    labels[names] = _labels(names)
                table = evidence.from_bytes(packed, len(labels[names])) if packed else None
            except (TypeError, ValueError) as damage:
                raise CatalogError(
                    f"The catalogue {self.file} is damaged; delete it and scan again."
                ) from damage
            yield CatalogSong(
                path=Path(os.fsdecode(path)),
                state=_state(bool(vanished), error if table is None else None),
                error=error,
                size=size,
                modified_ns=modified_ns,
                model=model,
                seconds_per_segment=seconds,
                labels=labels[names],
                probabilities=table,
            )

    def record(self, file: SongFile, card: ModelCard, asked: int, heard: InferenceResult) -> None:
        """Keep what came of listening to a file, in place of what was known of it.

        Parameters
        ----------
        file : as it was before it was listened to: if it changes meanwhile, the next scan sees
        asked : number of segments asked for, 0 for all
        """
        row = _row(file, card.labels, asked, heard)
        with self._transaction() as execute:
            row["model"] = _model_id(execute, card)
            names = ", ".join(row)
            marks = ", ".join(f":{name}" for name in row)
            updates = ", ".join(f"{name} = excluded.{name}" for name in row if name != "path")
            song = execute(
                f"INSERT INTO songs ({names}) VALUES ({marks})"  # noqa: S608  # names of our own
                f" ON CONFLICT (path) DO UPDATE SET {updates} RETURNING id",
                row,
            ).fetchone()[0]
            execute("DELETE FROM evidence WHERE song = ?", (song,))
            if heard.probabilities is not None:
                packed = evidence.to_bytes(heard.probabilities)
                execute("INSERT INTO evidence VALUES (?, ?)", (song, packed))

    def move(self, moves: Iterable[tuple[str, SongFile]]) -> None:
        """Take over what is known of files under their new paths; (old path, new file) each."""
        with self._transaction() as execute:
            for old, new in moves:
                execute("DELETE FROM songs WHERE path = ?", (os.fsencode(new.path),))
                execute(
                    "UPDATE songs SET path = ?, size = ?, modified_ns = ?, vanished = 0"
                    " WHERE path = ?",
                    (os.fsencode(new.path), new.size, new.modified_ns, os.fsencode(old)),
                )

    def mark(self, paths: Iterable[str], *, vanished: bool) -> None:
        """Mark files as vanished, or as there again."""
        with self._transaction() as execute:
            for path in paths:
                execute(
                    "UPDATE songs SET vanished = ? WHERE path = ?", (vanished, os.fsencode(path))
                )

    def restamp(self, path: Path, was: tuple[int, int]) -> None:
        """Take over a file's new size, time and content, for who changed it but not its sound.

        After tags are written, for example: otherwise the next scan would listen again.

        Parameters
        ----------
        path : of the file
        was : its size and time [ns] before; one that the catalogue knows by others has another
            sound, perhaps, and is to be heard
        """
        with explained(self.file):
            content = hash_file(path)
        file = stat_file(str(path))
        with self._transaction() as execute:
            execute(
                "UPDATE songs SET size = ?, modified_ns = ?, content = ?"
                " WHERE path = ? AND size = ? AND modified_ns = ?",
                (file.size, file.modified_ns, content, os.fsencode(path), *was),
            )

    def forget(self, paths: Iterable[str]) -> None:
        """Remove files from the catalogue; the files themselves are not touched."""
        with self._transaction() as execute:
            for path in paths:
                execute("DELETE FROM songs WHERE path = ?", (os.fsencode(path),))

    def select(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of the tables that :mod:`pocketgenre.library.schema` lays out."""
        with explained(self.file):
            return self._connection.execute(statement, values).fetchall()

    def _stream(self, statement: str, values: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        with explained(self.file):
            yield from self._connection.execute(statement, values)

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        with explained(self.file), transaction(self._connection):
            yield self._connection.execute


def path_range(folder: Path | None) -> tuple[bytes, bytes]:
    """Between which two paths a folder's songs stand in the index; without one, all songs."""
    if folder is None:
        return b"", b"\xff"
    start = os.fsencode(folder).rstrip(b"/") + b"/"
    return start, start[:-1] + b"0"  # which comes after "/"


def _state(vanished: bool, error: str | None) -> State:
    if vanished:
        return "vanished"
    return "labelled" if error is None else "failed"


def _row(
    file: SongFile, labels: Sequence[str], asked: int, heard: InferenceResult
) -> dict[str, Any]:
    table = heard.probabilities
    row: dict[str, Any] = {
        "path": os.fsencode(file.path),
        "size": file.size,
        "modified_ns": file.modified_ns,
        "content": heard.content,
        "asked": asked,
        "segments": 0 if table is None else len(table),
        "error": heard.error,
        "passing": heard.passing,
        "vanished": False,
    }
    # From what is kept, not from what was said: the label can be made again, to the digit.
    kept = None if table is None else evidence.from_bytes(evidence.to_bytes(table), len(labels))
    for rule in RULES:
        label = None if kept is None else label_song(kept, labels, rule)
        for name in ("genre", "confidence", "probability", "margin"):
            row[f"{rule}_{name}"] = getattr(label, name, None)
    return row


def _model_id(execute: Any, card: ModelCard) -> int:
    found = execute("SELECT id FROM models WHERE sha256 = ?", (card.sha256,)).fetchone()
    if found:
        return int(found[0])
    labels = json.dumps(card.labels, ensure_ascii=False)
    values = (card.sha256, labels, card.feature_config.segment_seconds)
    statement = "INSERT INTO models (sha256, labels, seconds_per_segment) VALUES (?, ?, ?)"
    return int(execute(statement, values).lastrowid)


def _labels(text: str) -> tuple[str, ...]:
    labels = json.loads(text)
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValueError("labels are a list of texts")
    return tuple(labels)
