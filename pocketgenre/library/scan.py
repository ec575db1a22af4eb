"""A scan: from a folder to the catalogue, listening only to what it doesn't know yet.

Everything that was heard is in the catalogue before the next thing is asked for. A scan that ends
too early, by Ctrl-C, by a full disk or by ``kill -9``, is finished by the next one.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pocketgenre.jobs.executors import ONE_PROCESS, Executor
from pocketgenre.jobs.pool import JobFailure
from pocketgenre.jobs.worker_process import InferenceSetup, Job, ModelFactory
from pocketgenre.library.catalog import Catalog, InferenceResult
from pocketgenre.library.discovery import FolderListing, SongFile, list_songs
from pocketgenre.library.library_diff import LibraryDiff, Wanted, compare
from pocketgenre.library.song import CatalogSong
from pocketgenre.models.model_card import ModelCard

_LEAST_SECONDS = 120.0
_SECONDS_PER_MB = 10.0


@dataclass(frozen=True)
class ScanConfig:
    """How a scan listens.

    Attributes
    ----------
    card : of the model
    open_ear : makes what listens, in each worker
    segments : of each song, spread over it; 0 for all of them
    engine : where that is
    least_seconds : that any file may take; ten seconds for each MB of it come on top
    """

    card: ModelCard
    open_ear: ModelFactory
    segments: int = 0
    engine: Executor = ONE_PROCESS
    least_seconds: float = _LEAST_SECONDS


@dataclass(frozen=True)
class Done:
    """One file was listened to, and what came of it is in the catalogue."""

    file: SongFile
    error: str | None


def look(
    folder: Path,
    catalog: Catalog,
    wanted: Wanted,
    find: Callable[[Path], FolderListing] = list_songs,
) -> tuple[FolderListing, LibraryDiff]:
    """What there is, and what is to be done; nothing is changed.

    Parameters
    ----------
    folder : with songs
    catalog : what is known of them
    wanted : what is to be known
    find : finds the songs; an engine's ``list_songs``

    Raises
    ------
    PocketGenreError
        the folder can't be listed, or the catalogue not be read.
    """
    listing = find(folder)
    return listing, compare(listing, catalog.known(), wanted)


def settle(changes: LibraryDiff, catalog: Catalog) -> None:
    """Bring the catalogue up to date in all that needs no listening."""
    if changes.moved:
        catalog.move(changes.moved)
    if changes.vanished:
        catalog.mark(changes.vanished, vanished=True)
    if changes.returned:
        catalog.mark((file.path for file in changes.returned), vanished=False)


def listen(
    files: Iterable[SongFile],
    catalog: Catalog,
    listener: ScanConfig,
    interrupted: Callable[[], bool] = lambda: False,
) -> Iterator[Done]:
    """Listen to files, the longest first, so that the workers finish together.

    Raises
    ------
    PocketGenreError
        no worker can be started, or the catalogue not be written.
    """
    by_size = sorted(files, key=lambda file: -file.size)
    by_path = {file.path: file for file in by_size}
    jobs = (
        Job(file.path, listener.segments, patience(file, listener.least_seconds))
        for file in by_size
    )
    answers = listener.engine.answer(jobs, InferenceSetup(listener.open_ear), interrupted)
    with closing(answers):  # a catalogue that can't be written ends the workers at once
        for job, answer in answers:
            heard = answer
            if isinstance(answer, JobFailure):
                heard = InferenceResult(None, None, answer.reason, passing=answer.passing)
            file = by_path[job.path]
            catalog.record(file, listener.card, listener.segments, heard)
            yield Done(file, heard.error)


def catalog_songs(listing: FolderListing, catalog: Catalog, model: str) -> list[CatalogSong]:
    """What the catalogue says of the songs of a folder, by path; not of those still unheard.

    A folder that can't be listed stands among them with its error.
    """
    there = {file.path for file in listing.files}
    songs = [
        song
        for song in catalog.songs(listing.folder)
        if song.model == model and song.state != "vanished" and str(song.path) in there
    ]
    songs += [_unlistable(path, model) for path in listing.unlistable]
    return sorted(songs, key=lambda song: song.path) if listing.unlistable else songs


def _unlistable(path: str, model: str) -> CatalogSong:
    error = "a folder that cannot be read"
    return CatalogSong(Path(path), "failed", error, 0, 0, model, 0.0, (), None)


def patience(file: SongFile, least: float = _LEAST_SECONDS) -> float:
    """Seconds that a file may take before it is given up: ten for each MB, on top of the least."""
    return least + _SECONDS_PER_MB * max(0, file.size) / 1e6
