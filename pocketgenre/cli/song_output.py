"""Write songs with their predictions to standard output or a file."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from pocketgenre.atomic_write import write_atomic
from pocketgenre.cli.console import print_status, progress
from pocketgenre.cli.song_table import PARTIAL, render_table, votes
from pocketgenre.constants import NOT_MUSIC, UNCERTAIN
from pocketgenre.library.backup import is_in_backup, to_backup
from pocketgenre.library.discovery import display_address
from pocketgenre.library.library_song import LibrarySong
from pocketgenre.library.serialize import to_csv, to_json, to_json_lines
from pocketgenre.plugins import load_plugin
from pocketgenre.text import count_of, printable

_MAX_TABLE_ROWS = 500
"""Longer tables are printed as plain lines, since their layout would take rich too long."""

_SLOW_SONGS = 5000
"""Number of songs that take more than a second to write."""

_ENTRY_POINTS = "pocketgenre.writers"
"""Entry points that take songs, genres and a file to write."""


class Format(StrEnum):
    """Values of ``--format``."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"
    backup = "backup"


def parquet_writer() -> Callable[[Iterable[LibrarySong], Sequence[str], Path], None]:
    """Load the function that writes Parquet.

    Raises
    ------
    PocketGenreError
        if the extra for it is not installed.
    """
    writer: Callable[..., None] = load_plugin(_ENTRY_POINTS, "parquet", "--format parquet")
    return writer


def write_songs(
    songs: Sequence[LibrarySong],
    labels: Sequence[str],
    format: Format,
    out: Path | None,
    columns: Sequence[str] = (),
) -> None:
    """Write songs to a file or to standard output, and a summary.

    Parameters
    ----------
    songs : songs in the order of the output
    labels : every genre of the songs' models
    format : output format
    out : file; None for standard output
    columns : columns of the table; the usual ones by default
    """
    with_bar = with_progress(songs, f"Writing {count_of(len(songs), 'song')}")
    if format is Format.parquet and out:
        parquet_writer()(with_bar, labels, out)
        print_status(f"Wrote {printable(display_address(out))}.")
    else:
        write_content(_content(with_bar, songs, labels, format, out, columns), out)
    for line in summary(songs, has_lines=format is Format.table):
        if format is Format.table and not out:
            print(line)
        else:
            print_status(line)
    left_out = sum(not is_in_backup(song) for song in songs) if format is Format.backup else 0
    if left_out:
        print_status(f"{count_of(left_out, 'song')} left out of the backup: not fully classified.")


def _content(
    with_bar: Iterator[LibrarySong],
    songs: Sequence[LibrarySong],
    labels: Sequence[str],
    format: Format,
    out: Path | None,
    columns: Sequence[str],
) -> bytes:
    if format is Format.json:
        return to_json(with_bar)
    if format is Format.jsonl:
        return to_json_lines(with_bar)
    if format is Format.csv:
        return to_csv(with_bar, labels)
    if format is Format.backup:
        return to_backup(with_bar)
    if len(songs) > _MAX_TABLE_ROWS:
        return "".join(f"{song_line(song)}\n" for song in songs).encode()
    return render_table(songs, columns, to_file=out is not None)


def with_progress(songs: Sequence[LibrarySong], description: str) -> Iterator[LibrarySong]:
    """Iterate over songs, with a progress bar if that takes seconds."""
    if len(songs) < _SLOW_SONGS:
        yield from songs
        return
    with progress() as bar:
        yield from bar.track(songs, description=description)


def write_content(content: bytes, out: Path | None) -> None:
    """Write bytes to a file, or to standard output."""
    if out:
        write_atomic(out, content)
        print_status(f"Wrote {printable(str(out))}.")
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


def summary(songs: Sequence[LibrarySong], *, has_lines: bool) -> list[str]:
    """Count songs by genre, and uncertain, partial and failed ones and those without music.

    Parameters
    ----------
    songs : songs
    has_lines : True if each song has a line, False if it has fields
    """
    labels = Counter(song.prediction.genre for song in songs if song.prediction)
    failed = len(songs) - labels.total()
    uncertain, not_music = labels.pop(UNCERTAIN, 0), labels.pop(NOT_MUSIC, 0)
    genres = Counter(
        song.genre or "" for song in songs if song.prediction and song.prediction.genre in labels
    )
    counts = ", ".join(f"{printable(genre)} {count}" for genre, count in genres.most_common())
    total = f"{genres.total():,} of {count_of(len(songs), 'song')} labelled"
    lines = [f"{total}: {counts}." if counts else f"{total}."]
    if uncertain:
        verb = "is" if uncertain == 1 else "are"
        lines.append(f"{uncertain:,} {verb} uncertain; --min-confidence 0 labels all songs.")
    if not_music:
        lines.append(f"{count_of(not_music, 'file')} without music ({NOT_MUSIC}).")
    partial = sum(song.prediction is not None and song.prediction.is_partial for song in songs)
    if partial:
        lines.append(f"{count_of(partial, 'song')} classified without the end (partial).")
    if failed:
        line = "its line" if failed == 1 else "the line of each"
        place = line if has_lines else "the field `error`"
        lines.append(f"{failed:,} could not be labelled; {place} gives the reason.")
    return lines


def song_line(song: LibrarySong) -> str:
    """Format a song as one line: genre, confidence, votes, path; or its error."""
    name = printable(song.name.as_posix())
    if not song.prediction:
        return f"{'-':<12}{'':>5}{'':>12}  {name}: {printable(song.error or '')}"
    genre = printable(song.genre or "")
    line = f"{genre:<12}{song.prediction.confidence:>5.0%}{votes(song.prediction):>12}  {name}"
    return f"{line}{PARTIAL}" if song.prediction.is_partial else line
