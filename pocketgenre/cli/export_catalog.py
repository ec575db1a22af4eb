"""``export-catalog``: the catalogue's results as scan-library writes them."""

from pathlib import Path
from typing import Annotated

import typer

from pocketgenre.cli.console import Debug, run
from pocketgenre.cli.options import (
    CatalogFile,
    Folder,
    MinConfidence,
    MinMargin,
    Vote,
    VoteRule,
    absolute,
    catalog_file,
)
from pocketgenre.cli.output_checks import check_format, protected_files
from pocketgenre.cli.song_output import Format, write_songs
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.label import Thresholds
from pocketgenre.library.labelled import genres_of, label_songs


def export_catalog(
    folder: Folder = None,
    vote: Vote = VoteRule.majority,
    min_confidence: MinConfidence = 0.0,
    min_margin: MinMargin = -1.0,
    format: Annotated[Format, typer.Option(help="What to write.")] = Format.json,
    out: Annotated[
        Path | None,
        typer.Option(help="Write to this file instead of standard output.", metavar="FILE"),
    ] = None,
    catalog: CatalogFile = None,
    debug: Debug = False,
) -> None:
    """Write every song of the catalogue as scan-library would, without listening again.

    Labels are made anew from what the network said of each segment, by --vote and the
    thresholds. Paths are absolute, or relative to --folder. Songs that have vanished are left out.

    For example:

    - `export-catalog --format csv --out genres.csv`

    - `export-catalog --vote probability --min-margin 0.2`
    """
    check_format(format, out, protected_files(catalog_file(catalog)))
    folder = absolute(folder)
    thresholds = Thresholds(min_confidence, min_margin)
    with Catalog(catalog_file(catalog)) as opened:
        songs = [song for song in opened.songs(folder) if song.state != "vanished"]
    labelled = list(label_songs(songs, folder, vote.rule, thresholds))
    write_songs(labelled, genres_of(labelled), format, out)


def main() -> None:
    """Entry point of the command."""
    run(export_catalog)


if __name__ == "__main__":
    main()
