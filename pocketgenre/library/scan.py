"""Scan a folder into the catalogue; only new and changed files are classified.

Each result is stored before the next one is awaited. A scan that ends early (Ctrl-C, a full disk,
``kill -9``) is completed by the next one.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgenre.inference import (
    MIN_TIMEOUT,
    InferenceJob,
    InferenceResult,
    InferenceSetup,
    InferenceSetupProtocol,
    timeout_for,
)
from pocketgenre.jobs.executors import Executor, LocalExecutor
from pocketgenre.jobs.process import JobFailure
from pocketgenre.library.catalog import Catalog, no_garbage_collection
from pocketgenre.library.discovery import (
    FolderListing,
    SongFile,
    is_address,
    is_song_name,
    roots_of,
)
from pocketgenre.library.library_diff import LibraryDiff, ScanRequest
from pocketgenre.library.library_song import LibrarySong
from pocketgenre.library.tags.metadata import NO_METADATA, Metadata, read_metadata
from pocketgenre.models.model_card import ModelCard
from pocketgenre.models.output_layer import OutputLayer, find_output_layer
from pocketgenre.prediction import DEFAULT_LABELS, LabelConfig

_RELABELLED_AT_ONCE = 200


@dataclass(frozen=True)
class ScanConfig:
    """Configuration of a scan.

    Attributes
    ----------
    card : model card of the model
    setup : setup of each worker
    segments : number of segments of each song, spread over it; 0 for all
    executor : executor that classifies the files
    min_timeout : time that any file may take [s]; 10 s per MB are added
    output_layer : last layer of the model, with which songs are labelled from stored features;
        None without that
    """

    card: ModelCard
    setup: InferenceSetupProtocol
    segments: int = 0
    executor: Executor = field(default_factory=LocalExecutor)
    min_timeout: float = MIN_TIMEOUT
    output_layer: OutputLayer | None = None

    def request(self, *, retry_failed: bool = False) -> ScanRequest:
        """Return the results that a scan with this configuration has to obtain."""
        base = self.output_layer.base if self.output_layer else None
        return ScanRequest(self.card.sha256, self.segments, retry_failed, base)


def configure_scan(
    model: bytes, card: ModelCard, segments: int = 0, executor: Executor | None = None
) -> ScanConfig:
    """Configure a scan that stores features, if the model has some.

    Parameters
    ----------
    model : content of the ``.tflite`` file
    card : its model card
    segments : number of segments of each song, spread over it; 0 for all
    executor : executor that classifies the files; by default one worker per core
    """
    layer = find_output_layer(model)
    return ScanConfig(
        card,
        InferenceSetup(model, card, layer.base if layer else None),
        segments,
        executor or LocalExecutor(),
        output_layer=layer,
    )


@dataclass(frozen=True)
class ScannedFile:
    """A file whose result is in the catalogue."""

    file: SongFile
    error: str | None


def apply_changes(diff: LibraryDiff, catalog: Catalog) -> None:
    """Update the catalogue for files that have moved, vanished or returned."""
    if diff.moved:
        catalog.move(diff.moved)
    if diff.vanished:
        catalog.mark_vanished(diff.vanished, vanished=True)
    if diff.returned:
        catalog.mark_vanished((file.path for file in diff.returned), vanished=False)


def relabel_files(files: Iterable[SongFile], catalog: Catalog, config: ScanConfig) -> int:
    """Label songs from the features in the catalogue, without decoding them; return their number.

    Raises
    ------
    CatalogError
        if the catalogue can't be read or written, or is damaged.
    """
    layer = config.output_layer
    if layer is None:
        return 0
    count, predicted = 0, _predict_from_features(files, catalog, layer)
    # Not all in one transaction, since other scans would wait for it.
    while batch := list(islice(predicted, _RELABELLED_AT_ONCE)):
        catalog.relabel(batch, config.card)
        count += len(batch)
    return count


def _predict_from_features(
    files: Iterable[SongFile], catalog: Catalog, layer: OutputLayer
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    for file in files:
        features = catalog.features(file.path, layer.base)
        if features and features.values.shape[1] == len(layer.kernel):
            probabilities = layer.predict(features.values)
            probabilities[~features.values.any(axis=1)] = 0.0
            yield file.path, probabilities


def read_missing_metadata(
    files: Iterable[SongFile],
    catalog: Catalog,
    config: ScanConfig,
    is_interrupted: Callable[[], bool] = lambda: False,
) -> None:
    """Read the tags of files that an older version of the program has scanned.

    Songs behind addresses are left out, since each would be transferred for that.
    """
    missing = {path for path in catalog.files_without_metadata() if not is_address(path)}
    waiting = [file for file in files if file.path in missing] if missing else []
    if not waiting:
        return
    jobs = (
        InferenceJob(file.path, 0, timeout_for(file.size, config.min_timeout)) for file in waiting
    )
    with closing(config.executor.map(jobs, _MetadataSetup(), is_interrupted)) as results:
        for job, result in results:
            metadata = NO_METADATA if isinstance(result, JobFailure) else result
            catalog.add_metadata(job.path, metadata)


class _MetadataSetup:
    """Read tags in workers, since a hostile tag may take much time and memory."""

    def __call__(self) -> Callable[[InferenceJob], Metadata]:
        return _read_metadata


def _read_metadata(job: InferenceJob) -> Metadata:
    return read_metadata(job.path)


def scan_files(
    files: Iterable[SongFile],
    catalog: Catalog,
    config: ScanConfig,
    is_interrupted: Callable[[], bool] = lambda: False,
) -> Iterator[ScannedFile]:
    """Classify files and store the results, the largest first so that workers end together.

    Raises
    ------
    PocketGenreError
        if no worker can be started, or the catalogue can't be written.
    """
    by_size = sorted(files, key=lambda file: -file.size)
    by_path = {file.path: file for file in by_size}
    jobs = (
        InferenceJob(file.path, config.segments, timeout_for(file.size, config.min_timeout))
        for file in by_size
    )
    # Closing ends the workers at once if the catalogue can't be written.
    with closing(config.executor.map(jobs, config.setup, is_interrupted)) as results:
        for job, result in results:
            if isinstance(result, JobFailure):
                result = InferenceResult(  # noqa: PLW2901
                    None, None, result.reason, is_transient=result.is_transient
                )
            file = by_path[job.path]
            catalog.record(file, config.card, config.segments, result)
            yield ScannedFile(file, result.error)


def catalog_songs(
    listing: FolderListing,
    catalog: Catalog,
    model: str,
    label_config: LabelConfig = DEFAULT_LABELS,
    min_seconds: float = 0.0,
) -> list[LibrarySong]:
    """Read the songs of a listing from the catalogue, in the order of their paths.

    Parameters
    ----------
    listing : songs of a folder
    catalog : catalogue
    model : SHA-256 of the model; songs classified by another one are left out
    label_config : vote rule and thresholds
    min_seconds : length below which songs are left out, such as ringtones [s]
    """
    present = {file.path for file in listing.files}
    with no_garbage_collection():
        songs = {
            song.path: song
            for root in roots_of(listing)
            for song in _songs_below(root, listing, catalog, label_config)
            if song.model == model
            and song.state != "vanished"
            and str(song.path) in present
            and not is_shorter(song, min_seconds)
        }
    for path in map(Path, listing.unlistable):
        songs[path] = _unlistable(path, listing.folder, model)
    is_sorted = len(roots_of(listing)) == 1 and not listing.unlistable
    return list(songs.values()) if is_sorted else sorted(songs.values(), key=lambda s: s.path)


def _songs_below(
    root: str, listing: FolderListing, catalog: Catalog, label_config: LabelConfig
) -> Iterable[LibrarySong]:
    if is_song_name(Path(root).name) and not Path(root).is_dir():
        song = catalog.song(root, listing.folder, label_config)
        return [song] if song else []
    return catalog.songs(Path(root), label_config, listing.folder)


def is_shorter(song: LibrarySong, seconds: float) -> bool:
    """Check whether a song is known to be shorter than a number of seconds."""
    length = song.prediction.duration_seconds if song.prediction else None
    return length is not None and length < seconds


def _unlistable(path: Path, folder: Path, model: str) -> LibrarySong:
    name = path.relative_to(folder) if path.is_relative_to(folder) else path
    return LibrarySong(path, name, "failed", 0, 0, model, None, "a folder that cannot be read")
