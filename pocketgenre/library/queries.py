"""Questions to the catalogue that are answered without looking at what the network said."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pocketgenre.library.catalog import Catalog, path_range
from pocketgenre.library.label import NO_THRESHOLDS, Thresholds
from pocketgenre.library.song import State

Rule = Literal["majority", "probability"]

_OF_STATE: dict[State, str] = {
    "labelled": "NOT vanished AND error IS NULL",
    "failed": "NOT vanished AND error IS NOT NULL",
    "vanished": "vanished",
}


class Row(NamedTuple):
    """A song of a list; a tuple, since a list may have a hundred thousand.

    Attributes
    ----------
    path : as bytes, ``os.fsdecode`` makes it text
    genre, confidence, probability, margin : as of :class:`pocketgenre.library.label.SongLabel`,
        without thresholds; None where there is an error instead
    segments : how many were heard
    """

    path: bytes
    genre: str | None
    confidence: float | None
    probability: float | None
    margin: float | None
    segments: int
    error: str | None


@dataclass(frozen=True)
class Selection:
    """Which songs are asked for.

    Attributes
    ----------
    state : labelled, failed or vanished
    rule : of the vote
    genres : one of these; any if there are none
    folder : below it; anywhere without
    thresholds : songs at least so sure
    """

    state: State = "labelled"
    rule: Rule = "majority"
    genres: tuple[str, ...] = ()
    folder: Path | None = None
    thresholds: Thresholds = NO_THRESHOLDS


@dataclass(frozen=True)
class GenreCount:
    """How many songs are of a genre, and how sure that is on average."""

    genre: str
    songs: int
    confidence: float


@dataclass(frozen=True)
class Statistics:
    """A catalogue, or a folder of it, in numbers.

    Attributes
    ----------
    genres : the most frequent first
    failed, vanished : number of songs
    segments : that were heard in all
    seconds : that these last
    models : SHA-256 of each model and the number of songs that it heard
    """

    genres: tuple[GenreCount, ...]
    failed: int
    vanished: int
    segments: int
    seconds: float
    models: tuple[tuple[str, int], ...]


def select_songs(catalog: Catalog, wanted: Selection) -> list[Row]:
    """The songs that are asked for, by path.

    Raises
    ------
    CatalogError
        the catalogue can't be read.
    """
    genre, confidence, probability, margin = _columns(wanted.rule)
    conditions = [_OF_STATE[wanted.state], "path >= ?", "path < ?"]
    values: list[object] = [*path_range(wanted.folder)]
    if wanted.genres:
        conditions.append(f"{genre} IN ({', '.join('?' * len(wanted.genres))})")
        values += wanted.genres
    if wanted.thresholds != NO_THRESHOLDS:
        conditions += [f"{confidence} >= ?", f"{margin} >= ?"]
        values += [wanted.thresholds.confidence, wanted.thresholds.margin]
    statement = (
        f"SELECT path, {genre}, {confidence}, {probability}, {margin}, segments, error"  # noqa: S608
        f" FROM songs WHERE {' AND '.join(conditions)} ORDER BY path"
    )
    with _collector_at_rest():
        return list(map(Row._make, catalog.select(statement, values)))


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Rows can't form a cycle; to look for one again and again takes a fifth of a list's time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def count_songs(
    catalog: Catalog, rule: Rule = "majority", folder: Path | None = None
) -> Statistics:
    """A catalogue, or a folder of it, in numbers.

    Raises
    ------
    CatalogError
        the catalogue can't be read.
    """
    genre, confidence, _, _ = _columns(rule)
    where = "path >= ? AND path < ?"
    between = path_range(folder)
    labelled = f"{where} AND {_OF_STATE['labelled']}"

    def ask(statement: str) -> list[tuple[Any, ...]]:
        return catalog.select(statement, between)

    genres = ask(
        f"SELECT {genre}, count(*), avg({confidence}) FROM songs WHERE {labelled}"  # noqa: S608
        f" GROUP BY {genre} ORDER BY count(*) DESC, {genre}"
    )
    ((failed, vanished),) = ask(
        f"SELECT count(*) FILTER (WHERE {_OF_STATE['failed']}),"  # noqa: S608
        f" count(*) FILTER (WHERE vanished) FROM songs WHERE {where}"
    )
    models = ask(
        "SELECT sha256, count(*), sum(segments), sum(segments * seconds_per_segment)"  # noqa: S608
        f" FROM songs JOIN models ON models.id = songs.model WHERE {labelled}"
        " GROUP BY sha256 ORDER BY count(*) DESC"
    )
    return Statistics(
        tuple(GenreCount(*row) for row in genres),
        failed,
        vanished,
        sum(row[2] for row in models),
        sum(row[3] for row in models),
        tuple((row[0], row[1]) for row in models),
    )


def _columns(rule: Rule) -> tuple[str, str, str, str]:
    return f"{rule}_genre", f"{rule}_confidence", f"{rule}_probability", f"{rule}_margin"
