"""The catalogue's file: its tables, how it is opened, and what its troubles are called."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import platformdirs

from pocketgenre.audio.decoding import SONG_SUFFIXES
from pocketgenre.errors import CatalogError

VERSION = 1
_APPLICATION_ID = 0x706F6367  # "pocg": tells a catalogue from other programs' SQLite files
PATIENCE = 20.0
"""Seconds to wait for another scan that is writing at this moment; one write takes milliseconds."""

RULES: tuple[Literal["majority", "probability"], ...] = ("majority", "probability")
"""Of the vote; a song's label by each stands in columns, for lists without unpacking evidence."""

_LABEL_COLUMNS = "".join(
    f", {rule}_genre TEXT, {rule}_confidence REAL, {rule}_probability REAL, {rule}_margin REAL"
    for rule in RULES
)

# Paths are bytes: names need not be UTF-8, and as bytes a folder's songs are one range of an index.
# What the network said stands in a table of its own, so that lists needn't read past it.
_SCHEMA = f"""
CREATE TABLE models (
    id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    labels TEXT NOT NULL,
    seconds_per_segment REAL NOT NULL
);
CREATE TABLE songs (
    id INTEGER PRIMARY KEY,
    path BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL,
    content BLOB,
    model INTEGER NOT NULL REFERENCES models(id),
    asked INTEGER NOT NULL,
    segments INTEGER NOT NULL,
    error TEXT,
    passing INTEGER NOT NULL,
    vanished INTEGER NOT NULL{_LABEL_COLUMNS}
);
CREATE TABLE evidence (
    song INTEGER PRIMARY KEY REFERENCES songs(id) ON DELETE CASCADE,
    probabilities BLOB NOT NULL
);
""" + "".join(f"CREATE INDEX {rule} ON songs({rule}_genre, {rule}_confidence);\n" for rule in RULES)


NO_CATALOG = Path(":memory:")
"""In place of a file: a catalogue that is empty, and gone when it is closed."""


def default_catalog() -> Path:
    """Where the catalogue is kept unless told otherwise: in the user's data folder."""
    return platformdirs.user_data_path("pocketgenre") / "catalog.sqlite"


def files_of(catalog: Path) -> tuple[Path, ...]:
    """A catalogue's file, and those that SQLite keeps beside it while it is in use."""
    return catalog, *(Path(f"{catalog}{ending}") for ending in ("-wal", "-shm", "-journal"))


def connect(file: Path, *, create: bool, patience: float = PATIENCE) -> sqlite3.Connection:
    """Open a catalogue, or make one.

    Raises
    ------
    CatalogError
        there is none, or what is there is something else.
    """
    if file.suffix.lower() in SONG_SUFFIXES:
        raise CatalogError(f"{file} has a song's ending; name another file for the catalogue.")
    if file.exists() and not file.is_file():
        raise CatalogError(f"{file} is not a file; name another one for the catalogue.")
    if not file.exists():
        if not create:
            raise CatalogError(f"There is no catalogue at {file}; scan-library makes one.")
        if file != default_catalog() and not file.parent.is_dir():
            raise CatalogError(f"{file.parent} is not a folder; make it, or name another one.")
    with explained(file):
        if create:
            file.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(file, timeout=patience, isolation_level=None)
        try:
            _prepare(connection, file, patience)
        except BaseException:
            connection.close()
            raise
    return connection


def _prepare(connection: sqlite3.Connection, file: Path, patience: float) -> None:
    # A file from elsewhere must not run what its author put into it.
    connection.execute("PRAGMA trusted_schema = OFF")
    with transaction(connection, "DEFERRED"):  # in one look: another scan may be making it
        _check(connection, file)  # before anything is written to what may not be ours
    # With a log, readers don't wait and a killed scan leaves the last whole song. Without a
    # wait for the disk at each song: after a power cut some are listened to again.
    _keep_a_log(connection, patience)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    with transaction(connection):  # two first scans at once: the second finds the tables made
        if _check(connection, file) == 0:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")


def _keep_a_log(connection: sqlite3.Connection, patience: float) -> None:
    """Changing the mode takes the file for itself, for which SQLite doesn't wait of its own."""
    deadline = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _check(connection: sqlite3.Connection, file: Path) -> int:
    """The version of the tables; 0 if there are none yet."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    tables = int(connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
    if application != _APPLICATION_ID and (tables or version):
        raise CatalogError(f"{file} belongs to another program; name another catalogue.")
    if version > VERSION:
        raise CatalogError(
            f"{file} was written by a newer pocketgenre (its format is {version}, this one's"
            f" {VERSION}); update pocketgenre, or name another catalogue."
        )
    return version


@contextmanager
def transaction(
    connection: sqlite3.Connection, kind: Literal["IMMEDIATE", "DEFERRED"] = "IMMEDIATE"
) -> Iterator[None]:
    """All of it or nothing, whatever happens in between; deferred, if it only reads."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # a full disk has ended it already
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextmanager
def explained(file: Path) -> Iterator[None]:
    """Turn what SQLite says into what a person can do.

    Raises
    ------
    CatalogError
        the catalogue cannot be read or written.
    """
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        for beginning, sentence in _TROUBLES.items():
            if name.startswith(beginning):
                raise CatalogError(sentence.format(file=file)) from error
        raise CatalogError(f"The catalogue {file} cannot be used: {error}.") from error
    except OSError as error:
        reason = error.strerror or error
        raise CatalogError(f"The catalogue {file} cannot be used: {reason}.") from error


_TROUBLES = {
    "SQLITE_BUSY": "The catalogue {file} is in use by another program; try again when it is done.",
    "SQLITE_LOCKED": "The catalogue {file} is in use by another program; wait until it is done.",
    "SQLITE_FULL": (
        "The disk with the catalogue {file} is full; make room and scan again, it goes on where it"
        " stopped."
    ),
    "SQLITE_IOERR": (
        "The catalogue {file} cannot be read or written (the disk is full or fails); scan again"
        " when that is mended, it goes on where it stopped."
    ),
    "SQLITE_READONLY": "The catalogue {file} cannot be written to; name another with --catalog.",
    "SQLITE_CANTOPEN": "The catalogue {file} cannot be opened; name another with --catalog.",
    "SQLITE_NOTADB": "{file} is not a catalogue; name another with --catalog.",
    "SQLITE_CORRUPT": "The catalogue {file} is damaged; delete it and scan again.",
}
