"""What a scan would do, in a line each; nothing is done."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pocketgenre.cli.console import print_status, printable
from pocketgenre.cli.outputs import Outputs
from pocketgenre.cli.scan_progress import no_music
from pocketgenre.cli.song_output import with_progress
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.discovery import FolderListing, display_address
from pocketgenre.library.labelled import LabelledSong
from pocketgenre.library.library_diff import LibraryDiff, Wanted, compare
from pocketgenre.library.playlists import make_playlists, stale_playlists
from pocketgenre.library.tags.tagging import tag_songs


def foresee_listening(
    folder: Path, listing: FolderListing, catalog: Catalog, wanted: Wanted
) -> LibraryDiff:
    """Print what would be heard, and what has moved, vanished or returned.

    Raises
    ------
    PocketGenreError
        the folder holds no song, or the catalogue can't be read.
    """
    changes = compare(listing, catalog.known(), wanted)
    if not listing.files and not listing.unlistable:
        raise no_music(folder)
    for file in changes.listen:
        print(f"listen    {printable(file.path)}")
    for old, file in changes.moved:
        print(f"moved     {printable(old)} -> {printable(file.path)}")
    for path in changes.vanished:
        print(f"vanished  {printable(path)}")
    for file in changes.returned:
        print(f"returned  {printable(file.path)}")
    print_status(
        f"{len(changes.unchanged)} songs are unchanged, {len(changes.listen)} would be heard."
    )
    return changes


def foresee_outputs(
    songs: Sequence[LabelledSong], outputs: Outputs, genres: Sequence[str], changes: LibraryDiff
) -> None:
    """Print what would be written, removed or tagged.

    Parameters
    ----------
    songs : that the catalogue knows where they are
    outputs : checked before by :func:`pocketgenre.cli.outputs.check_outputs`
    genres : that the model knows
    changes : that are to come, after which there may be more songs
    """
    more = len(changes.listen) + len(changes.moved) + len(changes.returned)
    lines = [*_files(outputs), *_playlists(songs, outputs, genres, more), *_tags(songs, outputs)]
    for line in lines:  # all of them at once: while a bar is shown, rich takes stdout over
        print(line)
    if more and (outputs.playlists or outputs.write_tags):
        print_status(
            f"Playlists and tags depend on {more} songs more, which are yet to be heard or moved."
        )


def _files(outputs: Outputs) -> Iterator[str]:
    for file in (outputs.out, outputs.report):
        if file:
            yield f"write     {printable(display_address(file))}"


def _playlists(
    songs: Sequence[LabelledSong], outputs: Outputs, genres: Sequence[str], more: int
) -> Iterator[str]:
    if not outputs.playlists:
        return
    playlists = make_playlists(songs, outputs.playlists)
    for name in sorted(playlists.files):
        yield f"write     {printable(str(outputs.playlists / name))}"
    for path in playlists.left_out:
        yield f"leave out {printable(str(path))}: no playlist can hold its name"
    for path in stale_playlists(playlists, outputs.playlists, genres):
        but = ", unless one of the songs to come belongs there" if more else ""
        yield f"remove    {printable(str(path))}: it would be empty{but}"


def _tags(songs: Sequence[LabelledSong], outputs: Outputs) -> Iterator[str]:
    if not outputs.write_tags:
        return
    looked_at = with_progress(songs, "Looking at the songs' tags")
    for outcome in tag_songs(looked_at, None, overwrite=outputs.overwrite):
        name = printable(str(outcome.path))
        if outcome.done == "changed":
            change = f"{printable(outcome.before)} -> {printable(outcome.after)}"
            yield f"tag       {name}: {change}"
        else:
            verb = "keep" if outcome.done == "kept" else "refuse"
            yield f"{verb:<10}{name}: {printable(outcome.reason or '')}"
