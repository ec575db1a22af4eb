"""Write and read the index of the data set."""

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from pocketgenre.atomic_write import write_atomic
from pocketgenre.training.data.labelled_songs import is_outside, read_index_rows
from pocketgenre.training.errors import DataError


@dataclass(frozen=True)
class IndexRow:
    """A file of the data set.

    Attributes
    ----------
    path : audio file, relative to the folder of the index
    song : unique name
    genre : ``not-music`` or ``music``
    artist : source, noise of a source, or ``mixes``; splits keep an artist together
    kind : kind, such as ``prompt`` or ``music``
    language : language of the speech; empty if unknown or no speech
    seconds : length [s]
    licence : licences that the source states
    """

    path: str
    song: str
    genre: str
    artist: str
    kind: str
    language: str = ""
    seconds: float = 0.0
    licence: str = ""

    @property
    def source(self) -> str:
        """Source, or ``mixes``."""
        return self.song.partition("/")[0]


def write_index(path: Path, rows: Iterable[IndexRow]) -> None:
    """Write rows as CSV, by renaming a complete temporary file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [f.name for f in fields(IndexRow)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    write_atomic(path, text.getvalue().encode())


def read_index(path: Path) -> list[IndexRow]:
    """Read an index; missing optional columns are empty.

    Raises
    ------
    DataError
        if the file can't be read, lacks a column, or names a file outside its folder.
    """
    names = {f.name for f in fields(IndexRow)}
    rows = []
    for line in read_index_rows(path, {"path", "song", "genre", "artist", "kind"}):
        if is_outside(Path(line["path"])):
            raise DataError(f"The index {path} names a file outside its folder: {line['path']}.")
        values = {name: value or "" for name, value in line.items() if name in names}
        length = values.pop("seconds", "") or "0"
        try:
            rows.append(IndexRow(**values, seconds=float(length)))
        except ValueError as error:
            raise DataError(f"The index {path} has the length {length!r}.") from error
    return rows
