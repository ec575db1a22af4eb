"""Run ``compare-runs``: compare the metrics of finished runs."""

import json
from pathlib import Path
from typing import Annotated

import typer

from pocketgenre.atomic_write import write_atomic
from pocketgenre.cli.console import Debug, print_status, run
from pocketgenre.training.evaluation.report_markdown import comparison_report
from pocketgenre.training.evaluation.run_comparison import compare
from pocketgenre.training.runs import Run


def compare_runs(
    run_folders: Annotated[
        list[Path], typer.Argument(help="Run folders written by train-model.", metavar="RUN")
    ],
    out: Annotated[Path, typer.Option(help="Output folder.", metavar="DIR")],
    debug: Debug = False,
) -> None:
    """Compare runs with each other and with published accuracies.

    Runs that differ only in their seed are also summarised. Writes comparison.md, comparison.json
    and comparison.png to DIR and prints the table. Existing files are overwritten.

    Example:

      compare-runs runs/cnn-seed1 runs/cnn-seed2 runs/lstm --out comparison
    """
    comparison = compare([Run.load(folder) for folder in run_folders])
    from pocketgenre.training.plots.comparison_plots import plot_comparison

    for warning in comparison.warnings:
        print_status(f"Warning: {warning}")
    out.mkdir(parents=True, exist_ok=True)
    report = comparison_report(comparison)
    plot_comparison(comparison, out / "comparison.png")
    write_atomic(
        out / "comparison.md", f"{report}\n![Comparison of runs](comparison.png)\n".encode()
    )
    content = json.dumps(comparison.to_dict(), indent=2) + "\n"
    write_atomic(out / "comparison.json", content.encode())
    print(report)
    print_status(f"The table and the picture are in {out / 'comparison.md'}.")


def main() -> None:
    """Run the command."""
    run(compare_runs)


if __name__ == "__main__":
    main()
