"""Evaluate a model: ``python -m pocketgenre.training.not_music.evaluate MODEL INDEX``."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from pocketgenre.atomic_write import write_atomic
from pocketgenre.cli.console import Debug, progress, run
from pocketgenre.constants import NOT_MUSIC, UNCERTAIN
from pocketgenre.inference import InferenceJob, InferenceResult, InferenceSetup, timeout_for
from pocketgenre.jobs.pool import JobFailure, map_jobs, usable_cores
from pocketgenre.models.model_card import read_model
from pocketgenre.models.pretrained import find_model
from pocketgenre.prediction import DEFAULT_LABELS, SongPrediction, predict_song
from pocketgenre.training.not_music.index import IndexRow, read_index
from pocketgenre.training.not_music.results_markdown import results_markdown

HIGH_CONFIDENCE = 0.9
"""Confidence above which a genre of a recording that is no music is a bad error."""

MAX_ERRORS = 20
"""Largest number of errors that are listed."""

_SPEECH = frozenset({"prompt", "speech", "tts", "speech-over-music", "speech-after-jingle"})


@dataclass(frozen=True)
class FileResult:
    """Result for one file.

    Attributes
    ----------
    row : row of the index
    genre : predicted label; None if the file can't be classified
    confidence : confidence of the prediction
    error : reason if the file can't be classified
    """

    row: IndexRow
    genre: str | None
    confidence: float = 0.0
    error: str = ""

    @property
    def has_genre(self) -> bool:
        """True if the predicted label is a genre of music."""
        return self.genre not in (None, NOT_MUSIC, UNCERTAIN)


def classify_rows(
    model: str, rows: Sequence[IndexRow], folder: Path, workers: int | None = None
) -> Iterator[FileResult]:
    """Classify files in worker processes, with the model's thresholds.

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

    def predict(result: InferenceResult) -> SongPrediction | None:
        if result.analysis is None:
            return None
        return predict_song(
            result.analysis, card.labels, DEFAULT_LABELS, confidence_model=card.confidence
        )

    with closing(map_jobs(jobs, setup, count)) as results:
        for job, result in results:
            yield _file_result(by_path[job.path], result, predict)


def summarize(results: Iterable[FileResult]) -> dict[str, Any]:
    """Compute the results by group and by source, and list the worst errors.

    Groups are ``speech`` (with speech over music), ``other non-music``, ``music``, ``melody`` and
    ``music-over-speech``.

    Returns
    -------
    dictionary of JSON types with the keys ``groups``, ``sources``, ``errors`` and ``failures``
    """
    ordered = sorted(results, key=lambda result: result.row.path)
    errors = [r for r in ordered if r.row.genre == NOT_MUSIC and r.has_genre]
    errors.sort(key=lambda result: -result.confidence)
    return {
        "groups": _shares(ordered, lambda result: group_of(result.row)),
        "sources": _shares(ordered, lambda result: f"{result.row.artist}: {result.row.kind}"),
        "errors": [
            {
                "path": result.row.path,
                "kind": result.row.kind,
                "genre": result.genre,
                "confidence": round(result.confidence, 4),
            }
            for result in errors[:MAX_ERRORS]
        ],
        "failures": [
            {"path": result.row.path, "error": result.error}
            for result in ordered
            if result.genre is None
        ],
    }


def group_of(row: IndexRow) -> str:
    """Return the group of a file in the results."""
    if row.kind in _SPEECH:
        return "speech"
    return "other non-music" if row.genre == NOT_MUSIC else row.kind


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
    row: IndexRow,
    result: InferenceResult | JobFailure,
    predict: Callable[[InferenceResult], SongPrediction | None],
) -> FileResult:
    if isinstance(result, JobFailure):
        return FileResult(row, None, error=result.reason)
    prediction = predict(result)
    if prediction is None:
        return FileResult(row, None, error=result.error or "")
    return FileResult(row, prediction.genre, prediction.confidence)


def _shares(
    results: Sequence[FileResult], key: Callable[[FileResult], str]
) -> dict[str, dict[str, Any]]:
    names = sorted({key(result) for result in results})
    return {name: _counts([r for r in results if key(r) == name]) for name in names}


def _counts(results: Sequence[FileResult]) -> dict[str, Any]:
    classified = [result for result in results if result.genre is not None]
    not_music = sum(result.genre == NOT_MUSIC for result in classified)
    uncertain = sum(result.genre == UNCERTAIN for result in classified)
    total = len(classified)
    return {
        "files": total,
        "failed": len(results) - total,
        "not_music": round(not_music / total, 4) if total else None,
        "not_music_or_uncertain": round((not_music + uncertain) / total, 4) if total else None,
        "confident_genre": sum(r.has_genre and r.confidence > HIGH_CONFIDENCE for r in classified),
    }


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
