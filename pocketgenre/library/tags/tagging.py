"""Write predicted genres into songs' tags, and undo these changes."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pocketgenre.library.library_song import LibrarySong
from pocketgenre.library.tags.formats import read_genre
from pocketgenre.library.tags.genre_tag import (
    GenreFormat,
    GenreTag,
    TagError,
    genre_name,
    join_genres,
)
from pocketgenre.library.tags.replace_file import check_replaceable, new_temporary, replace_changed
from pocketgenre.library.tags.undo_log import Change, UndoLog, Undone

Action = Literal["changed", "kept", "refused"]


@dataclass(frozen=True)
class Outcome:
    """Result for one song.

    Attributes
    ----------
    path : absolute path
    action : ``changed`` (in a dry run: would be changed), ``kept`` or ``refused``
    before, after : genres for display
    reason : reason for keeping or refusing, without the song's name; None if changed
    has_failed : True if the request was not fulfilled
    stat_before : size [bytes] and modification time [ns] before the change; None if unchanged
    """

    path: Path
    action: Action
    before: str = ""
    after: str = ""
    reason: str | None = None
    has_failed: bool = False
    stat_before: tuple[int, int] | None = None


def tag_songs(
    songs: Iterable[LibrarySong], log: UndoLog | None, *, overwrite: bool = False
) -> Iterator[Outcome]:
    """Write each song's genre into its file.

    Songs without a genre (failed, uncertain or no music) and vanished ones are skipped. The
    previous tag is in the undo file before the song is changed.

    Parameters
    ----------
    songs : songs; one whose size or time has changed since the scan is refused, since its
        prediction may be of another song
    log : undo file; None for a dry run, which writes nothing
    overwrite : replace existing genres

    Raises
    ------
    PocketGenreError
        if the undo file can't be written; no song is changed after that.
    """
    for song in songs:
        if song.prediction is None or not song.has_genre or song.state != "labelled":
            continue
        yield _tag(song, genre_name(song.prediction.genre), log, overwrite)


def undo_changes(
    entries: Iterable[Change | Undone | None], log: UndoLog | None
) -> Iterator[Outcome]:
    """Restore the tags that songs had before the first change that has not been undone.

    A song with another genre than the written one is kept, since another program changed it.

    Parameters
    ----------
    entries : entries of the undo file, oldest first
    log : the undo file, in which undone changes are recorded; None for a dry run
    """
    for path, changes in _changes_to_undo(entries).items():
        yield _undo(path, changes, log)


def count_undoable(entries: Iterable[Change | Undone | None]) -> int:
    """Count the songs with changes that have not been undone."""
    return len(_changes_to_undo(entries))


def _changes_to_undo(entries: Iterable[Change | Undone | None]) -> dict[Path, list[Change]]:
    by_path: dict[Path, list[Change]] = {}
    for entry in entries:
        if isinstance(entry, Undone):
            by_path.pop(entry.path, None)
        elif entry is not None:
            by_path.setdefault(entry.path, []).append(entry)
    return by_path


def _tag(song: LibrarySong, genre: str, log: UndoLog | None, overwrite: bool) -> Outcome:
    path = song.path
    try:
        status = check_replaceable(path)
        if _size_and_time(status) != (song.size, song.modified_ns):
            return Outcome(path, "refused", reason="it has changed since the scan; scan again")
        genre_format, before = read_genre(path)
        shown = join_genres(genre_format.text(before))
        if genre_format.text(before) == (genre,):
            return Outcome(path, "kept", shown, shown, f"its genre is {genre} already")
        if genre_format.text(before) and not overwrite:
            return Outcome(path, "kept", shown, shown, f"its genre is {shown}")
        after = genre_format.with_genre(genre, before)
        _write_change(Change(path, new_temporary(path), before, after), status, genre_format, log)
    except (TagError, OSError) as error:
        return Outcome(path, "refused", reason=_reason(error), has_failed=True)
    return Outcome(path, "changed", shown, genre, stat_before=_size_and_time(status))


def _undo(path: Path, changes: list[Change], log: UndoLog | None) -> Outcome:
    try:
        status = check_replaceable(path)
        genre_format, now = read_genre(path)
        shown = join_genres(genre_format.text(now))
        before, is_ours = _walk_back(now, changes)
        if not is_ours:
            reason = f"another program has changed its genre to {shown}"
            return Outcome(path, "kept", shown, shown, reason, has_failed=True)
        changed = not _is_same(before, now)
        if changed:
            change = Change(path, new_temporary(path), now, before)
            _write_change(change, status, genre_format, log)
        if log:
            log.append(Undone(path))
        if not changed:
            return Outcome(path, "kept", shown, shown, "it already has the previous genre")
    except (TagError, OSError) as error:
        return Outcome(path, "refused", reason=_reason(error), has_failed=True)
    restored = join_genres(genre_format.text(before))
    return Outcome(path, "changed", shown, restored, stat_before=_size_and_time(status))


def _walk_back(now: GenreTag, changes: list[Change]) -> tuple[GenreTag, bool]:
    """Return the tag before these changes, and True if the current tag results from them.

    A change that a crash prevented is skipped: the tag before it is still there. If another
    program wrote between two changes, its tag is the one to restore.
    """
    tag, is_ours = now, False
    for change in reversed(changes):
        if _is_same(tag, change.after):
            tag, is_ours = change.before, True
        elif _is_same(tag, change.before):
            is_ours = True
        else:
            break
    return tag, is_ours


def _is_same(one: GenreTag, other: GenreTag) -> bool:
    # A file without any tags has no particular kind.
    return one == other or not (one.values or other.values)


def _write_change(
    change: Change, status: os.stat_result, genre_format: GenreFormat, log: UndoLog | None
) -> None:
    if change.before.kind != change.after.kind:
        raise TagError("its tags have another format now; set its genre by hand")
    if log is None:
        return

    def write(copy: Path) -> None:
        try:
            genre_format.write(copy, change.after)
            written = genre_format.read(copy)
        except (TagError, OSError, MemoryError):
            raise
        except Exception as error:  # libraries may raise anything for a damaged file
            raise TagError(f"its tags can't be written: {error}") from error
        if not _is_same(written, change.after):
            raise TagError("its tags differ after writing")

    log.append(change)
    replace_changed(change.path, status, change.temporary, write)


def _size_and_time(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _reason(error: TagError | OSError) -> str:
    if isinstance(error, OSError):
        return f"it can't be written: {error.strerror or error}"
    return str(error)
