"""Run ``undo-tags``: restore the genres that scan-library --write-tags replaced."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from pocketgenre.cli.console import Debug, interrupt_flag, print_status, progress, run
from pocketgenre.cli.options import CatalogFile, DryRun, Quiet, Version, catalog_file
from pocketgenre.cli.tag_output import KeepTimesOption, SettleOption
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.schema import NO_CATALOG
from pocketgenre.library.tags.tagging import (
    SETTLE_SECONDS,
    Outcome,
    TagConfig,
    count_undoable,
    undo_changes,
)
from pocketgenre.library.tags.undo_log import UndoLog, default_undo_file, read_undo_file
from pocketgenre.text import count_of, printable


def undo_tags(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="The undo file that scan-library wrote. By default the one in your data folder.",
            show_default=False,
        ),
    ] = None,
    catalog: CatalogFile = None,
    settle: SettleOption = SETTLE_SECONDS,
    keep_times: KeepTimesOption = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    version: Version = False,
    debug: Debug = False,
) -> None:
    """Restore the genre that each song had before `scan-library --write-tags`.

    Each file gets its previous genre, or no genre if it had none; the rest of the file stays
    unchanged. A song whose genre another program has changed is kept. Songs that were moved are
    found if they were scanned since. A change is undone once. The catalogue is updated, so that
    the next scan does not decode these songs again. The exit status is 0 if every song has its
    previous genre.

    For example:

    - `undo-tags --dry-run`

    - `undo-tags`
    """
    path = file or default_undo_file()
    entries = list(read_undo_file(path))
    unreadable = sum(entry is None for entry in entries)
    if unreadable:
        lines = count_of(unreadable, "invalid line")
        print_status(f"Skipped {lines} of {printable(str(path))}.")
    if not count_undoable(entries):
        print_status("There is nothing to restore: all changes have been undone.")
        return
    config = TagConfig(settle_seconds=settle, keep_times=keep_times)
    if dry_run:
        with _open_catalog(catalog_file(catalog), "copy") as opened:
            outcomes = list(undo_changes(entries, None, config, opened.current_path))
        interrupted = False
    else:
        outcomes, interrupted = _undo(path, catalog_file(catalog), config)
    for outcome in outcomes:
        _print(outcome, "restore" if dry_run else "restored")
    changed = sum(outcome.action == "changed" for outcome in outcomes)
    verb = "Would restore" if dry_run else "Restored"
    print_status(f"{verb} the genre of {count_of(changed, 'song')}.")
    if interrupted:
        print_status("Interrupted; the same command continues with the rest.")
        raise typer.Exit(130)
    if any(outcome.has_failed for outcome in outcomes):
        raise typer.Exit(1)


def _open_catalog(file: Path, access: Literal["write", "copy"]) -> Catalog:
    return Catalog(file if file.is_file() else NO_CATALOG, create=True, access=access)


def _undo(path: Path, catalog: Path, config: TagConfig) -> tuple[list[Outcome], bool]:
    """Undo with a progress bar; return the outcomes, and True if interrupted."""
    outcomes = []
    with (
        _open_catalog(catalog, "write") as opened,
        UndoLog(path) as log,
        interrupt_flag() as is_interrupted,
        progress() as bar,
    ):
        entries = list(read_undo_file(path))  # again, now that the file is locked
        total = count_undoable(entries)
        task = bar.add_task(f"Restoring the genre of {count_of(total, 'song')}", total=total)
        for outcome in undo_changes(entries, log, config, opened.current_path):
            outcomes.append(outcome)
            if outcome.stat_before:
                opened.update_stat(outcome.path, outcome.stat_before)
            bar.update(task, advance=1)
            if is_interrupted():
                return outcomes, len(outcomes) < total
    return outcomes, False


def _print(outcome: Outcome, verb: str) -> None:
    name = printable(str(outcome.path))
    if outcome.action == "changed":
        print(f"{verb:<10}{name}: {printable(outcome.before)} -> {printable(outcome.after)}")
    else:
        verb = "keep" if outcome.action == "kept" else "refuse"
        print(f"{verb:<10}{name}: {printable(outcome.reason or '')}")


def main() -> None:
    """Run the command."""
    run(undo_tags)


if __name__ == "__main__":
    main()
