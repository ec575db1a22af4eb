"""Print the actions of a scan, one per line; nothing is written."""

from collections.abc import Iterator, Sequence

from pocketgenre.cli.console import print_status
from pocketgenre.cli.outputs import Outputs
from pocketgenre.cli.song_output import with_progress
from pocketgenre.library.discovery import display_address
from pocketgenre.library.library_diff import LibraryDiff
from pocketgenre.library.library_song import LibrarySong
from pocketgenre.library.playlists import make_playlists, stale_playlists
from pocketgenre.library.tags.tagging import tag_songs
from pocketgenre.text import count_of, printable


def print_plan(
    songs: Sequence[LibrarySong], outputs: Outputs, genres: Sequence[str], diff: LibraryDiff
) -> None:
    """Print the files that would be classified, moved, marked, written, removed or tagged.

    Parameters
    ----------
    songs : songs of the listing, classified
    outputs : outputs, checked by :func:`pocketgenre.cli.outputs.check_outputs`
    genres : genres of the model
    diff : changes since the last scan
    """
    lines = [
        *_changes(songs, diff),
        *_files(outputs),
        *_playlists(songs, outputs, genres),
        *_tags(songs, outputs),
    ]
    for line in lines:  # all at the end, since rich captures stdout while it shows a bar
        print(line)
    unchanged, new = (count_of(len(files), "song") for files in (diff.unchanged, diff.to_classify))
    print_status(f"{unchanged} unchanged, {new} new or changed; nothing was written.")


def _changes(songs: Sequence[LibrarySong], diff: LibraryDiff) -> Iterator[str]:
    by_path = {str(song.path): song for song in songs}
    for file in diff.to_classify:
        song = by_path.get(file.path)
        label = f": {printable(_label(song))}" if song else ""
        yield f"classify  {printable(file.path)}{label}"
    for file in diff.restored:
        yield f"restore   {printable(file.path)}"
    for old, file in diff.moved:
        yield f"moved     {printable(old)} -> {printable(file.path)}"
    for path in diff.vanished:
        yield f"vanished  {printable(path)}"
    for file in diff.returned:
        yield f"returned  {printable(file.path)}"


def _label(song: LibrarySong) -> str:
    return song.genre or song.error or ""


def _files(outputs: Outputs) -> Iterator[str]:
    for file in (outputs.out, outputs.report):
        if file:
            yield f"write     {printable(display_address(file))}"


def _playlists(
    songs: Sequence[LibrarySong], outputs: Outputs, genres: Sequence[str]
) -> Iterator[str]:
    if not outputs.playlists:
        return
    genres = outputs.playlist_names(genres)
    playlists = make_playlists(songs, outputs.playlists, outputs.playlist_prefix)
    for name in sorted(playlists.files):
        yield f"write     {printable(str(outputs.playlists / name))}"
    for path in playlists.left_out:
        yield f"leave out {printable(str(path))}: no playlist can hold its name"
    for path in stale_playlists(playlists, outputs.playlists, genres):
        yield f"remove    {printable(str(path))}: it would be empty"


def _tags(songs: Sequence[LibrarySong], outputs: Outputs) -> Iterator[str]:
    if not outputs.tags:
        return
    with_bar = with_progress(songs, "Reading the songs' tags")
    for outcome in tag_songs(with_bar, None, outputs.tags.config, outputs.names.in_tags):
        name = printable(str(outcome.path))
        if outcome.action == "changed":
            change = f"{printable(outcome.before)} -> {printable(outcome.after)}"
            yield f"tag       {name}: {change}"
        else:
            verb = "keep" if outcome.action == "kept" else "refuse"
            yield f"{verb:<10}{name}: {printable(outcome.reason or '')}"
