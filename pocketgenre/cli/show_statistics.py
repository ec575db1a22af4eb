"""``show-statistics``: the catalogue in numbers."""

import json
import sys
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from pocketgenre.cli.console import Debug, printable, run
from pocketgenre.cli.options import CatalogFile, Folder, Vote, VoteRule, absolute, catalog_file
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.queries import Statistics, count_songs


class StatisticsFormat(StrEnum):
    """How the numbers are written."""

    table = "table"
    json = "json"


def show_statistics(
    folder: Folder = None,
    vote: Vote = VoteRule.majority,
    format: Annotated[
        StatisticsFormat, typer.Option(help="What to write.")
    ] = StatisticsFormat.table,
    catalog: CatalogFile = None,
    debug: Debug = False,
) -> None:
    """Count the songs of the catalogue by genre, and what failed or vanished.

    For example:

    - `show-statistics --folder ~/Music/new`
    """
    with Catalog(catalog_file(catalog)) as opened:
        statistics = count_songs(opened, vote.rule, absolute(folder))
    if format is StatisticsFormat.json:
        json.dump(asdict(statistics), sys.stdout, indent=2, ensure_ascii=False)
        print()
        return
    for line in _lines(statistics):
        print(line)


def _lines(statistics: Statistics) -> list[str]:
    songs = sum(genre.songs for genre in statistics.genres)
    lines = [f"{'Genre':<14}{'Songs':>8}{'Share':>8}{'Confidence':>12}"]
    for genre in statistics.genres:
        share, name = genre.songs / songs, printable(genre.genre)
        lines.append(f"{name:<14}{genre.songs:>8}{share:>8.1%}{genre.confidence:>12.0%}")
    hours = statistics.seconds / 3600
    lines += [
        "",
        f"{songs} songs labelled, from {statistics.segments} segments ({hours:.1f} hours).",
        f"{statistics.failed} could not be labelled (list-songs --failed),"
        f" {statistics.vanished} have vanished (list-songs --vanished).",
    ]
    if len(statistics.models) > 1:
        lines.append("They were heard by different models; scan-library makes that one again:")
        lines += [f"  {count} songs by {model[:12]}…" for model, count in statistics.models]
    return lines


def main() -> None:
    """Entry point of the command."""
    run(show_statistics)


if __name__ == "__main__":
    main()
