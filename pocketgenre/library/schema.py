"""Define the tables of the catalogue, open its file, and explain SQLite's errors."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

import platformdirs

from pocketgenre.constants import SONG_SUFFIXES
from pocketgenre.errors import CatalogError
from pocketgenre.prediction import VOTE_RULES

VERSION = 5
_APPLICATION_ID = 0x706F6367  # "pocg": distinguishes catalogues from other SQLite files
LOCK_TIMEOUT = 20.0
"""Time to wait for another program that is writing [s]; one write takes milliseconds."""

# The label by each vote rule is stored in columns, so that lists need no probabilities.
_LABEL_COLUMNS = "".join(
    f", {rule}_genre TEXT, {rule}_confidence REAL, {rule}_probability REAL, {rule}_margin REAL"
    for rule in VOTE_RULES
)

# Text fields of the tags. "has_metadata" is 0 for songs of older versions, until the next scan.
_METADATA_COLUMNS = (
    "title TEXT",
    "artist TEXT",
    "album TEXT",
    "album_artist TEXT",
    "year INTEGER",
    "has_metadata INTEGER NOT NULL DEFAULT 0",
)
_METADATA = "".join(f",\n    {column}" for column in _METADATA_COLUMNS)

# Features and corrections came with version 5. A correction belongs to a path, not to a song's
# entry, which a scan may replace.
_LEARNING = """
CREATE TABLE segment_features (
    song INTEGER PRIMARY KEY REFERENCES songs(id) ON DELETE CASCADE,
    base BLOB NOT NULL,
    compressed BLOB NOT NULL
);
CREATE TABLE corrections (
    path BLOB PRIMARY KEY,
    genre TEXT NOT NULL
) WITHOUT ROWID;
"""

# Paths are bytes: names need not be UTF-8, and the songs below a folder are one range of an index.
# Probabilities have a table of their own, so that lists don't read them.
_SCHEMA = f"""
CREATE TABLE models (
    id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    labels TEXT NOT NULL,
    seconds_per_segment REAL NOT NULL,
    confidence TEXT,
    min_confidence REAL NOT NULL DEFAULT 0
);
CREATE TABLE songs (
    id INTEGER PRIMARY KEY,
    path BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL,
    file_hash BLOB,
    model INTEGER NOT NULL REFERENCES models(id),
    requested_segments INTEGER NOT NULL,
    segments INTEGER NOT NULL,
    error TEXT,
    is_transient INTEGER NOT NULL,
    is_vanished INTEGER NOT NULL{_LABEL_COLUMNS},
    analyzed_seconds REAL,
    duration_seconds REAL,
    is_partial INTEGER NOT NULL DEFAULT 0,
    is_retagged INTEGER NOT NULL DEFAULT 0{_METADATA}
);
CREATE TABLE moves (
    old_path BLOB PRIMARY KEY,
    path BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE segment_probabilities (
    song INTEGER PRIMARY KEY REFERENCES songs(id) ON DELETE CASCADE,
    probabilities BLOB NOT NULL
);
{_LEARNING}""" + "".join(
    f"CREATE INDEX {rule} ON songs({rule}_genre, {rule}_confidence);\n" for rule in VOTE_RULES
)

_MIGRATIONS = {
    1: """
ALTER TABLE songs RENAME COLUMN content TO file_hash;
ALTER TABLE songs RENAME COLUMN asked TO requested_segments;
ALTER TABLE songs RENAME COLUMN passing TO is_transient;
ALTER TABLE songs RENAME COLUMN vanished TO is_vanished;
ALTER TABLE evidence RENAME TO segment_probabilities;
""",
    2: """
ALTER TABLE models ADD COLUMN confidence TEXT;
ALTER TABLE models ADD COLUMN min_confidence REAL NOT NULL DEFAULT 0;
ALTER TABLE songs ADD COLUMN analyzed_seconds REAL;
ALTER TABLE songs ADD COLUMN duration_seconds REAL;
ALTER TABLE songs ADD COLUMN is_partial INTEGER NOT NULL DEFAULT 0;
""",
    3: """
ALTER TABLE songs ADD COLUMN is_retagged INTEGER NOT NULL DEFAULT 0;
CREATE TABLE moves (old_path BLOB PRIMARY KEY, path BLOB NOT NULL) WITHOUT ROWID;
"""
    + "".join(f"ALTER TABLE songs ADD COLUMN {column};\n" for column in _METADATA_COLUMNS),
    4: _LEARNING,
}
"""Statements by the version that they start from."""


NO_CATALOG = Path(":memory:")
"""Name of a catalogue in memory, which is empty and never stored."""


def default_catalog() -> Path:
    """Return the path of the default catalogue, in the user's data folder."""
    return platformdirs.user_data_path("pocketgenre") / "catalog.sqlite"


def catalog_files(catalog: Path) -> tuple[Path, ...]:
    """Return a catalogue's file, and those that SQLite keeps next to it while it is in use."""
    return catalog, *(Path(f"{catalog}{ending}") for ending in ("-wal", "-shm", "-journal"))


def connect(file: Path, *, create: bool, lock_timeout: float = LOCK_TIMEOUT) -> sqlite3.Connection:
    """Open a catalogue, or create one.

    A catalogue of an older version is converted.

    Raises
    ------
    CatalogError
        if it is missing, or the file is not a catalogue.
    """
    check_catalog_file(file, create=create)
    with explained_errors(file):
        if create:
            file.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(file, timeout=lock_timeout, isolation_level=None)
        with _closed_on_error(connection):
            _prepare(connection, file, lock_timeout)
    return connection


def connect_read_only(file: Path, *, lock_timeout: float = LOCK_TIMEOUT) -> sqlite3.Connection:
    """Open a catalogue for reading, also in a folder that can't be written to.

    A catalogue of an older version is converted in memory, and its file stays unchanged.

    Raises
    ------
    CatalogError
        as :func:`connect`.
    """
    check_catalog_file(file)
    with explained_errors(file):
        connection = sqlite3.connect(
            f"{file.absolute().as_uri()}?{_read_mode(file)}",
            timeout=lock_timeout,
            isolation_level=None,
            uri=True,
        )
        with _closed_on_error(connection):
            connection.execute("PRAGMA trusted_schema = OFF")
            if _check_version(connection, file) == VERSION:
                connection.execute("PRAGMA query_only = ON")
                return connection
            return _copy(connection, file)


def connect_copy(file: Path) -> sqlite3.Connection:
    """Read a catalogue into memory; changes are never stored.

    Raises
    ------
    CatalogError
        as :func:`connect`.
    """
    connection = connect_read_only(file)
    with explained_errors(file):
        return _copy(connection, file)


def _copy(connection: sqlite3.Connection, file: Path) -> sqlite3.Connection:
    """Copy a catalogue into memory, convert it if it is old, and close the connection."""
    copy = sqlite3.connect(":memory:", isolation_level=None)
    with closing(connection), _closed_on_error(copy):
        connection.backup(copy)
        _prepare(copy, file, LOCK_TIMEOUT)
    return copy


def check_catalog_file(file: Path, *, create: bool = False) -> None:
    """Check that a path can be that of a catalogue.

    Raises
    ------
    CatalogError
        if it is missing, or is not a file.
    """
    if file.suffix.lower() in SONG_SUFFIXES:
        raise CatalogError(f"{file} has the suffix of a song; name another file for the catalogue.")
    if file.exists() and not file.is_file():
        raise CatalogError(f"{file} is not a file; name another one for the catalogue.")
    if file.exists():
        return
    if not create:
        raise CatalogError(f"There is no catalogue at {file}; scan-library creates one.")
    if file != default_catalog() and not file.parent.is_dir():
        raise CatalogError(f"{file.parent} is not a folder; create it, or name another one.")


def _read_mode(file: Path) -> str:
    """Return the parameter with which SQLite reads a catalogue.

    SQLite keeps a file next to a catalogue that it reads. Where that file can't be created, nobody
    else can be writing, unless that file exists.
    """
    if os.access(file, os.W_OK) and os.access(file.parent, os.W_OK):
        return "mode=rw"
    is_in_use = any(Path(f"{file}{ending}").exists() for ending in ("-wal", "-shm"))
    return "mode=ro" if is_in_use else "immutable=1"


@contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _prepare(connection: sqlite3.Connection, file: Path, lock_timeout: float) -> None:
    # An untrusted file must not run functions that its author put into the schema.
    connection.execute("PRAGMA trusted_schema = OFF")
    with transaction(connection, "DEFERRED"):  # consistent while another scan creates the file
        _check_version(connection, file)  # before anything is written to a foreign file
    # Write-ahead log: readers don't wait, and a killed scan leaves complete songs. Without a sync
    # for each song, a power cut may cost the last ones, which are classified again.
    _use_write_ahead_log(connection, lock_timeout)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    with transaction(connection):  # of two first scans at once, the second finds the tables
        version = _check_version(connection, file)
        if version == 0:
            _execute_all(connection, _SCHEMA)
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        for older in range(version, VERSION) if version else ():
            _execute_all(connection, _MIGRATIONS[older])
        if version != VERSION:
            connection.execute(f"PRAGMA user_version = {VERSION}")


def _execute_all(connection: sqlite3.Connection, statements: str) -> None:
    # Unlike executescript, this stays within the transaction.
    for statement in statements.split(";"):
        connection.execute(statement)


def _use_write_ahead_log(connection: sqlite3.Connection, lock_timeout: float) -> None:
    """Change the journal mode; SQLite does not wait for the exclusive lock that this needs."""
    deadline = time.monotonic() + lock_timeout
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _check_version(connection: sqlite3.Connection, file: Path) -> int:
    """Return the version of the tables, 0 if there are none, and refuse foreign files."""
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
    """Run statements in a transaction; ``DEFERRED`` if they only read."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # a full disk ends it by itself
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextmanager
def explained_errors(file: Path) -> Iterator[None]:
    """Convert SQLite's errors to messages for the user.

    Raises
    ------
    CatalogError
        if the catalogue can't be read or written.
    """
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        for prefix, sentence in _EXPLANATIONS.items():
            if name.startswith(prefix):
                raise CatalogError(sentence.format(file=file)) from error
        raise CatalogError(f"The catalogue {file} cannot be used: {error}.") from error
    except OSError as error:
        reason = error.strerror or error
        raise CatalogError(f"The catalogue {file} cannot be used: {reason}.") from error


_EXPLANATIONS = {
    "SQLITE_BUSY": "The catalogue {file} is in use by another program; try again when it is done.",
    "SQLITE_LOCKED": "The catalogue {file} is in use by another program; wait until it is done.",
    "SQLITE_FULL": (
        "The disk with the catalogue {file} is full; free some space and scan again, which"
        " continues where it stopped."
    ),
    "SQLITE_IOERR": (
        "The catalogue {file} cannot be read or written (the disk is full or fails); repair that"
        " and scan again, which continues where it stopped."
    ),
    "SQLITE_READONLY": "The catalogue {file} cannot be written to; name another with --catalog.",
    "SQLITE_CANTOPEN": "The catalogue {file} cannot be opened; name another with --catalog.",
    "SQLITE_NOTADB": "{file} is not a catalogue; name another with --catalog.",
    "SQLITE_CORRUPT": "The catalogue {file} is damaged; delete it and scan again.",
}
