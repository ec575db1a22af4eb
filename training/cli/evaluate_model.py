"""Run ``evaluate-model``: evaluate a run and plot the results."""

import json
from pathlib import Path
from typing import Annotated

import typer

from pocketgenre.atomic_write import write_atomic
from pocketgenre.cli.console import Debug, print_status, progress, run
from pocketgenre.errors import PocketGenreError
from pocketgenre.suppress_stderr import suppress_stderr
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.evaluation.report_markdown import (
    evaluation_report,
    evaluation_summary,
    robustness_report,
)
from pocketgenre.training.evaluation.run_evaluation import (
    Evaluation,
    evaluate_dataset,
    evaluate_heldout,
    require_song_split,
)
from pocketgenre.training.runs import Run


def evaluate_model(
    run_folder: Annotated[
        Path, typer.Argument(help="Run folder written by train-model.", metavar="RUN")
    ],
    dataset: Annotated[
        Path | None,
        typer.Argument(
            help="Evaluate the final network on all songs of this data set; without it, evaluate"
            " the run on its held-out data.",
            metavar="DATASET",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Output folder.",
            metavar="DIR",
            show_default="RUN/evaluation",
        ),
    ] = None,
    moved_dataset: Annotated[
        Path | None,
        typer.Option(
            "--dataset",
            help="Data set of the run, if it has moved.",
            metavar="DATASET",
            show_default="the run's",
        ),
    ] = None,
    robustness: Annotated[
        bool,
        typer.Option(
            "--robustness",
            help="Also evaluate on changed audio: MP3, band-limited, attenuated, first seconds"
            " only.",
        ),
    ] = False,
    debug: Debug = False,
) -> None:
    """Evaluate a run: accuracy, metrics by genre, calibration and worst songs.

    Writes evaluation.json, evaluation.md and pictures to DIR and prints the main metrics. With
    --robustness, writes robustness.json and robustness.md too.
    Existing files are overwritten.

    For example:

    - `evaluate-model runs/cnn`

    - `evaluate-model runs/cnn --robustness`
    """
    if dataset and robustness:
        raise PocketGenreError(
            "--robustness evaluates the run on its held-out songs; remove DATASET."
        )
    if dataset and moved_dataset:
        raise PocketGenreError("--dataset is the run's own data set; remove it or DATASET.")
    source = Run.load(run_folder)
    if robustness:
        require_song_split(source)
    out = out or run_folder / "evaluation"
    if dataset:
        print_status("Starting TensorFlow.")
        evaluation = evaluate_dataset(source, source.open_dataset(dataset))
    else:
        evaluation = evaluate_heldout(source, source.open_dataset(moved_dataset))
    for warning in evaluation.warnings:
        print_status(f"Warning: {warning}")
    out.mkdir(parents=True, exist_ok=True)
    _write(evaluation, source, out)
    print(evaluation_summary(evaluation))
    print_status(f"The full evaluation is in {out / 'evaluation.md'}.")
    if robustness:
        data = source.open_dataset(moved_dataset)
        _evaluate_robustness(source, data, evaluation.songs.count, out)


def _write(evaluation: Evaluation, source: Run, out: Path) -> None:
    from pocketgenre.training.plots.curves import plot_curves, read_history
    from pocketgenre.training.plots.evaluation_plots import (
        plot_confidence,
        plot_confusion,
        plot_reliability,
    )

    plot_confusion(evaluation, out / "confusion.png")
    plot_reliability(evaluation, out / "reliability.png")
    if evaluation.confidence:
        plot_confidence(evaluation, evaluation.confidence, out / "confidence.png")
    has_curves = len(read_history(source.folder / "history.json")["loss"]) > 1
    if has_curves:
        plot_curves(source, out / "curves.png", evaluation.warnings)
    report = evaluation_report(evaluation, has_curves=has_curves)
    write_atomic(out / "evaluation.md", report.encode())
    content = json.dumps(evaluation.to_dict(), indent=2) + "\n"
    write_atomic(out / "evaluation.json", content.encode())


def _evaluate_robustness(source: Run, data: Dataset, songs: int, out: Path) -> None:
    print_status("Starting TensorFlow.")
    with suppress_stderr():
        from pocketgenre.training.evaluation.robustness import evaluate_robustness

    with progress() as bar:
        task = bar.add_task("Evaluating changed songs", total=songs)
        robustness = evaluate_robustness(source, data, lambda: bar.advance(task))
    report = robustness_report(robustness)
    write_atomic(out / "robustness.md", report.encode())
    content = json.dumps(robustness.to_dict(), indent=2) + "\n"
    write_atomic(out / "robustness.json", content.encode())
    print(report)
    print_status(f"The table is in {out / 'robustness.md'}.")


def main() -> None:
    """Run the command."""
    run(evaluate_model)


if __name__ == "__main__":
    main()
