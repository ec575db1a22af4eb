"""Labelled songs as Parquet: the fields of the JSON form, with types."""

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cluster.addresses import local_path, opened
from mobile_demo.scanner.finding import is_address
from mobile_demo.scanner.labelled import LabelledSong
from mobile_demo.scanner.results import song_fields

_ROWS = 10_000
"""Songs of a row group: so many are in memory at once."""


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
    schema, waiting = _schema(labels), iter(songs)
    with _new_file(local_path(out)) as file, pq.ParquetWriter(file, schema) as writer:
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


@contextmanager
def _new_file(out: Path) -> Iterator[Any]:
    """At an address an object is there when it is whole; a file is written beside and renamed."""
    if is_address(out):
        files, path = opened(out)
        with files.open(path, "wb") as file:
            yield file
        return
    handle, name = tempfile.mkstemp(prefix=f".{out.name[:50]}.", suffix=".part", dir=out.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(out)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
