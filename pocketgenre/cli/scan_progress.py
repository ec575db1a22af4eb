"""A scan as a person sees it: what is to be done, how far it is, how long it will take."""

from collections.abc import Callable, Iterator
from pathlib import Path

from rich.progress import TextColumn

from pocketgenre.audio.decoding import SONG_SUFFIXES
from pocketgenre.cli.console import print_status, progress
from pocketgenre.errors import PocketGenreError
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.discovery import FolderListing, SongFile, display_address
from pocketgenre.library.library_diff import LibraryDiff, Wanted
from pocketgenre.library.scan import Done, ScanConfig, listen, look, settle

Interrupted = Callable[[], bool]


def scan_folder(
    folder: Path,
    catalog: Catalog,
    listener: ScanConfig,
    interrupted: Interrupted,
    *,
    failed_again: bool = False,
) -> FolderListing:
    """Bring the catalogue up to date with a folder, until the end or an interruption.

    Raises
    ------
    PocketGenreError
        the folder can't be listed or holds no song, or the catalogue can't be written.
    """
    wanted = Wanted(listener.card.sha256, listener.segments, failed_again)
    listing, changes = look(folder, catalog, wanted, listener.engine.list_songs)
    settle(changes, catalog)
    if not listing.files and not listing.unlistable:
        raise no_music(folder)
    for line in _differences(changes):
        print_status(line)
    if changes.listen:
        total = sum(max(0, file.size) for file in changes.listen)  # bytes tell the time left best
        with progress(TextColumn("{task.fields[songs]}")) as bar:
            count = len(changes.listen)
            task = bar.add_task(f"Listening to {count} songs", total=total, songs="")
            heard = listen(changes.listen, catalog, listener, interrupted)
            for done, song in enumerate(heard, 1):
                advance = max(0, song.file.size)
                bar.update(task, advance=advance, songs=f"{done} of {count}")
    return listing


def watch_folder(
    folder: Path, catalog: Catalog, listener: ScanConfig, interrupted: Interrupted
) -> Iterator[Done]:
    """Listen to songs as they arrive, until an interruption.

    Raises
    ------
    PocketGenreError
        the folder can't be watched, or the catalogue not be written.
    """
    from pocketgenre.library.watch import settled  # for those who don't watch: 0.1 s

    wanted = Wanted(listener.card.sha256, listener.segments)
    tried: set[SongFile] = set()  # what couldn't be read is not tried at each change of another
    for restless in settled(folder, interrupted):
        _, changes = look(folder, catalog, wanted)
        settle(changes, catalog)
        files = [f for f in changes.listen if f.path not in restless and f not in tried]
        tried.update(files)
        yield from listen(files, catalog, listener, interrupted)


def no_music(folder: Path) -> PocketGenreError:
    """What is said of a folder without songs."""
    endings = ", ".join(sorted(SONG_SUFFIXES))
    return PocketGenreError(
        f"There is no music in {display_address(folder)}; looked for files ending in {endings}."
    )


def _differences(changes: LibraryDiff) -> Iterator[str]:
    if changes.unchanged and changes.listen:
        yield f"{len(changes.unchanged)} songs are known and unchanged."
    if changes.moved:
        yield f"{len(changes.moved)} songs have moved; they need not be heard again."
    if changes.vanished:
        yield f"{len(changes.vanished)} songs have vanished; the catalogue remembers them."
