"""Run ``export-catalog``: write the catalogue's songs as scan-library does."""

from pathlib import Path
from typing import Annotated

import typer

from pocketgenre.cli.console import Debug, run
from pocketgenre.cli.options import (
    CatalogFile,
    Folder,
    GenreMap,
    MinConfidence,
    MinMargin,
    Quiet,
    Version,
    Vote,
    VoteOption,
    absolute,
    catalog_file,
    label_config,
)
from pocketgenre.cli.output_checks import check_format, format_of, output_path, protected_files
from pocketgenre.cli.song_output import Format, write_songs
from pocketgenre.errors import PocketGenreError
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.genre_names import GenreNames, read_genre_names
from pocketgenre.library.library_song import genres_of
from pocketgenre.library.queries import check_folder, known_labels


def export_catalog(
    folder: Folder = None,
    vote: Vote = VoteOption.majority,
    min_confidence: MinConfidence = None,
    min_margin: MinMargin = -1.0,
    genre_map: GenreMap = None,
    format: Annotated[
        Format | None,
        typer.Option(help="Output format; by default that of the ending of --out, or JSON."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write to this file instead of standard output (-).", metavar="FILE"),
    ] = None,
    catalog: CatalogFile = None,
    quiet: Quiet = False,
    version: Version = False,
    debug: Debug = False,
) -> None:
    """Write every song of the catalogue as scan-library would, without decoding it again.

    Genres are predicted from the stored probabilities of each segment, by --vote and the
    thresholds. Paths are absolute, or relative to --folder. Vanished songs are left out.

    For example:

    - `export-catalog --format csv --out genres.csv`

    - `export-catalog --vote probability --min-margin 0.2`
    """
    out = output_path(out)
    chosen_format = format or format_of(out, Format, Format.json)
    check_format(chosen_format, out, protected_files(catalog_file(catalog)))
    folder = absolute(folder)
    if chosen_format is Format.backup and folder is None:
        raise PocketGenreError(
            "--format backup needs --folder, the folder that has the same name on the phone."
        )
    with Catalog(catalog_file(catalog), access="read") as opened:
        check_folder(opened, folder)
        config = label_config(vote, min_confidence, min_margin)
        names = read_genre_names(genre_map, known_labels(opened))
        found = (song for song in opened.songs(folder, config) if song.state != "vanished")
        songs = GenreNames(names).rename(found)
    write_songs(songs, genres_of(songs), chosen_format, out)


def main() -> None:
    """Run the command."""
    run(export_catalog)


if __name__ == "__main__":
    main()
