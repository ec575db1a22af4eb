"""Write predicted genres into songs' tags, and undo these changes."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pocketgenre.library.genre_names import DEFAULT_NAMES
from pocketgenre.library.library_song import LibrarySong
from pocketgenre.library.tags.formats import read_genre, text_of
from pocketgenre.library.tags.genre_tag import (
    GENRE_FIELD,
    FileInUseError,
    GenreFormat,
    GenreTag,
    TagError,
    is_same_text,
    join_genres,
)
from pocketgenre.library.tags.replace_file import (
    SAME_TIME_NS,
    Original,
    check_replaceable,
    check_settled,
    check_unused,
    new_temporary,
    new_time,
    replace_changed,
)
from pocketgenre.library.tags.undo_log import Change, UndoLog, Undone
from pocketgenre.prediction import SongPrediction

Action = Literal["changed", "kept", "refused"]


SETTLE_SECONDS = 120.0
"""Time since the last change of a file after which it counts as complete [s].

Programs that download or copy a file write more often than that; a stalled download may not."""


@dataclass(frozen=True)
class TagConfig:
    """Options for writing genres into tags.

    Attributes
    ----------
    overwrite : replace existing genres
    replaceable : existing genres that are replaced as if there were none, such as ``Unknown``;
        upper and lower case are the same
    field : field of the tags, see :data:`pocketgenre.library.tags.genre_tag.GENRE_FIELD`
    settle_seconds : time since the last change of a file before which it is refused [s]
    keep_times : keep the modification time of the files. By default it becomes the current time,
        so that programs which compare size and time notice the change
    """

    overwrite: bool = False
    replaceable: tuple[str, ...] = ()
    field: str = GENRE_FIELD
    settle_seconds: float = SETTLE_SECONDS
    keep_times: bool = False


DEFAULT_TAGS = TagConfig()


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
    is_in_use : True if it was refused because another program may be writing into it
    stat_before : size [bytes] and modification time [ns] before the change; None if unchanged
    """

    path: Path
    action: Action
    before: str = ""
    after: str = ""
    reason: str | None = None
    has_failed: bool = False
    is_in_use: bool = False
    stat_before: tuple[int, int] | None = None


def tag_songs(
    songs: Iterable[LibrarySong],
    log: UndoLog | None,
    config: TagConfig = DEFAULT_TAGS,
    genres_of: Callable[[SongPrediction], tuple[str, ...]] = DEFAULT_NAMES.in_tags,
) -> Iterator[Outcome]:
    """Write each song's genre into its file.

    Songs without a genre (failed, uncertain or no music) and vanished ones are skipped. The
    previous tag is in the undo file before the song is changed.

    Parameters
    ----------
    songs : songs; one whose size or time has changed since the scan is refused, since its
        prediction may be of another song
    log : undo file; None for a dry run, which writes nothing
    config : how genres are written
    genres_of : function that returns the genres to write; nothing is written for an empty tuple

    Raises
    ------
    PocketGenreError
        if the undo file can't be written; no song is changed after that.
    """
    for song in songs:
        if song.prediction is None or not song.has_genre or song.state != "labelled":
            continue
        if genres := genres_of(song.prediction):
            yield _tag(song, genres, log, config)


def undo_changes(
    entries: Iterable[Change | Undone | None],
    log: UndoLog | None,
    config: TagConfig = DEFAULT_TAGS,
    current_path: Callable[[Path], Path] = lambda path: path,
) -> Iterator[Outcome]:
    """Restore the tags that songs had before the first change that has not been undone.

    A song with another genre than the written one is kept, since another program changed it. The
    text of the genres is compared, not the bytes, which other programs may convert.

    Parameters
    ----------
    entries : entries of the undo file, oldest first
    log : the undo file, in which undone changes are recorded; None for a dry run
    config : how tags are written
    current_path : function that returns the path of a song that may have been moved
    """
    for (path, field), changes in _changes_to_undo(entries, current_path).items():
        yield _undo(path, changes, log, replace(config, field=field))


def count_undoable(entries: Iterable[Change | Undone | None]) -> int:
    """Count the songs with changes that have not been undone."""
    return len(_changes_to_undo(entries))


def _changes_to_undo(
    entries: Iterable[Change | Undone | None],
    current_path: Callable[[Path], Path] = lambda path: path,
) -> dict[tuple[Path, str], list[Change]]:
    by_song: dict[tuple[Path, str], list[Change]] = {}
    for entry in entries:
        if entry is None:
            continue
        key = current_path(entry.path), entry.field
        if isinstance(entry, Undone):
            by_song.pop(key, None)
        else:
            by_song.setdefault(key, []).append(entry)
    return by_song


