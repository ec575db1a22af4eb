"""Evaluate a model: ``python -m pocketgenre.training.not_music.evaluate MODEL INDEX``."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from pocketgenre.atomic_write import write_atomic
from pocketgenre.cli.console import Debug, progress, run
from pocketgenre.inference import InferenceJob, InferenceResult, InferenceSetup, timeout_for
from pocketgenre.jobs.pool import JobFailure, map_jobs, usable_cores
from pocketgenre.models.model_card import ModelCard, read_model
from pocketgenre.models.pretrained import find_model
from pocketgenre.prediction import DEFAULT_LABELS, predict_song
from pocketgenre.training.not_music.index import IndexRow, read_index
from pocketgenre.training.not_music.results_markdown import results_markdown
from pocketgenre.training.not_music.summary import FileResult, summarize


def classify_rows(
    model: str, rows: Sequence[IndexRow], folder: Path, workers: int | None = None
) -> Iterator[FileResult]:
    """Classify files in worker processes, with the default thresholds of the model.

    Parameters
    ----------
    model : name of a pretrained model, or path of a ``.tflite`` file
    rows : files to classify
    folder : folder of the index
    workers : number of processes, by default one per core; 0 to run in this process

    Yields
    ------
    results in the order of completion

    Raises
    ------
    ModelError
        if the model can't be read.
    """
    content, card = read_model(find_model(model))
    by_path = {str(folder / row.path): row for row in rows}
    jobs = [InferenceJob(path, 0, timeout_for(_size(Path(path)))) for path in by_path]
    setup = InferenceSetup(content, card)
    count = usable_cores() if workers is None else workers

    with closing(map_jobs(jobs, setup, count)) as results:
        for job, result in results:
            yield _file_result(by_path[job.path], result, card)


def evaluate(
    model: Annotated[
        str, typer.Argument(help="Name of a pretrained model, or path of a .tflite file.")
    ],
    index: Annotated[Path, typer.Argument(help="Index of the data set.", metavar="INDEX")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write the results as FILE.md and FILE.json; by default Markdown is printed.",
            metavar="FILE",
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Number of processes; by default one per core.", min=0)
    ] = None,
    debug: Debug = False,  # noqa: ARG001  # read by console.run
) -> None:
    """Count how many files of an index get the label not-music, uncertain, or a genre."""
    rows = read_index(index)
    with progress() as bar:
        results = list(
            bar.track(
                classify_rows(model, rows, index.parent, workers),
                total=len(rows),
                description="Files",
            )
        )
    summary = {"model": model, "files": len(rows), **summarize(results)}
    text = results_markdown(summary)
    if out is None:
        print(text, end="")
    else:
        write_atomic(out.with_suffix(".md"), text.encode())
        write_atomic(out.with_suffix(".json"), (json.dumps(summary, indent=1) + "\n").encode())


def _file_result(
    row: IndexRow, result: InferenceResult | JobFailure, card: ModelCard
) -> FileResult:
    if isinstance(result, JobFailure):
        return FileResult(row, None, error=result.reason)
    if result.analysis is None:
        return FileResult(row, None, error=result.error or "")
    prediction = predict_song(
        result.analysis, card.labels, DEFAULT_LABELS, confidence_model=card.confidence
    )
    return FileResult(row, prediction.genre, prediction.confidence)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # the worker reports the error
        return 0


def main() -> None:
    """Run the command."""
    run(evaluate)


if __name__ == "__main__":
    main()
