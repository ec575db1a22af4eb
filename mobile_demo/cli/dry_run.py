"""What a scan would do, in a line each; nothing is done."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from mobile_demo.cli.console import printable, say
from mobile_demo.cli.outputs import Outputs
from mobile_demo.cli.scanning import no_music
from mobile_demo.cli.song_output import with_progress
from mobile_demo.scanner.catalog import Catalog
from mobile_demo.scanner.changes import Changes, Wanted, compare
from mobile_demo.scanner.finding import Listing, as_written
from mobile_demo.scanner.labelled import LabelledSong
from mobile_demo.scanner.playlists import make_playlists, stale_playlists
from mobile_demo.scanner.tags.tagging import tag_songs


def foresee_listening(folder: Path, listing: Listing, catalog: Catalog, wanted: Wanted) -> Changes:
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
    say(f"{len(changes.unchanged)} songs are unchanged, {len(changes.listen)} would be heard.")
    return changes


def foresee_outputs(
    songs: Sequence[LabelledSong], outputs: Outputs, genres: Sequence[str], changes: Changes
) -> None:
    """Print what would be written, removed or tagged.

    Parameters
    ----------
    songs : that the catalogue knows where they are
    outputs : checked before by :func:`mobile_demo.cli.outputs.check_outputs`
    genres : that the model knows
    changes : that are to come, after which there may be more songs
    """
    more = len(changes.listen) + len(changes.moved) + len(changes.returned)
    lines = [*_files(outputs), *_playlists(songs, outputs, genres, more), *_tags(songs, outputs)]
    for line in lines:  # all of them at once: while a bar is shown, rich takes stdout over
        print(line)
    if more and (outputs.playlists or outputs.write_tags):
        say(f"Playlists and tags depend on {more} songs more, which are yet to be heard or moved.")


def _files(outputs: Outputs) -> Iterator[str]:
    for file in (outputs.out, outputs.report):
        if file:
            yield f"write     {printable(as_written(file))}"


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
