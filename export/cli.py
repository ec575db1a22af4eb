"""``export-tflite``: a trained run to a checked TFLite file."""

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketgenre.atomic_write import write_atomic
from pocketgenre.cli.console import Debug, print_status, progress, run
from pocketgenre.errors import PocketGenreError
from pocketgenre.export.measurements import require_runtime
from pocketgenre.export.variants import Form, Input, family
from pocketgenre.models.model_card import card_path
from pocketgenre.suppress_stderr import suppress_stderr
from pocketgenre.training.data.dataset import load_dataset
from pocketgenre.training.data.songs import DataError
from pocketgenre.training.runs import Run

if TYPE_CHECKING:
    from pocketgenre.export.pipeline import Export


class InputKind(StrEnum):
    """What the file takes."""

    mfcc = "mfcc"
    log_mel = "log-mel"
    waveform = "waveform"


class QuantizationKind(StrEnum):
    """How the network computes."""

    int8 = "int8"
    int16x8 = "int16x8"
    float16 = "float16"
    dynamic = "dynamic"
    float32 = "float32"


class IoType(StrEnum):
    """Type of the file's input and output."""

    float32 = "float32"
    int8 = "int8"


def export_tflite(
    run_folder: Annotated[Path, typer.Argument(help="Run that train-model made.", metavar="RUN")],
    out: Annotated[
        Path, typer.Option(help="The .tflite file to write; with --all, a folder.", metavar="FILE")
    ],
    input: Annotated[
        InputKind | None,
        typer.Option(
            help="What the file takes: a segment's features, of the kind that the run was trained"
            " on (mfcc or log-mel), or its samples (waveform).",
            show_default="the run's features",
        ),
    ] = None,
    quantization: Annotated[
        QuantizationKind, typer.Option(help="How the network behind the features computes.")
    ] = QuantizationKind.int8,
    io: Annotated[
        IoType,
        typer.Option(
            help="Type of input and output. int8 goes with features and --quantization int8 alone,"
            " and the caller standardises."
        ),
    ] = IoType.float32,
    representative: Annotated[
        int, typer.Option(min=10, help="Segments that calibrate int8, evenly by genre.")
    ] = 200,
    all_forms: Annotated[
        bool, typer.Option("--all", help="Write every form there is, and a table of them.")
    ] = False,
    dataset: Annotated[
        Path | None,
        typer.Option(help="The run's data set, if it has moved.", metavar="DATASET"),
    ] = None,
    other_python: Annotated[
        Path | None,
        typer.Option(
            help="Python of another environment, whose TFLite runtime is tried as well.",
            metavar="PYTHON",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Convert a run's network to TFLite and check that it says the same.

    Beside FILE stand its card (.json), which scan-library reads, and a report
    (.report.json, .report.md). Where the check fails, the report is written, the model is
    not, and the exit status is 1.

    For example:

    - `export-tflite runs/cnn --out genres.tflite`

    - `export-tflite runs/cnn --input waveform --out waveform.tflite`

    - `export-tflite runs/cnn --all --out exports`
    """
    _check_out(out, is_folder=all_forms)
    if other_python:
        require_runtime(other_python)
    source = Run.load(run_folder)
    features = source.feature_config.kind
    if input not in (None, features, InputKind.waveform):
        raise PocketGenreError(f"{run_folder} was trained on {features}, not on {input.value}.")
    kind: Input = input.value if input else features
    forms = family(features) if all_forms else [Form(kind, quantization.value, io.value)]
    print_status("Starting TensorFlow.")
    with suppress_stderr():
        from pocketgenre.export.pipeline import Exporter

    data = load_dataset(dataset or source.dataset)
    exporter = Exporter(source, data, representative, other_python)
    with progress() as bar:
        task = bar.add_task("Converting and checking", total=exporter.steps(forms))
        exports = exporter.export(forms, lambda: bar.advance(task))
    if all_forms:
        out.mkdir(exist_ok=True)
        names = [f"{source.config.model}_{form.name}.tflite" for form in forms]
        _write_family(out, source.config.model, dict(zip(names, exports, strict=True)))
    elif isinstance(exports[0], DataError):
        raise exports[0]
    else:
        _write(out, exports[0])


def _write_family(folder: Path, model: str, exports: "dict[str, Export | DataError]") -> None:
    from pocketgenre.export.variant_table import Comparison

    made = {name: export for name, export in exports.items() if not isinstance(export, DataError)}
    for name, export in exports.items():
        try:
            if isinstance(export, DataError):
                raise export
            _write(folder / name, export)
        except PocketGenreError as error:
            print_status(f"{name}: {error}")
    reports = {n: e if isinstance(e, DataError) else e.report for n, e in exports.items()}
    comparison = Comparison(model, reports)
    write_atomic(folder / "comparison.json", comparison.to_json().encode())
    write_atomic(folder / "comparison.md", comparison.to_markdown().encode())
    print_status(f"The table of all is {folder / 'comparison.md'}.")
    if not any(export.report.holds for export in made.values()):
        raise PocketGenreError("No form of this network could be made; the lines above say why.")


def _write(out: Path, export: "Export") -> None:
    """Write a file with its card and reports, the file itself only if its check holds."""
    report, page = export.report, out.with_suffix(".report.md")
    write_atomic(out.with_suffix(".report.json"), report.to_json().encode())
    write_atomic(page, report.to_markdown(out.name).encode())
    if not report.holds:
        raise PocketGenreError(f"Parity is broken, {out.name} is not written; {page} says where.")
    write_atomic(card_path(out), export.card.to_json().encode())
    write_atomic(out, export.model)
    kept, heldout = report.labels
    print_status(
        f"{out}: {report.size:,} bytes,"
        f" {report.probes[0].milliseconds['1']:.2f} ms a segment;"
        f" {kept.segment_agreement:.2%} of segment labels as Keras gives them;"
        f" {heldout.tflite_accuracy:.1%} of held-out songs right (Keras:"
        f" {heldout.keras_accuracy:.1%}). More in {page}."
    )


def _check_out(out: Path, *, is_folder: bool) -> None:
    if is_folder and out.exists() and not out.is_dir():
        raise PocketGenreError(f"{out} is not a folder; with --all name one, or a new one.")
    if not is_folder and out.suffix != ".tflite":
        raise PocketGenreError(f"{out} must end in .tflite, since its card takes the same name.")
    home = out if is_folder and out.exists() else out.parent
    if not home.is_dir() or not os.access(home, os.W_OK):
        raise PocketGenreError(f"{home} is not a folder that can be written to.")


def main() -> None:
    """Entry point of the command."""
    run(export_tflite)


if __name__ == "__main__":
    main()
