"""Songs with their labels on standard output or in a file: as a table, JSON, JSON lines or CSV."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from pocketgenre.atomic_write import write_atomic
from pocketgenre.cli.console import print_status, printable, progress
from pocketgenre.library.discovery import display_address
from pocketgenre.library.label import UNCERTAIN, SongLabel
from pocketgenre.library.labelled import LabelledSong
from pocketgenre.library.serialize import to_csv, to_json, to_json_lines
from pocketgenre.plugins import load_plugin

_TABLE_ROWS = 500
"""More are printed as plain lines: rich takes longer to lay them out than a scan to check them."""

_TAKES_SECONDS = 5000
"""So many songs take more than a second to write."""


class Format(StrEnum):
    """How the labels are written."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"


_PLUGINS = "pocketgenre.writers"
"""Entry points that are called with songs, genres and a file to write them to."""


def parquet_writer() -> Callable[[Iterable[LabelledSong], Sequence[str], Path], None]:
    """What writes Parquet.

    Raises
    ------
    PocketGenreError
        it is not installed.
    """
    writer: Callable[..., None] = load_plugin(_PLUGINS, "parquet", "--format parquet")
    return writer


def write_songs(
    songs: Sequence[LabelledSong], labels: Sequence[str], format: Format, out: Path | None
) -> None:
    """Write the labels to a file or to standard output, and the summary to the person."""
    shown = with_progress(songs, f"Writing {len(songs)} songs")
    if format is Format.parquet and out:
        parquet_writer()(shown, labels, out)
        print_status(f"Wrote {printable(display_address(out))}.")
    else:
        write_content(_content(shown, songs, labels, format, out), out)
    for line in summary(songs):
        if format is Format.table and not out:
            print(line)
        else:
            print_status(line)


def _content(
    shown: Iterator[LabelledSong],
    songs: Sequence[LabelledSong],
    labels: Sequence[str],
    format: Format,
    out: Path | None,
) -> bytes:
    if format is Format.json:
        return to_json(shown)
    if format is Format.jsonl:
        return to_json_lines(shown)
    if format is Format.csv:
        return to_csv(shown, labels)
    if len(songs) > _TABLE_ROWS:
        return "".join(f"{line_of(song)}\n" for song in songs).encode()
    return _render(_song_table(songs), to_file=out is not None)


def with_progress(songs: Sequence[LabelledSong], what: str) -> Iterator[LabelledSong]:
    """The songs, with a progress bar where they are so many that it takes seconds."""
    if len(songs) < _TAKES_SECONDS:
        yield from songs
        return
    with progress() as bar:
        yield from bar.track(songs, description=what)


def write_content(content: bytes, out: Path | None) -> None:
    """Write to a file, or to standard output."""
    if out:
        write_atomic(out, content)
        print_status(f"Wrote {printable(str(out))}.")
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


def summary(songs: Sequence[LabelledSong]) -> list[str]:
    """How many songs of each genre, how many are uncertain, and how many files failed."""
    genres = Counter(song.label.genre for song in songs if song.label)
    failed = len(songs) - genres.total()
    uncertain = genres.pop(UNCERTAIN, 0)
    counts = ", ".join(f"{printable(genre)} {count}" for genre, count in genres.most_common())
    lines = [
        f"{genres.total()} of {len(songs)} songs labelled" + (f": {counts}." if counts else ".")
    ]
    if uncertain:
        lines.append(f"{uncertain} are uncertain: below --min-confidence or --min-margin.")
    if failed:
        lines.append(f"{failed} could not be labelled; the reason stands in each one's line.")
    return lines


def line_of(song: LabelledSong) -> str:
    """A song in one line: genre, confidence, votes, path; or what was wrong with it."""
    name = printable(song.name.as_posix())
    if not song.label:
        return f"{'-':<12}{'':>5}{'':>12}  {name}: {printable(song.error or '')}"
    genre = printable(song.label.genre)
    return f"{genre:<12}{song.label.confidence:>5.0%}{_votes(song.label):>12}  {name}"


def _votes(label: SongLabel) -> str:
    # Of the genre that won, even if the song is called uncertain.
    won = label.votes.get(label.genre, max(label.votes.values()))
    return f"{won} of {label.segments}"


def _song_table(songs: Sequence[LabelledSong]) -> Table:
    table = Table(
        Column("Song", overflow="fold"),
        Column("Genre", no_wrap=True),
        Column("Votes", justify="right", no_wrap=True),
        Column("Confidence", justify="right", no_wrap=True),
        Column("Margin", justify="right", no_wrap=True),
    )
    for song in songs:
        name = Text(printable(song.name.as_posix()))
        label = song.label
        if label:
            genre = Text(printable(label.genre))
            table.add_row(
                name, genre, _votes(label), f"{label.confidence:.0%}", f"{label.margin:+.2f}"
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
    return capture.get().encode("utf-8", "backslashreplace")
