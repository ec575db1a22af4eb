"""Write songs with their predictions to standard output or a file."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from pocketgenre.atomic_write import write_atomic
from pocketgenre.cli.console import print_status, progress
from pocketgenre.constants import NOT_MUSIC, UNCERTAIN
from pocketgenre.library.discovery import display_address
from pocketgenre.library.library_song import LibrarySong
from pocketgenre.library.serialize import to_csv, to_json, to_json_lines
from pocketgenre.plugins import load_plugin
from pocketgenre.prediction import SongPrediction
from pocketgenre.text import count_of, encode_escaped, printable

_MAX_TABLE_ROWS = 500
"""Longer tables are printed as plain lines, since their layout would take rich too long."""

_SLOW_SONGS = 5000
"""Number of songs that take more than a second to write."""

_PARTIAL = " (partial)"
"""Mark of a song that was not classified to its end."""

_ENTRY_POINTS = "pocketgenre.writers"
"""Entry points that take songs, genres and a file to write."""


class Format(StrEnum):
    """Values of ``--format``."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"


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
    songs: Sequence[LibrarySong], labels: Sequence[str], format: Format, out: Path | None
) -> None:
    """Write songs to a file or to standard output, and a summary.

    Parameters
    ----------
    songs : songs in the order of the output
    labels : every genre of the songs' models
    format : output format
    out : file; None for standard output
    """
    with_bar = with_progress(songs, f"Writing {count_of(len(songs), 'song')}")
    if format is Format.parquet and out:
        parquet_writer()(with_bar, labels, out)
        print_status(f"Wrote {printable(display_address(out))}.")
    else:
        write_content(_content(with_bar, songs, labels, format, out), out)
    for line in summary(songs):
        if format is Format.table and not out:
            print(line)
        else:
            print_status(line)


def _content(
    with_bar: Iterator[LibrarySong],
    songs: Sequence[LibrarySong],
    labels: Sequence[str],
    format: Format,
    out: Path | None,
) -> bytes:
    if format is Format.json:
        return to_json(with_bar)
    if format is Format.jsonl:
        return to_json_lines(with_bar)
    if format is Format.csv:
        return to_csv(with_bar, labels)
    if len(songs) > _MAX_TABLE_ROWS:
        return "".join(f"{song_line(song)}\n" for song in songs).encode()
    return _render(_song_table(songs), to_file=out is not None)


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


def summary(songs: Sequence[LibrarySong]) -> list[str]:
    """Count songs by genre, and uncertain, partial and failed ones and those without music."""
    genres = Counter(song.prediction.genre for song in songs if song.prediction)
    failed = len(songs) - genres.total()
    uncertain, not_music = genres.pop(UNCERTAIN, 0), genres.pop(NOT_MUSIC, 0)
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
        lines.append(f"{failed:,} could not be labelled; the line of each gives the reason.")
    return lines


def song_line(song: LibrarySong) -> str:
    """Format a song as one line: genre, confidence, votes, path; or its error."""
    name = printable(song.name.as_posix())
    if not song.prediction:
        return f"{'-':<12}{'':>5}{'':>12}  {name}: {printable(song.error or '')}"
    genre = printable(song.prediction.genre)
    line = f"{genre:<12}{song.prediction.confidence:>5.0%}{_votes(song.prediction):>12}  {name}"
    return f"{line}{_PARTIAL}" if song.prediction.is_partial else line


def _votes(prediction: SongPrediction) -> str:
    return f"{prediction.votes[prediction.winner]} of {sum(prediction.votes.values())}"


def _song_table(songs: Sequence[LibrarySong]) -> Table:
    table = Table(
        Column("Song", overflow="fold"),
        Column("Genre", no_wrap=True),
        Column("Votes", justify="right", no_wrap=True),
        Column("Confidence", justify="right", no_wrap=True),
        Column("Margin", justify="right", no_wrap=True),
    )
    for song in songs:
        name = Text(printable(song.name.as_posix()))
        if prediction := song.prediction:
            if prediction.is_partial:
                name.append(_PARTIAL, style="yellow")
            table.add_row(
                name,
                Text(printable(prediction.genre)),
                _votes(prediction),
                f"{prediction.confidence:.0%}",
                f"{prediction.margin:+.2f}",
            )
        else:
            name.append(f"\n{printable(song.error or '')}", style="red")
            table.add_row(name, "-", "-", "-", "-")
    return table


def _render(table: Table, *, to_file: bool) -> bytes:
    if to_file:
        console = Console(width=100, color_system=None, highlight=False, force_terminal=False)
    else:
        console = Console(highlight=False)
    with console.capture() as capture:
        console.print(table)
    return encode_escaped(capture.get())
