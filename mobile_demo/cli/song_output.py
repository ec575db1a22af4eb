"""Write the songs of a scan: as a table, JSON or CSV, to a file or to standard output."""

import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from mobile_demo.cli.console import printable, say
from mobile_demo.decoding import SONG_SUFFIXES
from mobile_demo.errors import PocketGenreError
from mobile_demo.files import write_atomically
from mobile_demo.library import ScannedSong
from mobile_demo.results import to_csv, to_json
from mobile_demo.scanner.label import Thresholds, label_song
from mobile_demo.scanner.queries import Rule
from mobile_demo.scanner.song import CatalogSong
from mobile_demo.vote import VOTES

_TABLE_ROWS = 500
"""More are printed as plain lines: rich takes longer to lay them out than a scan to check them."""


class Format(StrEnum):
    """How the labels are written."""

    table = "table"
    json = "json"
    csv = "csv"


def to_scanned(
    song: CatalogSong, folder: Path | None, rule: Rule, thresholds: Thresholds
) -> ScannedSong:
    """A song of the catalogue as results show it: its path relative to a folder, and its vote."""
    path = song.path.relative_to(folder) if folder else song.path
    if song.probabilities is None:
        return ScannedSong(path, error=song.error)
    vote = VOTES[rule](song.probabilities, song.labels)
    label = label_song(song.probabilities, song.labels, rule, thresholds)
    return ScannedSong(path, replace(vote, genre=label.genre))


def write_songs(
    songs: Sequence[ScannedSong], labels: Sequence[str], format: Format, out: Path | None
) -> None:
    """Write the labels to a file or to standard output, and the summary to the person."""
    if format is Format.json:
        content = to_json(songs)
    elif format is Format.csv:
        content = to_csv(songs, labels)
    elif len(songs) > _TABLE_ROWS:
        content = _lines(songs)
    else:
        content = _render(_song_table(songs), to_file=out is not None)
    write_content(content, out)
    for line in summary(songs):
        if format is Format.table and not out:
            print(line)
        else:
            say(line)


def write_content(content: bytes, out: Path | None) -> None:
    """Write to a file, or to standard output."""
    if out:
        write_atomically(out, content)
        say(f"Wrote {out}.")
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


def summary(songs: Sequence[ScannedSong]) -> list[str]:
    """How many songs of each genre, and how many files failed."""
    genres = Counter(song.vote.genre for song in songs if song.vote)
    failed = len(songs) - genres.total()
    counts = ", ".join(f"{genre} {count}" for genre, count in genres.most_common())
    lines = [
        f"{genres.total()} of {len(songs)} songs labelled" + (f": {counts}." if counts else ".")
    ]
    if failed:
        lines.append(f"{failed} could not be labelled; the reason stands in each one's line.")
    return lines


def check_output(out: Path) -> None:
    """Refuse a place for results before hours of work.

    Raises
    ------
    PocketGenreError
        it is a song, no file, or in a folder that can't be written to.
    """
    if out.suffix.lower() in SONG_SUFFIXES:
        raise PocketGenreError(f"{out} has a song's ending; name another file for the results.")
    if not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
        raise PocketGenreError(f"{out.parent} is not a folder that can be written to.")
    if out.exists() and not out.is_file():
        raise PocketGenreError(f"{out} is not a file; name another one for the results.")


def line_of(song: ScannedSong) -> str:
    """A song in one line: genre, confidence, votes, path; or what was wrong with it."""
    name = printable(song.path.as_posix())
    if not song.vote:
        return f"{'-':<12}{'':>5}{'':>12}  {name}: {printable(song.error or '')}"
    share = f"{_votes(song)} of {song.vote.segments}"
    genre = printable(song.vote.genre)
    return f"{genre:<12}{song.vote.confidence:>5.0%}{share:>12}  {name}"


def _votes(song: ScannedSong) -> int:
    """Of the genre that won, even if the song is called uncertain."""
    assert song.vote  # noqa: S101  # for the type checker
    return song.vote.votes.get(song.vote.genre, max(song.vote.votes.values()))


def _lines(songs: Sequence[ScannedSong]) -> bytes:
    return "".join(f"{line_of(song)}\n" for song in songs).encode("utf-8", "backslashreplace")


def _song_table(songs: Sequence[ScannedSong]) -> Table:
    table = Table(
        Column("Song", overflow="fold"),
        Column("Genre", no_wrap=True),
        Column("Votes", justify="right", no_wrap=True),
        Column("Confidence", justify="right", no_wrap=True),
    )
    for song in songs:
        name = Text(printable(song.path.as_posix()))
        if song.vote:
            share = f"{_votes(song)} of {song.vote.segments}"
            table.add_row(name, printable(song.vote.genre), share, f"{song.vote.confidence:.0%}")
        else:
            name.append(f"\n{printable(song.error or '')}", style="red")
            table.add_row(name, "-", "-", "-")
    return table


def _render(table: Table, *, to_file: bool) -> bytes:
    if to_file:
        console = Console(width=100, color_system=None, highlight=False, force_terminal=False)
    else:
        console = Console(highlight=False)
    with console.capture() as capture:
        console.print(table)
    return capture.get().encode("utf-8", "backslashreplace")