def _tag(
    song: LibrarySong, genres: tuple[str, ...], log: UndoLog | None, config: TagConfig
) -> Outcome:
    path = song.path
    try:
        status = check_replaceable(path)
        if _size_and_time(status) != (song.size, song.modified_ns):
            reason = "it has changed since the scan; scan again"
            return Outcome(path, "refused", reason=reason, has_failed=True)
        genre_format, before = read_genre(path, config.field)
        written = genre_format.text(before)
        existing = written or genre_format.elsewhere(path)
        shown, new = join_genres(existing), join_genres(genres)
        if is_same_text(written, genres):
            return Outcome(path, "kept", shown, shown, f"its {config.field} is {new} already")
        if existing and not (config.overwrite or _is_replaceable(existing, config)):
            return Outcome(path, "kept", shown, shown, f"its {config.field} is {shown}")
        after = genre_format.with_genres(genres, before)
        if not song.is_retagged:
            check_settled(status, config.settle_seconds)
        change = _new_change(path, before, after, status, config)
        _write_change(change, status, genre_format, log)
    except (TagError, OSError) as error:
        return _refusal(path, error)
    return Outcome(path, "changed", shown, new, stat_before=_size_and_time(status))


def _is_replaceable(genres: tuple[str, ...], config: TagConfig) -> bool:
    replaceable = {genre.casefold() for genre in config.replaceable}
    return all(genre.casefold() in replaceable for genre in genres)


def _undo(path: Path, changes: list[Change], log: UndoLog | None, config: TagConfig) -> Outcome:
    try:
        status = check_replaceable(path)
        genre_format, now = read_genre(path, config.field)
        shown = join_genres(genre_format.text(now))
        before, is_ours = _walk_back(now, changes)
        if not is_ours:
            ours = join_genres(text_of(changes[-1].after, config.field))
            reason = f"its {config.field} is {shown} now, not {ours}: another program changed it"
            return Outcome(path, "kept", shown, shown, reason, has_failed=True)
        if before.kind != now.kind:  # another program has converted the tags
            before = genre_format.with_genres(text_of(before, config.field), now)
        is_changed = not _is_same(before, now)
        if is_changed:
            if not any(_is_own_time(status, change) for change in changes):
                check_settled(status, config.settle_seconds)
            change = _new_change(path, now, before, status, config)
            _write_change(change, status, genre_format, log)
        if log:
            for logged in dict.fromkeys([*(change.path for change in changes), path]):
                log.append(Undone(logged, config.field))
        if not is_changed:
            return Outcome(
                path, "kept", shown, shown, f"it already has the previous {config.field}"
            )
    except FileNotFoundError:
        reason = "it is gone; if you moved it, scan the folder in which it is now, and undo again"
        return Outcome(path, "refused", reason=reason, has_failed=True)
    except (TagError, OSError) as error:
        return _refusal(path, error)
    restored = join_genres(genre_format.text(before))
    return Outcome(path, "changed", shown, restored, stat_before=_size_and_time(status))


def _walk_back(now: GenreTag, changes: list[Change]) -> tuple[GenreTag, bool]:
    """Return the tag before these changes, and True if the current tag results from them.

    A change that a crash prevented is skipped: the tag before it is still there. If another
    program wrote between two changes, its tag is the one to restore.
    """
    field = changes[0].field
    tag, is_ours = now, False
    for change in reversed(changes):
        text = text_of(tag, field)
        if is_same_text(text, text_of(change.after, field)):
            tag, is_ours = change.before, True
        elif is_same_text(text, text_of(change.before, field)):
            is_ours = True
        else:
            break
    return tag, is_ours


def _is_same(one: GenreTag, other: GenreTag) -> bool:
    # A file without any tags has no particular kind.
    return one == other or not (one.values or other.values)


def _is_own_time(status: os.stat_result, change: Change) -> bool:
    """Check whether the last change of a file was that of its tags."""
    if change.modified_ns is None:
        return False
    return abs(status.st_mtime_ns - change.modified_ns) < SAME_TIME_NS


def _new_change(
    path: Path, before: GenreTag, after: GenreTag, status: os.stat_result, config: TagConfig
) -> Change:
    modified_ns = status.st_mtime_ns if config.keep_times else new_time(status)
    return Change(
        path, new_temporary(path), before, after, config.field, modified_ns, Original.of(status)
    )


def _write_change(
    change: Change, status: os.stat_result, genre_format: GenreFormat, log: UndoLog | None
) -> None:
    check_unused(change.path)
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
    modified_ns = status.st_mtime_ns if change.modified_ns is None else change.modified_ns
    replace_changed(change.path, status, change.temporary, write, modified_ns)


def _size_and_time(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _refusal(path: Path, error: TagError | OSError) -> Outcome:
    reason = str(error)
    if isinstance(error, OSError):
        reason = f"it can't be written: {error.strerror or error}"
    is_in_use = isinstance(error, FileInUseError)
    return Outcome(path, "refused", reason=reason, has_failed=True, is_in_use=is_in_use)
