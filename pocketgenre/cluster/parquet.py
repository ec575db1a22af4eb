"""Write songs as Parquet: the fields of the JSON format, with types."""

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pocketgenre.atomic_write import open_atomic
from pocketgenre.cluster.fsspec_files import FsspecStore
from pocketgenre.library.discovery import is_address, local_path
from pocketgenre.library.library_song import LibrarySong
from pocketgenre.library.serialize import song_fields
from pocketgenre.text import encode_escaped

_ROWS = 10_000
"""Songs per row group, which is in memory at once."""


# Used if no song has a prediction, since Parquet has no structs without fields.
_NO_GENRES = ("unknown",)


def write_parquet(songs: Iterable[LibrarySong], labels: Sequence[str], out: Path) -> None:
    """Write one row per song, with the fields that ``docs/scan-library.md`` lists.

    Parameters
    ----------
    songs : songs with their predictions
    labels : every genre of the songs' models
    out : file or address

    Raises
    ------
    OSError
        if it can't be written. An existing file stays unchanged.
    """
    schema, remaining = _schema(labels or _NO_GENRES), iter(songs)
    out = local_path(out)
    output = FsspecStore(out.parent).create(out.name) if is_address(out) else open_atomic(out)
    with output as file, pq.ParquetWriter(file, schema) as writer:
        while rows := [_row(song) for song in islice(remaining, _ROWS)]:
            writer.write_table(pa.Table.from_pylist(rows, schema))


def _row(song: LibrarySong) -> dict[str, Any]:
    fields = song_fields(song)
    # Bytes that are not UTF-8 are escaped as in JSON.
    for name in ("path", "error"):
        if fields[name]:
            fields[name] = encode_escaped(fields[name]).decode()
    return fields


def _schema(labels: Sequence[str]) -> pa.Schema:
    real, text, count = pa.float64(), pa.string(), pa.int64()
    shares = pa.struct([(label, real) for label in labels])
    part = pa.struct([("start", real), ("end", real), ("genre", text), ("shares", shares)])
    return pa.schema(
        [
            ("path", text),
            ("genre", text),
            ("confidence", real),
            ("vote_share", real),
            ("probability", real),
            ("margin", real),
            ("top", pa.list_(pa.struct([("genre", text), ("probability", real)]))),
            ("votes", pa.struct([(label, count) for label in labels])),
            ("segments", count),
            ("probabilities", shares),
            ("analyzed_seconds", real),
            ("duration_seconds", real),
            ("partial", pa.bool_()),
            ("timeline", pa.list_(part)),
            ("error", text),
        ]
    )
