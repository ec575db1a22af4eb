"""``evaluate-model``: what a run is worth, in figures and pictures."""

import json
from pathlib import Path
from typing import Annotated

import typer

from pocketgenre.atomic_write import write_atomic
from pocketgenre.cli.console import Debug, print_status, progress, run
from pocketgenre.errors import PocketGenreError
from pocketgenre.suppress_stderr import suppress_stderr
from pocketgenre.training.data.dataset import load_dataset
from pocketgenre.training.evaluation.evaluation import (
    Evaluation,
    evaluate_heldout,
    evaluate_on,
    require_unheard_songs,
)
from pocketgenre.training.evaluation.evaluation_page import full_page, summary_page
from pocketgenre.training.runs import Run


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
    robustness: Annotated[
        bool,
        typer.Option(
            "--robustness",
            help="Judge on the songs' audio as well, changed as phones change it: MP3, narrow"
            " band, quiet, the beginning alone.",
        ),
    ] = False,
    debug: Debug = False,
) -> None:
    """Say how good a run is: by genre, by confidence and song by song.

    Writes evaluation.json, evaluation.md, confusion.png, reliability.png and curves.png into
    DIR, over those of an earlier evaluation, and prints the main figures. With --robustness,
    robustness.json and robustness.md as well.

    For example:

    - `evaluate-model runs/cnn`

    - `evaluate-model runs/cnn --robustness`
    """
    if dataset and robustness:
        raise PocketGenreError(
            "--robustness is judged on the songs that the run has not heard; name no DATASET."
        )
    source = Run.load(run_folder)
    if robustness:
        require_unheard_songs(source)
    out = out or run_folder / "evaluation"
    if dataset:
        print_status("Starting TensorFlow.")
        evaluation = evaluate_on(source, load_dataset(dataset))
    else:
        evaluation = evaluate_heldout(source, load_dataset(source.dataset))
    for warning in evaluation.warnings:
        print_status(f"Warning: {warning}")
    out.mkdir(parents=True, exist_ok=True)
    _write(evaluation, source, out)
    print(summary_page(evaluation))
    print_status(f"The whole evaluation is in {out / 'evaluation.md'}.")
    if robustness:
        _judge_robustness(source, evaluation.songs.judged, out)


def _write(evaluation: Evaluation, source: Run, out: Path) -> None:
    from pocketgenre.training.plots.curves import plot_curves
    from pocketgenre.training.plots.evaluation import plot_confusion, plot_reliability

    plot_confusion(evaluation, out / "confusion.png")
    plot_reliability(evaluation, out / "reliability.png")
    plot_curves(source, out / "curves.png", evaluation.warnings)
    write_atomic(out / "evaluation.md", full_page(evaluation).encode())
    content = json.dumps(evaluation.to_dict(), indent=2) + "\n"
    write_atomic(out / "evaluation.json", content.encode())


def _judge_robustness(source: Run, songs: int, out: Path) -> None:
    print_status("Starting TensorFlow.")
    with suppress_stderr():
        from pocketgenre.training.evaluation.robustness import judge_robustness, robustness_page

    data = load_dataset(source.dataset)
    with progress() as bar:
        task = bar.add_task("Judging changed songs", total=songs)
        figures = judge_robustness(source, data, lambda: bar.advance(task))
    page = robustness_page(figures)
    write_atomic(out / "robustness.md", page.encode())
    content = json.dumps(figures.to_dict(), indent=2) + "\n"
    write_atomic(out / "robustness.json", content.encode())
    print(page)
    print_status(f"The table is in {out / 'robustness.md'}.")


def main() -> None:
    """Entry point of the command."""
    run(evaluate_model)


if __name__ == "__main__":
    main()
