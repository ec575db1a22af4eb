"""Run ``show-statistics``: show statistics of the catalogue."""

import json
import shutil
import sys
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from pocketgenre.cli.console import Debug, run
from pocketgenre.cli.options import (
    CatalogFile,
    Folder,
    GenreMap,
    Quiet,
    Version,
    Vote,
    VoteOption,
    absolute,
    catalog_file,
)
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.genre_names import read_genre_names
from pocketgenre.library.queries import (
    Statistics,
    check_folder,
    compute_statistics,
    known_labels,
    rename_genres,
)
from pocketgenre.text import count_of, printable

_NUMBERS_WIDTH = 42
_MIN_BAR_WIDTH, _MAX_BAR_WIDTH = 8, 40


class StatisticsFormat(StrEnum):
    """Values of ``--format``."""

    table = "table"
    json = "json"


def show_statistics(
    folder: Folder = None,
    vote: Vote = VoteOption.majority,
    genre_map: GenreMap = None,
    format: Annotated[
        StatisticsFormat, typer.Option(help="Output format.")
    ] = StatisticsFormat.table,
    catalog: CatalogFile = None,
    quiet: Quiet = False,
    version: Version = False,
    debug: Debug = False,
) -> None:
    """Count the songs of the catalogue by genre, failures and vanished files.

    For example:

    - `show-statistics --folder ~/Music/new`
    """
    with Catalog(catalog_file(catalog), access="read") as opened:
        check_folder(opened, absolute(folder))
        names = read_genre_names(genre_map, known_labels(opened))
        counted = compute_statistics(opened, vote.rule, absolute(folder))
    statistics = rename_genres(counted, names)
    if format is StatisticsFormat.json:
        json.dump(asdict(statistics), sys.stdout, indent=2, ensure_ascii=False)
        print()
        return
    for line in _lines(statistics):
        print(line)


def _lines(statistics: Statistics) -> list[str]:
    songs = sum(genre.songs for genre in statistics.genres)
    most = max((genre.songs for genre in statistics.genres), default=0)
    # Bars have the width that the terminal leaves, down to none on a phone.
    bar_width = min(_MAX_BAR_WIDTH, shutil.get_terminal_size().columns - _NUMBERS_WIDTH - 2)
    lines = [f"{'Genre':<14}{'Songs':>8}{'Share':>8}{'Confidence':>12}"]
    for genre in statistics.genres:
        share, name = genre.songs / songs, printable(genre.genre)
        bar = _bar(genre.songs / most, bar_width)
        line = f"{name:<14}{genre.songs:>8}{share:>8.1%}{genre.confidence:>12.0%}  {bar}"
        lines.append(line.rstrip())
    hours = statistics.seconds / 3600
    lines += [
        "",
        f"{count_of(songs, 'song')} labelled, from {count_of(statistics.segments, 'segment')}"
        f" ({hours:.1f} hours).",
        f"{count_of(statistics.failed, 'song')} could not be labelled (list-songs --failed),"
        f" {count_of(statistics.vanished, 'song')} vanished (list-songs --vanished).",
    ]
    if len(statistics.models) > 1:
        lines.append("Several models classified them; scan-library classifies all with one model:")
        lines += [
            f"  {count_of(count, 'song')} by {model[:12]}…" for model, count in statistics.models
        ]
    return lines


def _bar(share: float, width: int) -> str:
    """Draw a bar in steps of an eighth of a character."""
    if width < _MIN_BAR_WIDTH:
        return ""
    whole, eighths = divmod(max(1, round(share * width * 8)), 8)
    return "█" * whole + " ▏▎▍▌▋▊▉"[eighths].strip()


def main() -> None:
    """Run the command."""
    run(show_statistics)


if __name__ == "__main__":
    main()
