"""Query the catalogue without reading segment probabilities."""

import difflib
import json
import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from pocketgenre.constants import UNCERTAIN
from pocketgenre.errors import PocketGenreError
from pocketgenre.library.catalog import Catalog, no_garbage_collection, path_range
from pocketgenre.library.library_song import State
from pocketgenre.prediction import DEFAULT_LABELS, LabelConfig, VoteRule
from pocketgenre.text import printable

_CONDITIONS: dict[State, str] = {
    "labelled": "NOT is_vanished AND error IS NULL",
    "failed": "NOT is_vanished AND error IS NOT NULL",
    "vanished": "is_vanished",
}


class Row(NamedTuple):
    """A listed song; a tuple, since lists may have 100,000 songs.

    Attributes
    ----------
    path : path as bytes; ``os.fsdecode`` converts it to text
    genre, confidence, probability, margin : see
        :class:`pocketgenre.prediction.SongPrediction`; None after an error
    segments : number of classified segments
    error : reason why there is no prediction
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
    """Filter for songs.

    Attributes
    ----------
    state : labelled, failed or vanished
    genres : genres to include; all if empty
    folder : folder below which songs are included; None for all
    label_config : vote rule and thresholds; songs that miss given thresholds are left out
    """

    state: State = "labelled"
    genres: tuple[str, ...] = ()
    folder: Path | None = None
    label_config: LabelConfig = DEFAULT_LABELS


@dataclass(frozen=True)
class GenreCount:
    """Number of songs of a genre, and their mean confidence."""

    genre: str
    songs: int
    confidence: float


@dataclass(frozen=True)
class Statistics:
    """Statistics of a catalogue, or of a folder in it.

    Attributes
    ----------
    genres : counts by genre, the most frequent first
    failed, vanished : number of songs
    segments : number of classified segments
    seconds : total length of these segments [s]
    models : SHA-256 of each model with the number of songs that it classified
    """

    genres: tuple[GenreCount, ...]
    failed: int
    vanished: int
    segments: int
    seconds: float
    models: tuple[tuple[str, int], ...]


def select_songs(catalog: Catalog, selection: Selection) -> list[Row]:
    """Return the selected songs, in the order of their paths.

    Raises
    ------
    CatalogError
        if the catalogue can't be read.
    """
    config = selection.label_config
    _, confidence, probability, margin = _columns(config.vote)
    label, values = _label(config)
    conditions = [_CONDITIONS[selection.state], "path >= ?", "path < ?"]
    values += path_range(selection.folder)
    if selection.genres:
        conditions.append(f"label IN ({', '.join('?' * len(selection.genres))})")
        values += selection.genres
    if config.has_thresholds:
        conditions.append("label != ?")
        values.append(UNCERTAIN)
    statement = (
        f"SELECT path, {label} AS label, {confidence}, {probability}, {margin}, segments, error"  # noqa: S608
        " FROM songs JOIN models ON models.id = songs.model"
        f" WHERE {' AND '.join(conditions)} ORDER BY path"
    )
    with no_garbage_collection():
        return list(map(Row._make, catalog.select(statement, values)))


def known_labels(catalog: Catalog) -> list[str]:
    """Return the labels of all models and corrections in a catalogue, and ``uncertain``."""
    rows = catalog.select("SELECT labels FROM models")
    labels = [label for (text,) in rows for label in json.loads(text)]
    corrections = sorted(set(catalog.corrections().values()))
    return list(dict.fromkeys([*labels, *corrections, UNCERTAIN]))


def check_folder(catalog: Catalog, folder: Path | None) -> None:
    """Check that a folder exists or that the catalogue has songs below it.

    Raises
    ------
    PocketGenreError
        if not; names the most similar folder, if one is similar.
    """
    if folder is None or folder.exists():
        return
    if catalog.select(
        "SELECT 1 FROM songs WHERE path >= ? AND path < ? LIMIT 1", path_range(folder)
    ):
        return
    rows = catalog.select("SELECT path FROM songs")
    known = {parent for (path,) in rows for parent in Path(os.fsdecode(path)).parents}
    similar = _similar_folder(folder, known)
    hint = f"did you mean {printable(str(similar))}?" if similar else "scan it, or name another."
    raise PocketGenreError(f"There is no folder {printable(str(folder))}; {hint}")


def _similar_folder(folder: Path, known: set[Path]) -> Path | None:
    """Return the known folder that differs from a mistyped one by the spelling of its names."""
    similar = Path(folder.anchor)
    for name in folder.relative_to(folder.anchor).parts:
        if similar / name in known:
            similar /= name
            continue
        siblings = sorted(one.name for one in known if one.parent == similar and one != similar)
        found = difflib.get_close_matches(name, siblings, 1)
        if not found:
            return None
        similar /= found[0]
    return similar


def compute_statistics(
    catalog: Catalog, rule: VoteRule = "majority", folder: Path | None = None
) -> Statistics:
    """Compute statistics of a catalogue, or of a folder in it.

    Raises
    ------
    CatalogError
        if the catalogue can't be read.
    """
    _, confidence, _, _ = _columns(rule)
    label, thresholds = _label(LabelConfig(rule))
    where = "path >= ? AND path < ?"
    between = path_range(folder)
    labelled = f"{where} AND {_CONDITIONS['labelled']}"

    def select(statement: str) -> list[tuple[Any, ...]]:
        return catalog.select(statement, between)

    genres = catalog.select(
        f"SELECT {label} AS label, count(*), avg({confidence})"  # noqa: S608
        f" FROM songs JOIN models ON models.id = songs.model WHERE {labelled}"
        " GROUP BY label ORDER BY count(*) DESC, label",
        (*thresholds, *between),
    )
    ((failed, vanished),) = select(
        f"SELECT count(*) FILTER (WHERE {_CONDITIONS['failed']}),"  # noqa: S608
        f" count(*) FILTER (WHERE is_vanished) FROM songs WHERE {where}"
    )
    models = select(
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


def rename_genres(statistics: Statistics, names: Mapping[str, str]) -> Statistics:
    """Count genres by the names that the user gave them; several genres may have one name.

    Parameters
    ----------
    statistics : statistics by label
    names : name by label; a genre without a name, or with an empty one, keeps its label
    """
    counts: dict[str, list[GenreCount]] = defaultdict(list)
    for count in statistics.genres:
        counts[names.get(count.genre) or count.genre].append(count)
    merged = []
    for name, same in counts.items():
        songs = sum(count.songs for count in same)
        confidence = sum(count.songs * count.confidence for count in same) / songs
        merged.append(GenreCount(name, songs, confidence))
    return replace(
        statistics, genres=tuple(sorted(merged, key=lambda one: (-one.songs, one.genre)))
    )


def _label(config: LabelConfig) -> tuple[str, list[object]]:
    """Return an expression for the label of a song, and the values of its parameters."""
    genre, confidence, _, margin = _columns(config.vote)
    given = "(SELECT genre FROM corrections WHERE corrections.path = songs.path)"
    expression = (
        f"coalesce({given},"
        f" CASE WHEN {confidence} < coalesce(?, models.min_confidence) OR {margin} < ?"
        f" THEN '{UNCERTAIN}' ELSE {genre} END)"
    )
    return expression, [config.min_confidence, config.min_margin]


def _columns(rule: VoteRule) -> tuple[str, str, str, str]:
    return f"{rule}_genre", f"{rule}_confidence", f"{rule}_probability", f"{rule}_margin"
