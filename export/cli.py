"""Run ``export-tflite``: convert a trained run to a checked TFLite file."""

import os
import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketgenre.atomic_write import write_atomic
from pocketgenre.cli.console import Debug, print_status, progress, run
from pocketgenre.errors import ModelError, PocketGenreError
from pocketgenre.export.hub_folder import require_own_folder, write_hub_folder
from pocketgenre.export.runtime_results import require_runtime
from pocketgenre.export.variants import (
    QUANTIZATIONS,
    WAVEFORM,
    Quantization,
    Variant,
    all_variants,
)
from pocketgenre.features.config import feature_kind_names
from pocketgenre.models.model_card import card_path, read_model
from pocketgenre.suppress_stderr import suppress_stderr
from pocketgenre.text import printable
from pocketgenre.training.errors import DataError, ParityError
from pocketgenre.training.runs import Run

if TYPE_CHECKING:
    from pocketgenre.export.pipeline import Export, Exporter


_SMALLEST_FIRST: tuple[Quantization, ...] = ("int8", "dynamic", "int16x8", "float16", "float32")
"""Quantizations by the size of their files; int8 is also the fastest."""

_WAYS_ON = (
    " --quantization auto takes the smallest file that passes; --accept-parity writes this one."
)


class QuantizationOption(StrEnum):
    """Values of ``--quantization``; without ``auto``, those of a variant."""

    auto = "auto"
    int8 = "int8"
    int16x8 = "int16x8"
    float16 = "float16"
    dynamic = "dynamic"
    float32 = "float32"


class IOOption(StrEnum):
    """Values of ``--io``."""

    float32 = "float32"
    int8 = "int8"


_LICENCE = re.compile(r"[A-Za-z0-9(][A-Za-z0-9.+\-() ]*")
"""Characters of an SPDX expression."""


def _check_licence(value: str | None) -> str | None:
    """Refuse a licence that is no SPDX expression."""
    if value is not None and not _LICENCE.fullmatch(value):
        raise typer.BadParameter(
            f"{value!r} is no SPDX expression, such as CC-BY-4.0 or 'MIT OR Apache-2.0'."
        )
    return value


def _check_input(value: str | None) -> str | None:
    """Refuse an input that is neither ``waveform`` nor a kind of features."""
    if value in (None, WAVEFORM):
        return value
    names = [*feature_kind_names(), WAVEFORM]
    if value not in names:
        raise typer.BadParameter(f"{value!r} is not one of {', '.join(names)}.")
    return value


