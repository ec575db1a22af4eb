"""Run ``correct-label``: store the genre that the user gives to a song."""

from pathlib import Path
from typing import Annotated

import typer

from pocketgenre.cli.console import Debug, print_status, run
from pocketgenre.cli.options import CatalogFile, DryRun, Quiet, Version, catalog_file
from pocketgenre.errors import PocketGenreError
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.discovery import list_songs
from pocketgenre.library.genre_folding import clean_genre, letters
from pocketgenre.library.queries import known_labels
from pocketgenre.text import printable


def correct_label(
    song: Annotated[Path, typer.Argument(help="A song of the catalogue.", metavar="SONG")],
    genre: Annotated[
        str | None,
        typer.Argument(help="Its genre: one of the model's, or a new one.", metavar="GENRE"),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the song's correction.")] = False,
    catalog: CatalogFile = None,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    version: Version = False,
    debug: Debug = False,
) -> None:
    """Give a song its genre, in the catalogue only; the file stays unchanged.

    Lists, playlists, reports and tags have this genre from now on, whatever a scan predicts.
    learn-genres learns from it; it outranks the genre in the song's tags.

    For example:

    - `correct-label ~/Music/song.mp3 K-Pop`

    - `correct-label ~/Music/song.mp3 --remove`
    """
    if remove == (genre is not None):
        raise typer.BadParameter("give either a genre or --remove.")
    name = clean_genre(genre or "")
    if genre is not None and name is None:
        raise PocketGenreError(
            f"{printable(genre)!r} can't be a genre; use at most 100 printable characters, and not"
            " 'uncertain'."
        )
    path = list_songs(song).files[0].path if song.is_file() else str(song.absolute())
    with Catalog(catalog_file(catalog), access="read" if dry_run else "write") as opened:
        known = opened.song(path)
        if known is None:
            raise PocketGenreError(
                f"{printable(str(song))} is not in the catalogue; scan its folder with scan-library"
                " first."
            )
        if name:
            by_letters = {letters(label): label for label in known_labels(opened)}
            name = by_letters.get(letters(name), name)
        if not dry_run:
            opened.correct(path, name)
        before = known.genre or "no genre"
    would = "would be" if dry_run else "is"
    if name:
        print_status(f"{printable(str(song))} {would} {printable(name)} (was {printable(before)}).")
    else:
        print_status(f"The correction of {printable(str(song))} {would} removed.")


def main() -> None:
    """Run the command."""
    run(correct_label)


if __name__ == "__main__":
    main()
