"""Run a scan with a progress bar and messages."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import typer
from rich.progress import TextColumn

from pocketgenre.cli.console import print_status, progress
from pocketgenre.constants import SONG_SUFFIXES
from pocketgenre.errors import PocketGenreError
from pocketgenre.library.backup import Backup, restore_corrections, restore_results
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.discovery import FolderListing, SongFile, display_address, roots_of
from pocketgenre.library.library_diff import LibraryDiff, ScanRequest, diff_library
from pocketgenre.library.scan import (
    ScanConfig,
    ScannedFile,
    apply_changes,
    read_missing_metadata,
    relabel_files,
    scan_files,
)
from pocketgenre.text import count_of, printable

IsInterrupted = Callable[[], bool]

_SHOWN_SUFFIXES = 5


def scan_listing(
    listing: FolderListing,
    catalog: Catalog,
    config: ScanConfig,
    is_interrupted: IsInterrupted,
    *,
    retry_failed: bool = False,
    allow_vanished: bool = False,
    as_json: bool = False,
    request: ScanRequest | None = None,
    backup: Backup | None = None,
) -> LibraryDiff:
    """Update the catalogue for listed songs, until the end or an interruption.

    Parameters
    ----------
    listing : songs
    catalog : catalogue
    config : configuration of the scan
    is_interrupted : polled between two songs
    retry_failed : try unchanged files again that failed before
    allow_vanished : go on although more than half of the songs are gone
    as_json : print progress as JSON lines instead of a bar
    request : results to obtain; by default the labels of the configuration's model
    backup : results and corrections to take for songs that have none

    Returns
    -------
    LibraryDiff
        changes since the last scan

    Raises
    ------
    PocketGenreError
        if there is no song, if more than half of the songs are gone and that is not allowed, or
        if the catalogue can't be written.
    """
    request = request or config.request(retry_failed=retry_failed)
    diff = diff_library(listing, catalog.entries(), request)
    if diff.has_lost_most and not allow_vanished:
        _confirm_loss(listing, diff)
    apply_changes(diff, catalog)
    relabelled = relabel_files(diff.to_relabel, catalog, config)
    if backup:
        diff = _restore(diff, backup, catalog, config)
    read_missing_metadata((*diff.unchanged, *diff.restored), catalog, config, is_interrupted)
    if not listing.files and not listing.unlistable:
        raise no_music(listing)
    for line in (*describe_listing(listing), *_describe_diff(diff)):
        print_status(line)
    if relabelled:
        count = count_of(relabelled, "song")
        print_status(f"{count} labelled by this model from stored features, without decoding.")
    if diff.to_classify:
        scanned = scan_files(diff.to_classify, catalog, config, is_interrupted)
        show = _print_json if as_json else _show_bar
        show(scanned, diff.to_classify)
    if backup:  # after the scan, which hashes the songs
        corrected = restore_corrections(listing, backup, catalog)
        print_status(f"{count_of(corrected, 'correction')} taken from the backup.")
    return diff


def _restore(
    diff: LibraryDiff, backup: Backup, catalog: Catalog, config: ScanConfig
) -> LibraryDiff:
    """Take the results of new songs from a backup."""
    restored = restore_results(diff.to_classify, backup, catalog, config.card)
    print_status(f"{count_of(len(restored), 'song')} labelled from the backup, without decoding.")
    rest = tuple(file for file in diff.to_classify if file not in set(restored))
    return replace(diff, restored=restored, to_classify=rest)


def _show_bar(scanned: Iterator[ScannedFile], files: Sequence[SongFile]) -> None:
    # The number of bytes predicts the remaining time better than the number of songs.
    total = sum(max(1, file.size) for file in files)
    with progress(TextColumn("{task.fields[songs]}")) as bar:
        count = len(files)
        task = bar.add_task(f"Classifying {count_of(count, 'song')}", total=total, songs="")
        for done, song in enumerate(scanned, 1):
            advance = max(1, song.file.size)
            bar.update(task, advance=advance, songs=f"{done:,} of {count:,}")


def _print_json(scanned: Iterator[ScannedFile], files: Sequence[SongFile]) -> None:
    for done, song in enumerate(scanned, 1):
        fields = {"done": done, "total": len(files), "path": song.file.path, "error": song.error}
        print(json.dumps(fields), file=sys.stderr, flush=True)


@dataclass(frozen=True)
class WatchRound:
    """Result of one round of watching.

    Attributes
    ----------
    listing : songs at the beginning of the round
    scanned : files whose results are in the catalogue now
    is_complete : False while most songs are gone, when nothing may be derived from the rest
    """

    listing: FolderListing
    scanned: Iterator[ScannedFile]
    is_complete: bool


def watch_listing(
    listing: FolderListing,
    list_again: Callable[[], FolderListing],
    catalog: Catalog,
    config: ScanConfig,
    is_interrupted: IsInterrupted,
) -> Iterator[WatchRound]:
    """Classify songs as they arrive, until an interruption.

    Raises
    ------
    PocketGenreError
        if a folder can't be watched, or the catalogue can't be written.
    """
    from pocketgenre.library.watch import watch_for_changes  # takes 0.1 s, needed here only

    # Otherwise every change would cause another attempt at unreadable files.
    tried: set[SongFile] = set()
    is_complete = True
    folders = [*roots_of(listing), *listing.linked]
    for being_written in watch_for_changes(folders, is_interrupted, report=_report):
        if being_written is None:
            yield WatchRound(listing, iter(()), is_complete)
            continue
        try:
            listing = list_again()
        except PocketGenreError as error:  # the folder went between two checks
            print_status(str(error))
            continue
        diff = diff_library(listing, catalog.entries(), config.request())
        if diff.has_lost_most and is_complete:
            print_status(
                f"{_loss(diff)}; nothing is removed because of that. If they are gone for good,"
                " stop and scan with --allow-vanished."
            )
        is_complete = not diff.has_lost_most
        apply_changes(diff if is_complete else replace(diff, vanished=()), catalog)
        relabel_files(diff.to_relabel, catalog, config)
        files = [f for f in diff.to_classify if f.path not in being_written and f not in tried]
        tried.update(files)
        yield WatchRound(listing, scan_files(files, catalog, config, is_interrupted), is_complete)


def no_music(listing: FolderListing) -> PocketGenreError:
    """Create the error for folders without songs."""
    suffixes = ", ".join(sorted(SONG_SUFFIXES))
    names = ", ".join(display_address(root) for root in roots_of(listing))
    notes = "".join(f" {line}" for line in describe_listing(listing))
    return PocketGenreError(
        f"There is no music in {names}; looked for files with the suffixes {suffixes}.{notes}"
    )


def describe_listing(listing: FolderListing) -> Iterator[str]:
    """Describe links, other files and files that were left out, one sentence each."""
    for message in listing.messages:
        yield f"{printable(message)}."
    for path in listing.broken_links:
        yield f"{printable(path)} is a link that points to nothing."
    if total := sum(listing.other_files.values()):
        by_count = sorted(listing.other_files.items(), key=lambda item: (-item[1], item[0]))
        names = [
            f"{printable(suffix) or 'no suffix'} {count:,}"
            for suffix, count in by_count[:_SHOWN_SUFFIXES]
        ]
        more = ", ..." if len(by_count) > _SHOWN_SUFFIXES else ""
        verb = "is no song" if total == 1 else "are no songs"
        yield f"{count_of(total, 'other file')} {verb}: {', '.join(names)}{more}."
    if listing.excluded:
        verb = "was" if listing.excluded == 1 else "were"
        yield (
            f"{count_of(listing.excluded, 'file or folder', 'files and folders')} {verb} left out"
            " (a pattern, .nomedia, or a recycle bin)."
        )


def _report(sentence: str) -> None:
    print_status(printable(sentence))


def _loss(diff: LibraryDiff) -> str:
    verb = "is" if len(diff.vanished) == 1 else "are"
    return f"{len(diff.vanished):,} of {count_of(diff.known, 'song')} {verb} gone"


def _confirm_loss(listing: FolderListing, diff: LibraryDiff) -> None:
    """Ask whether most songs are really gone.

    Raises
    ------
    PocketGenreError
        if the user denies it, or there is no terminal to ask on.
    """
    names = ", ".join(display_address(root) for root in roots_of(listing))
    sentence = f"{_loss(diff)} from {printable(names)}"
    is_asked = sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
    if is_asked and typer.confirm(f"{sentence}. Go on without them?", err=True):
        return
    raise PocketGenreError(
        f"{sentence} (is a drive not mounted?); if that is right, add --allow-vanished."
    )


def _describe_diff(diff: LibraryDiff) -> Iterator[str]:
    if diff.unchanged and diff.to_classify:
        yield f"{count_of(len(diff.unchanged), 'song')} unchanged since the last scan."
    if diff.moved:
        its = "its prediction" if len(diff.moved) == 1 else "their predictions"
        yield f"{count_of(len(diff.moved), 'song')} moved; the catalogue has {its}."
    if diff.vanished:
        its = "its entry" if len(diff.vanished) == 1 else "their entries"
        yield f"{count_of(len(diff.vanished), 'song')} vanished; the catalogue keeps {its}."
