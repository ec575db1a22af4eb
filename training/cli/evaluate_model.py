"""``evaluate-model``: what a run is worth, in figures and pictures."""

import json
from pathlib import Path
from typing import Annotated

import typer

from mobile_demo.cli.console import Debug, run, say
from mobile_demo.files import write_atomically
from training.dataset import load_dataset
from training.evaluate import Evaluation, evaluate_heldout, evaluate_on
from training.evaluation_page import full_page, summary_page
from training.runs import Run


def evaluate_model(
    run_folder: Annotated[Path, typer.Argument(help="Run that train-model made.", metavar="RUN")],
    dataset: Annotated[
        Path | None,
        typer.Argument(
            help="Judge the network that was kept on all songs of this data set; without it, the"
            " run is judged on what it was not trained on.",
            metavar="DATASET",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the figures and pictures.",
            metavar="DIR",
            show_default="RUN/evaluation",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Say how good a run is: by genre, by confidence and song by song.

    Writes evaluation.json, evaluation.md, confusion.png, reliability.png and curves.png into
    DIR, over those of an earlier evaluation, and prints the main figures.

    Example:

      evaluate-model runs/cnn
    """
    source = Run.load(run_folder)
    out = out or run_folder / "evaluation"
    if dataset:
        say("Starting TensorFlow.")
        evaluation = evaluate_on(source, load_dataset(dataset))
    else:
        evaluation = evaluate_heldout(source, load_dataset(source.dataset))
    for warning in evaluation.warnings:
        say(f"Warning: {warning}")
    out.mkdir(parents=True, exist_ok=True)
    _write(evaluation, source, out)
    print(summary_page(evaluation))
    say(f"The whole evaluation is in {out / 'evaluation.md'}.")


def _write(evaluation: Evaluation, source: Run, out: Path) -> None:
    from training.plots.curves import plot_curves
    from training.plots.evaluation import plot_confusion, plot_reliability

    plot_confusion(evaluation, out / "confusion.png")
    plot_reliability(evaluation, out / "reliability.png")
    plot_curves(source, out / "curves.png", evaluation.warnings)
    write_atomically(out / "evaluation.md", full_page(evaluation).encode())
    content = json.dumps(evaluation.to_dict(), indent=2) + "\n"
    write_atomically(out / "evaluation.json", content.encode())


def main() -> None:
    """Entry point of the command."""
    run(evaluate_model)


if __name__ == "__main__":
    main()
