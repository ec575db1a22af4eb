"""``compare-runs``: finished runs side by side."""

import json
from pathlib import Path
from typing import Annotated

import typer

from pocketgenre.atomic_write import write_atomic
from pocketgenre.cli.console import Debug, print_status, run
from pocketgenre.training.evaluation.run_comparison import compare, comparison_page
from pocketgenre.training.runs import Run


def compare_runs(
    run_folders: Annotated[
        list[Path], typer.Argument(help="Runs that train-model made.", metavar="RUN")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the table and picture.", metavar="DIR")],
    debug: Debug = False,
) -> None:
    """Put runs in one table and one picture, beside the published figures.

    Runs that differ in their seed alone are summarised as well. Writes comparison.md,
    comparison.json and comparison.png into DIR, over earlier ones, and prints the table.

    Example:

      compare-runs runs/cnn-seed1 runs/cnn-seed2 runs/lstm --out comparison
    """
    comparison = compare([Run.load(folder) for folder in run_folders])
    from pocketgenre.training.plots.comparison import plot_comparison

    for warning in comparison.warnings:
        print_status(f"Warning: {warning}")
    out.mkdir(parents=True, exist_ok=True)
    page = comparison_page(comparison)
    plot_comparison(comparison, out / "comparison.png")
    write_atomic(out / "comparison.md", f"{page}\n![Runs side by side](comparison.png)\n".encode())
    content = json.dumps(comparison.to_dict(), indent=2) + "\n"
    write_atomic(out / "comparison.json", content.encode())
    print(page)
    print_status(f"The table and a picture are in {out / 'comparison.md'}.")


def main() -> None:
    """Entry point of the command."""
    run(compare_runs)


if __name__ == "__main__":
    main()
