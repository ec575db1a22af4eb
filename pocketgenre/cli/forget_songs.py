"""Run ``forget-songs``: remove songs from the catalogue; the files stay."""

import os
from typing import Annotated

import typer

from pocketgenre.cli.console import Debug, print_status, run
from pocketgenre.cli.options import (
    CatalogFile,
    DryRun,
    Folder,
    Quiet,
    Version,
    absolute,
    catalog_file,
)
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.library_song import State
from pocketgenre.library.queries import Selection, select_songs
from pocketgenre.text import count_of, printable


def forget_songs(
    folder: Folder = None,
    vanished: Annotated[
        bool, typer.Option("--vanished", help="Songs whose files are gone.")
    ] = False,
    failed: Annotated[
        bool, typer.Option("--failed", help="Songs that could not be classified.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="All songs.")] = False,
    catalog: CatalogFile = None,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    version: Version = False,
    debug: Debug = False,
) -> None:
    """Remove songs from the catalogue, never a file; the next scan classifies them again.

    Choose --vanished, --failed or --all, and --folder for the songs below one folder.

    For example:

    - `forget-songs --vanished --dry-run`

    - `forget-songs --all --folder ~/Music/old`
    """
    states: list[State] = []
    if vanished or everything:
        states.append("vanished")
    if failed or everything:
        states.append("failed")
    if everything:
        states.append("labelled")
    if not states:
        raise typer.BadParameter("choose songs with --vanished, --failed or --all.")
    below = absolute(folder)
    with Catalog(catalog_file(catalog), access="read" if dry_run else "write") as opened:
        paths = [
            os.fsdecode(row.path)
            for state in states
            for row in select_songs(opened, Selection(state, folder=below))
        ]
        if dry_run:
            for path in paths:
                print(printable(path))
            print_status(f"{count_of(len(paths), 'song')} would be removed from the catalogue.")
            return
        opened.forget(paths)
    print_status(f"Removed {count_of(len(paths), 'song')} from the catalogue.")


def main() -> None:
    """Run the command."""
    run(forget_songs)


if __name__ == "__main__":
    main()
