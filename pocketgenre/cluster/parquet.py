"""Labelled songs as Parquet: the fields of the JSON form, with types."""

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pocketgenre.atomic_write import open_atomic
from pocketgenre.cluster.fsspec_files import FsspecStore
from pocketgenre.library.discovery import is_address, local_path
from pocketgenre.library.labelled import LabelledSong
from pocketgenre.library.serialize import song_fields

_ROWS = 10_000
"""Songs of a row group: so many are in memory at once."""


_NO_GENRES = ("unknown",)  # of no song is a genre known, and Parquet has no table without columns


def write_parquet(songs: Iterable[LabelledSong], labels: Sequence[str], out: Path) -> None:
    """Write a row a song, with the fields that ``docs/scan-library.md`` describes.

    Parameters
    ----------
    songs : labelled
    labels : every genre that may occur in them
    out : a file, or an address

    Raises
    ------
    OSError
        it can't be written; a file that stood there is untouched.
    """
    schema, waiting = _schema(labels or _NO_GENRES), iter(songs)
    out = local_path(out)
    place = FsspecStore(out.parent).create(out.name) if is_address(out) else open_atomic(out)
    with place as file, pq.ParquetWriter(file, schema) as writer:
        while rows := [_row(song) for song in islice(waiting, _ROWS)]:
            writer.write_table(pa.Table.from_pylist(rows, schema))


def _row(song: LabelledSong) -> dict[str, Any]:
    fields = song_fields(song)
    # Odd bytes of a name as JSON has them: Parquet's text is UTF-8.
    for name in ("path", "error"):
        if fields[name]:
            fields[name] = fields[name].encode("utf-8", "backslashreplace").decode()
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
            ("probability", real),
            ("margin", real),
            ("top", pa.list_(pa.struct([("genre", text), ("probability", real)]))),
            ("votes", pa.struct([(label, count) for label in labels])),
            ("segments", count),
            ("probabilities", shares),
            ("timeline", pa.list_(part)),
            ("error", text),
        ]
    )
