"""Collect songs whose genre is known: by tag, folder, CSV file or correction."""

import csv
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgenre.errors import PocketGenreError
from pocketgenre.inference import InferenceJob, timeout_for
from pocketgenre.jobs.executors import Executor
from pocketgenre.jobs.process import JobFailure
from pocketgenre.library.discovery import FolderListing, SongFile
from pocketgenre.library.genre_folding import GenreFolding, unify_spellings
from pocketgenre.library.tags.formats import read_genre
from pocketgenre.library.tags.metadata import Metadata
from pocketgenre.training.data.groups import connected_groups

_MAX_CSV = 64 << 20  # bytes


@dataclass(frozen=True)
class Labels:
    """Genres of songs.

    Attributes
    ----------
    genres : genre by the path of the song
    artists : artist by the path of the song, where the source names one
    unlabelled : number of songs without a genre
    """

    genres: Mapping[str, str]
    artists: Mapping[str, str]
    unlabelled: int


def labels_from_tags(
    files: Iterable[SongFile],
    folding: GenreFolding,
    executor: Executor,
    is_interrupted: Callable[[], bool],
) -> Labels:
    """Read the genre tags of songs, in workers, since a hostile tag may take time and memory."""
    jobs = (InferenceJob(file.path, 0, timeout_for(file.size)) for file in files)
    values: dict[str, tuple[str, ...]] = {}
    with closing(executor.map(jobs, _TagSetup(), is_interrupted)) as results:
        for job, result in results:
            values[job.path] = () if isinstance(result, JobFailure) else result
    return _fold(values, {}, folding)


def labels_from_folders(listing: FolderListing, folding: GenreFolding) -> Labels:
    """Take the name of the first folder below the library as the genre."""
    values: dict[str, tuple[str, ...]] = {}
    for file in listing.files:
        parts = Path(file.path).relative_to(listing.folder).parts
        values[file.path] = parts[:1] if len(parts) > 1 else ()
    return _fold(values, {}, folding)


def labels_from_csv(file: Path, listing: FolderListing, folding: GenreFolding) -> Labels:
    """Read a CSV file with the columns path, genre and, if known, artist.

    Paths are absolute, or relative to the library. Rows of songs that are not there are left out.

    Raises
    ------
    PocketGenreError
        if the file can't be read, lacks a column, or names none of the songs.
    """
    known = {one.path for one in listing.files}
    values: dict[str, tuple[str, ...]] = {}
    artists: dict[str, str] = {}
    for row in _read_rows(file):
        path = str(listing.folder / (row["path"] or ""))
        if path in known:
            values[path] = (row["genre"] or "",)
            artists[path] = row.get("artist") or ""
    if not values:
        raise PocketGenreError(
            f"{file} names no song below {listing.folder}; give paths relative to that folder."
        )
    unnamed: dict[str, tuple[str, ...]] = dict.fromkeys(known - values.keys(), ())
    return _fold(values | unnamed, artists, folding)


def labels_from_corrections(
    corrections: Mapping[str, str], files: Iterable[SongFile], folding: GenreFolding
) -> Labels:
    """Take the genres that the user has given with ``correct-label``."""
    values = {file.path: tuple(filter(None, [corrections.get(file.path)])) for file in files}
    return _fold(values, {}, folding)


def unify_all(genres: Mapping[str, str]) -> dict[str, str]:
    """Give all spellings of a genre the most frequent one, in genres by path."""
    unified = unify_spellings(list(genres.values()))
    return {path: genre for path, genre in zip(genres, unified, strict=True) if genre}


def group_songs(
    songs: Iterable[tuple[str, Metadata]], artists: Mapping[str, str]
) -> NDArray[np.int64]:
    """Group songs that share an artist or an album, directly or indirectly.

    Parameters
    ----------
    songs : path and fields of the tags of each song
    artists : artist by path, which takes precedence over the tags

    Returns
    -------
    int64 [shape=(songs,)]
        a song without artist and album has a group of its own
    """
    first: dict[tuple[str, ...], int] = {}
    edges, count = [], 0
    for i, (path, tags) in enumerate(songs):
        count += 1
        artist = _normal(artists.get(path) or tags.artist or tags.album_artist)
        album = _normal(tags.album)
        # Albums of one name by different artists, such as "Greatest Hits", differ in the folder.
        keys: list[tuple[str, ...]] = [("artist", artist)] if artist else []
        keys += [("album", album, str(Path(path).parent))] if album else []
        edges += [(i, first.setdefault(key, i)) for key in keys]
    return connected_groups(count, edges)


@dataclass(frozen=True)
class _TagSetup:
    """Read genre tags in workers."""

    def __call__(self) -> Callable[[InferenceJob], tuple[str, ...]]:
        return _read_tag


def _read_tag(job: InferenceJob) -> tuple[str, ...]:
    path = Path(job.path)
    try:
        genre_format, tag = read_genre(path)
        return genre_format.text(tag) or genre_format.elsewhere(path)
    except Exception:  # a song without readable tags teaches nothing, and must not end the command
        return ()


def _fold(
    values: Mapping[str, tuple[str, ...]], artists: Mapping[str, str], folding: GenreFolding
) -> Labels:
    paths = list(values)
    folded = unify_spellings([folding.fold(values[path]) for path in paths])
    genres = {path: genre for path, genre in zip(paths, folded, strict=True) if genre}
    return Labels(genres, artists, len(paths) - len(genres))


def _normal(text: str | None) -> str:
    return " ".join((text or "").casefold().split())


def _read_rows(file: Path) -> list[dict[str, str | None]]:
    try:
        if not file.is_file():
            raise PocketGenreError(f"There is no CSV file at {file}; name another with --from.")
        if file.stat().st_size > _MAX_CSV:
            raise PocketGenreError(f"{file} is larger than {_MAX_CSV >> 20} MB; split it.")
        with open(file, encoding="utf-8-sig", newline="") as content:  # Excel writes a BOM
            reader = csv.DictReader(content)
            rows = list(reader)
            missing = {"path", "genre"} - set(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PocketGenreError(f"{file} can't be read as CSV: {error}.") from error
    if missing:
        raise PocketGenreError(
            f"{file} lacks the column {', '.join(sorted(missing))}; its first line names the"
            " columns, such as path,genre,artist."
        )
    return rows
