"""``export-tflite``: a trained run to a checked TFLite file."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mobile_demo.card import card_path
from mobile_demo.cli.console import Debug, progress, run, say
from mobile_demo.errors import PocketGenreError
from mobile_demo.files import write_atomically
from mobile_demo.quiet import quiet_stderr
from training.dataset import load_dataset
from training.runs import Run


class IoType(StrEnum):
    """Type of the file's input and output."""

    float32 = "float32"
    int8 = "int8"


def export_tflite(
    run_folder: Annotated[Path, typer.Argument(help="Run that train-model made.", metavar="RUN")],
    out: Annotated[Path, typer.Option(help="The .tflite file to write.", metavar="FILE")],
    io: Annotated[
        IoType,
        typer.Option(help="Type of input and output; with int8 the caller standardises."),
    ] = IoType.float32,
    representative: Annotated[
        int, typer.Option(min=10, help="Segments that calibrate int8, evenly by genre.")
    ] = 200,
    dataset: Annotated[
        Path | None,
        typer.Option(help="The run's data set, if it has moved.", metavar="DATASET"),
    ] = None,
    debug: Debug = False,
) -> None:
    """Convert a run's network to int8 TFLite and check that it says the same.

    Beside FILE stand its card (.json), which scan-library reads, and a report
    (.report.json, .report.md). Where the check fails, the report is written, the model is
    not, and the exit status is 1.

    For example:

    - `export-tflite runs/cnn --out genres_int8.tflite`
    """
    if out.suffix != ".tflite":
        raise PocketGenreError(f"{out} must end in .tflite, since its card takes the same name.")
    if not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
        raise PocketGenreError(f"{out.parent} is not a folder that can be written to.")
    say("Starting TensorFlow.")
    with quiet_stderr():
        from export.export import export_run

    source = Run.load(run_folder)
    data = load_dataset(dataset or source.dataset)
    with progress() as bar:
        task = bar.add_task("Computing the device's features", total=len(data.songs))
        export = export_run(source, data, out, io.value, representative, lambda: bar.advance(task))
    report = export.report
    write_atomically(out.with_suffix(".report.json"), report.to_json().encode())
    write_atomically(out.with_suffix(".report.md"), report.to_markdown().encode())
    page = out.with_suffix(".report.md")
    if not report.holds:
        raise PocketGenreError(f"Parity is broken, {out.name} is not written; {page} says where.")
    write_atomically(card_path(out), export.card.to_json().encode())
    write_atomically(out, export.model)
    kept, heldout = report.labels
    say(
        f"{out}: {report.size:,} bytes. MFCC within"
        f" {report.features['all of the data set'].largest_difference:.1e} of librosa's;"
        f" {kept.segment_agreement:.2%} of segment labels as Keras gives them;"
        f" {heldout.tflite_accuracy:.1%} of held-out songs right (Keras:"
        f" {heldout.keras_accuracy:.1%}). More in {page}."
    )


def main() -> None:
    """Entry point of the command."""
    run(export_tflite)


if __name__ == "__main__":
    main()
