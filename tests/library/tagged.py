"""Songs are tagged, and their tags taken back."""

from pathlib import Path

from pocketgenre.library.tags.formats import read_genre
from pocketgenre.library.tags.tagging import Outcome, tag_songs, undo_changes
from pocketgenre.library.tags.undo_log import UndoLog, read_undo_file
from tests.library.songs import with_label


def genres(path: Path) -> tuple[str, ...]:
    written, tag = read_genre(path)
    return written.text(tag)


def tag(*paths: Path, genre: str = "hiphop", undo: Path, **options) -> list[Outcome]:
    songs = [with_label(path, genre) for path in paths]
    with UndoLog(undo) as log:
        return list(tag_songs(songs, log, **options))


def undo_all(undo: Path, *, dry_run: bool = False) -> list[Outcome]:
    if dry_run:
        return list(undo_changes(list(read_undo_file(undo)), None))
    with UndoLog(undo) as log:
        return list(undo_changes(list(read_undo_file(undo)), log))
