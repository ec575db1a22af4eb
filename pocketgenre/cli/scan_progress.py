"""Run a scan with a progress bar and messages."""

from collections.abc import Callable, Iterator
from pathlib import Path

from rich.progress import TextColumn

from pocketgenre.cli.console import print_status, progress
from pocketgenre.constants import SONG_SUFFIXES
from pocketgenre.errors import PocketGenreError
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.discovery import FolderListing, SongFile, display_address
from pocketgenre.library.library_diff import LibraryDiff
from pocketgenre.library.scan import (
    ScanConfig,
    ScannedFile,
    apply_changes,
    find_changes,
    scan_files,
)
from pocketgenre.text import count_of

IsInterrupted = Callable[[], bool]


def scan_folder(
    folder: Path,
    catalog: Catalog,
    config: ScanConfig,
    is_interrupted: IsInterrupted,
    *,
    retry_failed: bool = False,
) -> FolderListing:
    """Update the catalogue for a folder, until the end or an interruption.

    Raises
    ------
    PocketGenreError
        if the folder can't be listed or holds no song, or the catalogue can't be written.
    """
    request = config.request(retry_failed=retry_failed)
    listing, diff = find_changes(folder, catalog, request, config.executor.list_songs)
    apply_changes(diff, catalog)
    if not listing.files and not listing.unlistable:
        raise no_music(folder)
    for line in _summarise(diff):
        print_status(line)
    if diff.to_classify:
        # The number of bytes predicts the remaining time better than the number of songs.
        total = sum(max(1, file.size) for file in diff.to_classify)
        with progress(TextColumn("{task.fields[songs]}")) as bar:
            count = len(diff.to_classify)
            task = bar.add_task(f"Classifying {count_of(count, 'song')}", total=total, songs="")
            scanned = scan_files(diff.to_classify, catalog, config, is_interrupted)
            for done, song in enumerate(scanned, 1):
                advance = max(1, song.file.size)
                bar.update(task, advance=advance, songs=f"{done:,} of {count:,}")
    return listing


def watch_folder(
    folder: Path, catalog: Catalog, config: ScanConfig, is_interrupted: IsInterrupted
) -> Iterator[ScannedFile]:
    """Classify songs as they arrive in a folder, until an interruption.

    Raises
    ------
    PocketGenreError
        if the folder can't be watched, or the catalogue can't be written.
    """
    from pocketgenre.library.watch import watch_for_changes  # takes 0.1 s, needed here only

    # Otherwise every change would cause another attempt at unreadable files.
    tried: set[SongFile] = set()
    for being_written in watch_for_changes(folder, is_interrupted):
        _, diff = find_changes(folder, catalog, config.request())
        apply_changes(diff, catalog)
        files = [f for f in diff.to_classify if f.path not in being_written and f not in tried]
        tried.update(files)
        yield from scan_files(files, catalog, config, is_interrupted)


def no_music(folder: Path) -> PocketGenreError:
    """Create the error for a folder without songs."""
    suffixes = ", ".join(sorted(SONG_SUFFIXES))
    return PocketGenreError(
        f"There is no music in {display_address(folder)}; looked for files with the suffixes"
        f" {suffixes}."
    )


def _summarise(diff: LibraryDiff) -> Iterator[str]:
    if diff.unchanged and diff.to_classify:
        yield f"{count_of(len(diff.unchanged), 'song')} unchanged since the last scan."
    if diff.moved:
        yield f"{count_of(len(diff.moved), 'song')} moved; the catalogue has their predictions."
    if diff.vanished:
        yield f"{count_of(len(diff.vanished), 'song')} vanished; the catalogue keeps their entries."
