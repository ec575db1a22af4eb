"""Write the genres that were found into the songs, and take that back."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pocketgenre.library.label import UNCERTAIN
from pocketgenre.library.labelled import LabelledSong
from pocketgenre.library.tags.formats import read_genre
from pocketgenre.library.tags.genre_tag import (
    GenreFormat,
    GenreTag,
    TagError,
    genre_name,
    in_words,
)
from pocketgenre.library.tags.replace_file import check_replaceable, new_temporary, replace_changed
from pocketgenre.library.tags.undo_log import Change, UndoLog, Undone

Done = Literal["changed", "kept", "refused"]


@dataclass(frozen=True)
class Outcome:
    """What became of one song.

    Attributes
    ----------
    path : absolute
    done : ``changed`` (or would be, in a dry run), ``kept`` on purpose, ``refused`` for a reason
    before, after : genres in words
    reason : why it was kept or refused, without the song's name; None where it was changed
    failed : whether that is not what was asked for
    was : the file's size [bytes] and time [ns] before, where it was changed
    """

    path: Path
    done: Done
    before: str = ""
    after: str = ""
    reason: str | None = None
    failed: bool = False
    was: tuple[int, int] | None = None


def tag_songs(
    songs: Iterable[LabelledSong], log: UndoLog | None, *, overwrite: bool = False
) -> Iterator[Outcome]:
    """Write each song's genre into its file.

    Songs without a label, uncertain ones and vanished ones are passed over. What a file held is
    in the undo file before the file is touched.

    Parameters
    ----------
    songs : with the size and time at which they were listened to; one that is no longer so is
        refused, as its label may be another song's
    log : the undo file; without one nothing is written: a dry run
    overwrite : write even where there is a genre

    Raises
    ------
    PocketGenreError
        the undo file can't be written to; no song has been touched since.
    """
    for song in songs:
        if song.label is None or song.label.genre == UNCERTAIN or song.song.state != "labelled":
            continue
        yield _tag(song, genre_name(song.label.genre), log, overwrite)


def undo_changes(
    entries: Iterable[Change | Undone | None], log: UndoLog | None
) -> Iterator[Outcome]:
    """Bring back what the songs held before the first change that wasn't undone yet.

    A song whose genre is no longer what was written is left alone: that was someone else.

    Parameters
    ----------
    entries : of the undo file, oldest first
    log : the same file, to be told what was undone; without it nothing is written: a dry run
    """
    for path, changes in _standing(entries).items():
        yield _undo(path, changes, log)


def count_songs(entries: Iterable[Change | Undone | None]) -> int:
    """How many songs have changes that were not undone yet."""
    return len(_standing(entries))


def _standing(entries: Iterable[Change | Undone | None]) -> dict[Path, list[Change]]:
    by_path: dict[Path, list[Change]] = {}
    for entry in entries:
        if isinstance(entry, Undone):
            by_path.pop(entry.path, None)
        elif entry is not None:
            by_path.setdefault(entry.path, []).append(entry)
    return by_path


def _tag(song: LabelledSong, genre: str, log: UndoLog | None, overwrite: bool) -> Outcome:
    path = song.song.path
    try:
        status = check_replaceable(path)
        if _stamp(status) != (song.song.size, song.song.modified_ns):
            return Outcome(
                path, "refused", reason="it changed since it was listened to; scan again"
            )
        written, before = read_genre(path)
        words = in_words(written.text(before))
        if written.text(before) == (genre,):
            return Outcome(path, "kept", words, words, f"it says {genre} already")
        if written.text(before) and not overwrite:
            return Outcome(path, "kept", words, words, f"it says {words}")
        after = written.named(genre, before)
        _change(Change(path, new_temporary(path), before, after), status, written, log)
    except (TagError, OSError) as error:
        return Outcome(path, "refused", reason=_reason(error), failed=True)
    return Outcome(path, "changed", words, genre, was=_stamp(status))


def _undo(path: Path, changes: list[Change], log: UndoLog | None) -> Outcome:
    try:
        status = check_replaceable(path)
        written, now = read_genre(path)
        words = in_words(written.text(now))
        before, known = _walk_back(now, changes)
        if not known:
            reason = f"someone else wrote {words} since"
            return Outcome(path, "kept", words, words, reason, failed=True)
        changed = not _same(before, now)
        if changed:
            _change(Change(path, new_temporary(path), now, before), status, written, log)
        if log:
            log.append(Undone(path))
        if not changed:
            return Outcome(path, "kept", words, words, "it holds what it held before")
    except (TagError, OSError) as error:
        return Outcome(path, "refused", reason=_reason(error), failed=True)
    return Outcome(path, "changed", words, in_words(written.text(before)), was=_stamp(status))


def _walk_back(now: GenreTag, changes: list[Change]) -> tuple[GenreTag, bool]:
    """What a song held before these changes, and whether what it holds now is of them.

    A change that a crash prevented is passed over: what it started from is still there. Where
    someone else wrote between two changes, theirs is what is brought back.
    """
    tag, known = now, False
    for change in reversed(changes):
        if _same(tag, change.after):
            tag, known = change.before, True
        elif _same(tag, change.before):
            known = True
        else:
            break
    return tag, known


def _same(one: GenreTag, other: GenreTag) -> bool:
    # A file that lost all of its tags is of no kind in particular.
    return one == other or not (one.values or other.values)


def _change(
    change: Change, status: os.stat_result, written: GenreFormat, log: UndoLog | None
) -> None:
    if change.before.kind != change.after.kind:
        raise TagError("its tags are of another kind since; set its genre by hand")
    if log is None:
        return

    def write(copy: Path) -> None:
        try:
            written.write(copy, change.after)
            held = written.read(copy)
        except (TagError, OSError, MemoryError):
            raise
        except Exception as error:  # whatever a damaged file makes of foreign code
            raise TagError(f"its tags can't be written: {error}") from error
        if not _same(held, change.after):
            raise TagError("its tags can't be written so that they read back as they should")

    log.append(change)
    replace_changed(change.path, status, change.temporary, write)


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _reason(error: TagError | OSError) -> str:
    if isinstance(error, OSError):
        return f"it can't be written: {error.strerror or error}"
    return str(error)
