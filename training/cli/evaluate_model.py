"""``evaluate-model``: what a run is worth, in figures and pictures."""

import json
from pathlib import Path
from typing import Annotated

import typer

from mobile_demo.cli.console import Debug, progress, run, say
from mobile_demo.errors import PocketGenreError
from mobile_demo.files import write_atomically
from mobile_demo.quiet import quiet_stderr
from training.dataset import load_dataset
from training.evaluate import (
    Evaluation,
    evaluate_heldout,
    evaluate_on,
    require_unheard_songs,
)
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
    if robustness:
        _judge_robustness(source, evaluation.songs.judged, out)


def _write(evaluation: Evaluation, source: Run, out: Path) -> None:
    from training.plots.curves import plot_curves
    from training.plots.evaluation import plot_confusion, plot_reliability

    plot_confusion(evaluation, out / "confusion.png")
    plot_reliability(evaluation, out / "reliability.png")
    plot_curves(source, out / "curves.png", evaluation.warnings)
    write_atomically(out / "evaluation.md", full_page(evaluation).encode())
    content = json.dumps(evaluation.to_dict(), indent=2) + "\n"
    write_atomically(out / "evaluation.json", content.encode())


def _judge_robustness(source: Run, songs: int, out: Path) -> None:
    say("Starting TensorFlow.")
    with quiet_stderr():
        from training.robustness import judge_robustness, robustness_page

    data = load_dataset(source.dataset)
    with progress() as bar:
        task = bar.add_task("Judging changed songs", total=songs)
        figures = judge_robustness(source, data, lambda: bar.advance(task))
    page = robustness_page(figures)
    write_atomically(out / "robustness.md", page.encode())
    content = json.dumps(figures.to_dict(), indent=2) + "\n"
    write_atomically(out / "robustness.json", content.encode())
    print(page)
    say(f"The table is in {out / 'robustness.md'}.")


def main() -> None:
    """Entry point of the command."""
    run(evaluate_model)


if __name__ == "__main__":
    main()
