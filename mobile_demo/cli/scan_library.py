"""``scan-library``: a genre for every song of a folder."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from mobile_demo.classifier import Classifier
from mobile_demo.cli.console import Debug, interruption, printable, progress, run, say
from mobile_demo.decoding import SONG_SUFFIXES
from mobile_demo.errors import PocketGenreError
from mobile_demo.files import write_atomically
from mobile_demo.library import ScannedSong, find_songs, scan
from mobile_demo.results import to_csv, to_json
from mobile_demo.shipped import DEFAULT_MODEL, find_model


class Format(StrEnum):
    """How the labels are written."""

    table = "table"
    json = "json"
    csv = "csv"


class VoteRule(StrEnum):
    """How a song's segments decide."""

    majority = "majority"
    probability = "probability"


def scan_library(
    folder: Annotated[Path, typer.Argument(help="Folder with music; the folders in it count too.")],
    model: Annotated[
        str,
        typer.Option(
            help="standard: 13 MFCC, fast. best: more songs right, slower. Or a TFLite file, its"
            " JSON card beside it.",
            metavar="standard|best|FILE",
        ),
    ] = DEFAULT_MODEL,
    vote: Annotated[
        VoteRule,
        typer.Option(help="A voice for each segment, or its probabilities."),
    ] = VoteRule.majority,
    format: Annotated[Format, typer.Option(help="What to write.")] = Format.table,
    out: Annotated[
        Path | None,
        typer.Option(help="Write to this file instead of standard output.", metavar="FILE"),
    ] = None,
    debug: Debug = False,
) -> None:
    """Label every song in FOLDER with its genre, on this machine, without a network.

    Each song is cut in 3 s segments, each segment votes, and the majority is the song's
    genre (--vote probability: the genre that they find the most probable on average). Your
    files are only read. A file that cannot be read costs one line with its reason. The exit
    status is 0 when at least one song was labelled.

    For example:

    - `scan-library ~/Music`

    - `scan-library ~/Music --format json --out genres.json`
    """
    if out:
        _check_output(out)
    classifier = Classifier.load(find_model(model))
    with interruption() as interrupted:
        songs = label_songs(folder, classifier, interrupted, vote.value)
        if interrupted():
            say("Interrupted; here is what was labelled before.")
        write_songs(songs, classifier.card.labels, format, out)
        if interrupted():
            raise typer.Exit(130)
    if not any(song.vote for song in songs):
        raise typer.Exit(1)


def label_songs(
    folder: Path,
    classifier: Classifier,
    interrupted: Callable[[], bool],
    vote: str = VoteRule.majority.value,
) -> list[ScannedSong]:
    """Scan a folder with a progress bar, until the end or an interruption.

    Raises
    ------
    PocketGenreError
        the folder can't be listed or holds no song.
    """
    paths = find_songs(folder)
    if not paths:
        raise PocketGenreError(
            f"There is no music in {folder}; looked for files ending in"
            f" {', '.join(sorted(SONG_SUFFIXES))}."
        )
    sizes = {path: _size(folder / path) for path in paths}  # bytes tell the time left best
    songs = []
    with progress() as bar:
        task = bar.add_task(f"Listening to {len(paths)} songs", total=sum(sizes.values()))
        for song in scan(folder, paths, classifier, vote):
            songs.append(song)
            bar.update(task, advance=sizes[song.path])
            if interrupted():
                break
    return songs


def write_songs(
    songs: Sequence[ScannedSong], labels: Sequence[str], format: Format, out: Path | None
) -> None:
    """Write the labels to a file or to standard output, and the summary to the person."""
    if format is Format.json:
        content = to_json(songs)
    elif format is Format.csv:
        content = to_csv(songs, labels)
    else:
        content = _render(_song_table(songs), to_file=out is not None)
    if out:
        write_atomically(out, content)
        say(f"Wrote {out}.")
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    for line in summary(songs):
        if format is Format.table and not out:
            print(line)
        else:
            say(line)


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
            votes = song.vote.votes[song.vote.genre]
            share = f"{votes} of {song.vote.segments}"
            table.add_row(name, song.vote.genre, share, f"{song.vote.confidence:.0%}")
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


def _check_output(out: Path) -> None:
    if out.suffix.lower() in SONG_SUFFIXES:
        raise PocketGenreError(f"{out} has a song's ending; name another file for the results.")
    if not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
        raise PocketGenreError(f"{out.parent} is not a folder that can be written to.")
    if out.exists() and not out.is_file():
        raise PocketGenreError(f"{out} is not a file; name another one for the results.")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def main() -> None:
    """Entry point of the command."""
    run(scan_library)


if __name__ == "__main__":
    main()
