"""Print the actions of a scan, one per line, without performing them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pocketgenre.cli.console import print_status
from pocketgenre.cli.outputs import Outputs
from pocketgenre.cli.scan_progress import no_music
from pocketgenre.cli.song_output import with_progress
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.discovery import FolderListing, display_address
from pocketgenre.library.library_diff import LibraryDiff, ScanRequest, diff_library
from pocketgenre.library.library_song import LibrarySong
from pocketgenre.library.playlists import make_playlists, stale_playlists
from pocketgenre.library.tags.tagging import tag_songs
from pocketgenre.text import count_of, printable


def preview_scan(
    folder: Path, listing: FolderListing, catalog: Catalog, request: ScanRequest
) -> LibraryDiff:
    """Print the files that a scan would classify, move or mark.

    Raises
    ------
    PocketGenreError
        if the folder holds no song, or the catalogue can't be read.
    """
    diff = diff_library(listing, catalog.entries(), request)
    if not listing.files and not listing.unlistable:
        raise no_music(folder)
    for file in diff.to_classify:
        print(f"classify  {printable(file.path)}")
    for old, file in diff.moved:
        print(f"moved     {printable(old)} -> {printable(file.path)}")
    for path in diff.vanished:
        print(f"vanished  {printable(path)}")
    for file in diff.returned:
        print(f"returned  {printable(file.path)}")
    unchanged, new = (count_of(len(files), "song") for files in (diff.unchanged, diff.to_classify))
    print_status(f"{unchanged} unchanged, {new} would be classified.")
    return diff


def preview_outputs(
    songs: Sequence[LibrarySong], outputs: Outputs, genres: Sequence[str], diff: LibraryDiff
) -> None:
    """Print the files that would be written, removed or tagged.

    Parameters
    ----------
    songs : songs that are in the catalogue with their current path
    outputs : outputs, checked by :func:`pocketgenre.cli.outputs.check_outputs`
    genres : genres of the model
    diff : pending changes, which may add songs
    """
    pending = len(diff.to_classify) + len(diff.moved) + len(diff.returned)
    lines = [*_files(outputs), *_playlists(songs, outputs, genres, pending), *_tags(songs, outputs)]
    for line in lines:  # all at the end, since rich captures stdout while it shows a bar
        print(line)
    if pending and (outputs.playlists or outputs.write_tags):
        print_status(
            f"Playlists and tags also depend on {count_of(pending, 'song')} not yet classified or"
            " moved."
        )


def _files(outputs: Outputs) -> Iterator[str]:
    for file in (outputs.out, outputs.report):
        if file:
            yield f"write     {printable(display_address(file))}"


def _playlists(
    songs: Sequence[LibrarySong], outputs: Outputs, genres: Sequence[str], pending: int
) -> Iterator[str]:
    if not outputs.playlists:
        return
    playlists = make_playlists(songs, outputs.playlists)
    for name in sorted(playlists.files):
        yield f"write     {printable(str(outputs.playlists / name))}"
    for path in playlists.left_out:
        yield f"leave out {printable(str(path))}: no playlist can hold its name"
    for path in stale_playlists(playlists, outputs.playlists, genres):
        condition = ", unless a song not yet classified belongs there" if pending else ""
        yield f"remove    {printable(str(path))}: it would be empty{condition}"


def _tags(songs: Sequence[LibrarySong], outputs: Outputs) -> Iterator[str]:
    if not outputs.write_tags:
        return
    with_bar = with_progress(songs, "Reading the songs' tags")
    for outcome in tag_songs(with_bar, None, overwrite=outputs.overwrite):
        name = printable(str(outcome.path))
        if outcome.action == "changed":
            change = f"{printable(outcome.before)} -> {printable(outcome.after)}"
            yield f"tag       {name}: {change}"
        else:
            verb = "keep" if outcome.action == "kept" else "refuse"
            yield f"{verb:<10}{name}: {printable(outcome.reason or '')}"