def export_tflite(
    run_folder: Annotated[Path, typer.Argument(help="Run of train-model.", metavar="RUN")],
    out: Annotated[
        Path, typer.Option(help="The .tflite file to write; with --all, a folder.", metavar="FILE")
    ],
    input: Annotated[
        str | None,
        typer.Option(
            help="Input of the file: a segment's features, of the kind that the run was trained"
            " on (mfcc or log-mel), or its samples (waveform).",
            metavar="[mfcc|log-mel|waveform]",
            show_default="the run's features",
            callback=_check_input,
        ),
    ] = None,
    quantization: Annotated[
        QuantizationOption,
        typer.Option(
            help="Quantization of the network. auto: the smallest file that passes the check, tried"
            f" in the order {', '.join(_SMALLEST_FIRST)}."
        ),
    ] = QuantizationOption.auto,
    io: Annotated[
        IOOption,
        typer.Option(
            help="Type of input and output. int8 needs features as input and --quantization int8,"
            " and the caller standardises the features."
        ),
    ] = IOOption.float32,
    representative: Annotated[
        int, typer.Option(min=10, help="Segments that calibrate int8, drawn evenly by genre.")
    ] = 200,
    accept_parity: Annotated[
        bool,
        typer.Option(
            "--accept-parity",
            help="Write the file even if it misses the limits of the check; the card says so.",
        ),
    ] = False,
    all_files: Annotated[
        bool, typer.Option("--all", help="Write every variant, and a table that compares them.")
    ] = False,
    dataset: Annotated[
        Path | None,
        typer.Option(help="Data set of the run, if it has moved.", metavar="DATASET"),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            help="Licence of the model, as an SPDX expression such as CC-BY-4.0. The licence of the"
            " weights that the training started from is added.",
            metavar="SPDX",
            show_default="unspecified",
            callback=_check_licence,
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace FILE even if it is no model of this run.")
    ] = False,
    hub_folder: Annotated[
        Path | None,
        typer.Option(
            help="Also write a folder with the model and a README, as a repository of the Hugging"
            " Face Hub. Nothing is uploaded.",
            metavar="FOLDER",
        ),
    ] = None,
    other_python: Annotated[
        Path | None,
        typer.Option(
            help="Python of another environment, whose TFLite runtime is benchmarked as well.",
            metavar="PYTHON",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Convert a run's network to TFLite and compare its predictions with Keras.

    The model card (.json) that scan-library reads and a report (.report.json, .report.md) are
    written next to FILE. If the check fails, the model is not written, and the exit status is 1.

    For example:

    - `export-tflite runs/cnn --out genres.tflite`

    - `export-tflite runs/cnn --input waveform --out waveform.tflite`

    - `export-tflite runs/cnn --all --out exports`
    """
    _check_out(out, is_folder=all_files)
    if hub_folder and all_files:
        raise PocketGenreError("--hub-folder is for one file; leave --all out.")
    if hub_folder:
        require_own_folder(hub_folder)
    if other_python:
        require_runtime(other_python)
    source = Run.load(run_folder)
    if not replace and not all_files:
        _require_own_file(out, source)
    kind = source.feature_config.kind
    if input not in (None, kind, WAVEFORM):
        raise PocketGenreError(f"{run_folder} was trained on {kind}, not on {input}.")
    variants = all_variants(kind) if all_files else _list_variants(input or kind, quantization, io)
    print_status("Starting TensorFlow.")
    with suppress_stderr():
        from pocketgenre.export.pipeline import Exporter

    data = source.open_dataset(dataset)
    exporter = Exporter(
        source,
        data,
        representative,
        other_python,
        licence,
        accept_parity=accept_parity,
        # A file that is only tried needs no explanation.
        explain=accept_parity or all_files or len(variants) == 1,
    )
    if all_files:
        exports = _export(exporter, variants)
        names = [f"{source.config.model}_{variant.name}.tflite" for variant in variants]
        _write_all(out, source.config.model, dict(zip(names, exports, strict=True)), accept_parity)
    else:
        export = _export_smallest(exporter, variants)
        _write(out, export, accept_parity)
        if hub_folder:
            write_hub_folder(hub_folder, out.name, export.model, export.card)
            print_status(f"Wrote {hub_folder}; check its README.md before you upload it.")


def _list_variants(input_: str, quantization: QuantizationOption, io: IOOption) -> list[Variant]:
    """Return the variants to try until one passes the check."""
    if quantization is QuantizationOption.auto:
        tried = _SMALLEST_FIRST if io is IOOption.float32 else _SMALLEST_FIRST[:1]
    else:
        tried = tuple(name for name in QUANTIZATIONS if name == quantization.value)
    return [Variant(input_, name, io.value) for name in tried]


def _export(exporter: "Exporter", variants: Sequence[Variant]) -> "list[Export | DataError]":
    with progress() as bar:
        task = bar.add_task("Converting and checking", total=exporter.count_steps(variants))
        return exporter.export(variants, lambda: bar.advance(task))


def _export_smallest(exporter: "Exporter", variants: Sequence[Variant]) -> "Export":
    """Return the export of the first variant that passes the check, or of the only one.

    Raises
    ------
    DataError
        if none can be converted, or none passes.
    """
    reasons = []
    for variant in variants:
        (export,) = _export(exporter, [variant])
        if isinstance(export, DataError) and len(variants) == 1:
            raise ParityError(f"{export}{_WAYS_ON}") if isinstance(export, ParityError) else export
        if isinstance(export, DataError):
            reasons.append(str(export).rstrip("."))
        elif export.report.holds or exporter.accept_parity or len(variants) == 1:
            if reasons:
                print_status(f"Chose {variant.quantization}: {'; '.join(reasons)}.")
            return export
        else:
            reasons.append(f"{variant.quantization} {export.report.worst}")
    raise ParityError(
        f"No file passes the check: {'; '.join(reasons)}. --accept-parity writes the first one."
    )


def _write_all(
    folder: Path, model: str, exports: "dict[str, Export | DataError]", accept_parity: bool
) -> None:
    """Write all variants and the table that compares them."""
    from pocketgenre.export.export_report import VariantTable

    folder.mkdir(exist_ok=True)
    for name, export in exports.items():
        try:
            if isinstance(export, DataError):
                raise export
            _write(folder / name, export, accept_parity)
        except PocketGenreError as error:
            print_status(f"{name}: {error}")
    reports = {n: e if isinstance(e, DataError) else e.report for n, e in exports.items()}
    table = VariantTable(model, reports)
    write_atomic(folder / "comparison.json", table.to_json().encode())
    write_atomic(folder / "comparison.md", table.to_markdown().encode())
    print_status(f"{folder / 'comparison.md'} compares the variants.")
    found = [report for report in reports.values() if not isinstance(report, DataError)]
    if not any(report.holds or accept_parity for report in found):
        raise PocketGenreError("No variant was written; the messages above name the reasons.")


def _write(out: Path, export: "Export", accept_parity: bool) -> None:
    """Write a file with its card and reports; the file itself only if its check passed.

    Raises
    ------
    PocketGenreError
        if the check failed, and is not accepted.
    """
    report, page = export.report, out.with_suffix(".report.md")
    write_atomic(out.with_suffix(".report.json"), report.to_json().encode())
    write_atomic(page, report.to_markdown(out.name).encode())
    if not report.holds and not accept_parity:
        raise PocketGenreError(
            f"The parity check failed and {out.name} was not written: it {report.worst}; see"
            f" {page}.{_WAYS_ON}"
        )
    write_atomic(card_path(out), export.card.to_json().encode())
    write_atomic(out, export.model)
    final, held_out = report.labels
    runtime = report.runtimes[0]
    speed = runtime.error or f"{runtime.milliseconds['1']:.2f} ms per segment"
    print_status(
        f"{out}: {report.size:,} bytes, {speed};"
        f" {final.segment_agreement:.2%} of segment labels agree with Keras;"
        f" {held_out.tflite_accuracy:.1%} of held-out songs correct (Keras:"
        f" {held_out.keras_accuracy:.1%}). See {page}."
    )


def _check_out(out: Path, *, is_folder: bool) -> None:
    if is_folder and out.exists() and not out.is_dir():
        raise PocketGenreError(f"{out} is not a folder; with --all, --out must name a folder.")
    if not is_folder and out.suffix != ".tflite":
        raise PocketGenreError(f"{out} must end in .tflite.")
    folder = out if is_folder and out.exists() else out.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise PocketGenreError(f"{folder} is not a folder, or is not writable.")


def _require_own_file(out: Path, source: Run) -> None:
    """Refuse to replace a file, unless it is a model of the same run.

    Raises
    ------
    PocketGenreError
        if the file is a model of another run, or no model.
    """
    if not out.exists():
        return
    try:
        command = read_model(out)[1].training.get("command")
    except ModelError:
        command = None
    if command != printable(source.command):
        described = f"a model of another run ({command})" if command else "no model of this run"
        raise PocketGenreError(f"{out} is {described}; name another file, or add --replace.")


def main() -> None:
    """Run the command."""
    run(export_tflite)


if __name__ == "__main__":
    main()
