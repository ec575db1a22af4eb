"""``undo-tags``: bring back the genres that scan-library --write-tags replaced."""

from pathlib import Path
from typing import Annotated

import typer

from pocketgenre.cli.console import Debug, interruption, print_status, printable, progress, run
from pocketgenre.cli.options import CatalogFile, catalog_file
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.schema import NO_CATALOG
from pocketgenre.library.tags.tagging import Outcome, count_songs, undo_changes
from pocketgenre.library.tags.undo_log import UndoLog, default_undo_file, read_undo_file


def undo_tags(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="The undo file that scan-library wrote. By default the one in your data folder.",
            show_default=False,
        ),
    ] = None,
    catalog: CatalogFile = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Bring back the genre that each song had before `scan-library --write-tags`.

    Each file gets its previous genre to the byte, or none if it had none; everything else in it
    stays as it is now, and so does its time. A song whose genre somebody else changed since is
    left alone. What was undone is not undone again. The catalogue is told, so that the next scan
    need not listen to these songs again. The exit status is 0 when every song holds
    what it held before.

    For example:

    - `undo-tags --dry-run`

    - `undo-tags`
    """
    path = file or default_undo_file()
    entries = list(read_undo_file(path))
    unreadable = sum(entry is None for entry in entries)
    if unreadable:
        print_status(
            f"{unreadable} lines of {printable(str(path))} can't be read and are passed over."
        )
    if not count_songs(entries):
        print_status("There is nothing to bring back: all of it was brought back before.")
        return
    if dry_run:
        outcomes, interrupted = list(undo_changes(entries, None)), False
    else:
        outcomes, interrupted = _undo(path, catalog_file(catalog))
    for outcome in outcomes:
        _print(outcome, "restore" if dry_run else "restored")
    changed = sum(outcome.done == "changed" for outcome in outcomes)
    would = "would be" if dry_run else "were"
    print_status(f"The genres of {changed} songs {would} brought back.")
    if interrupted:
        print_status("Interrupted; the same command goes on with the rest.")
        raise typer.Exit(130)
    if any(outcome.failed for outcome in outcomes):
        raise typer.Exit(1)


def _undo(path: Path, catalog: Path) -> tuple[list[Outcome], bool]:
    """Undo with a progress bar; what became of each song, and whether it was interrupted."""
    outcomes = []
    with (
        Catalog(catalog if catalog.is_file() else NO_CATALOG, create=True) as known,
        UndoLog(path) as log,
        interruption() as interrupted,
        progress() as bar,
    ):
        entries = list(read_undo_file(path))  # anew, now that nobody else writes to it
        total = count_songs(entries)
        task = bar.add_task(f"Bringing back the genres of {total} songs", total=total)
        for outcome in undo_changes(entries, log):
            outcomes.append(outcome)
            if outcome.was:
                known.restamp(outcome.path, outcome.was)
            bar.update(task, advance=1)
            if interrupted():
                return outcomes, len(outcomes) < total
    return outcomes, False


def _print(outcome: Outcome, verb: str) -> None:
    name = printable(str(outcome.path))
    if outcome.done == "changed":
        print(f"{verb:<10}{name}: {printable(outcome.before)} -> {printable(outcome.after)}")
    else:
        verb = "keep" if outcome.done == "kept" else "refuse"
        print(f"{verb:<10}{name}: {printable(outcome.reason or '')}")


def main() -> None:
    """Entry point of the command."""
    run(undo_tags)


if __name__ == "__main__":
    main()
