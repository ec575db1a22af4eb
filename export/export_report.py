"""Report the result of an export as JSON and as a Markdown page."""

import json
import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from pocketgenre.export.layer_errors import LayerError
from pocketgenre.export.parity_checks import (
    CONFIDENCE,
    MAX_ACCURACY_DROP,
    MIN_SEGMENT_AGREEMENT,
    FeatureParity,
    LabelParity,
)
from pocketgenre.export.runtime_results import RuntimeResult
from pocketgenre.export.variants import QUANTIZATIONS, Variant
from pocketgenre.text import count_of, printable
from pocketgenre.training.errors import DataError
from pocketgenre.training.evaluation.report_markdown import markdown_table

_JSON_KEYS = {"variant": "form", "runtimes": "probes"}
"""JSON keys that differ from the attributes of :class:`ExportReport`."""


@dataclass(frozen=True)
class ExportReport:
    """Report of one exported file.

    Attributes
    ----------
    model : name of the network
    sha256 : SHA-256 of the file
    size : size of the file [bytes]
    variant : input, quantization and type of input and output
    ops : operations of the file, in execution order
    calibration : description of the representative segments
    runtimes : benchmark results of each runtime
    features : comparisons of the device's features with the reference
    labels : comparisons of the file's predictions with Keras; the last is on held-out songs
    layers : error of each operation; empty unless the labels agree too little
    """

    model: str
    sha256: str
    size: int
    variant: Variant
    ops: list[str]
    calibration: str
    runtimes: list[RuntimeResult]
    features: dict[str, FeatureParity]
    labels: list[LabelParity]
    layers: list[LayerError] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """True if every comparison is within its limits, so that the file may be used."""
        return all(p.holds for p in self.features.values()) and all(p.holds for p in self.labels)

    @property
    def worst(self) -> str:
        """Describe the comparison that misses its limit by most, as the end of a sentence."""
        failed = [p for p in self.labels if not p.holds]
        if not failed:
            return "computes other features than the reference"
        parity = min(failed, key=lambda p: p.segment_agreement)
        return (
            f"keeps the label of {parity.segment_agreement:.1%} of"
            f" {count_of(parity.segments, 'segment')} and loses"
            f" {max(0, round(parity.accuracy_drop * parity.songs))} of"
            f" {count_of(parity.songs, 'song')}"
        )

    @property
    def runtimes_agree(self) -> bool:
        """True if all runtimes that can run the file predicted the same labels."""
        return len({tuple(result.labels) for result in self.runtimes if not result.error}) <= 1

    def to_json(self) -> str:
        """Return the report as JSON that ends in a newline."""
        values: dict[str, Any] = {"parity_holds": self.holds}
        values |= {_JSON_KEYS.get(name, name): value for name, value in asdict(self).items()}
        values["runtimes_agree"] = self.runtimes_agree
        values["labels"] = [parity.to_dict() for parity in self.labels]
        return json.dumps(values, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the result of :meth:`to_json`."""
        values = json.loads(text)
        return cls(
            model=values["model"],
            sha256=values["sha256"],
            size=values["size"],
            variant=Variant(**values["form"]),
            ops=values["ops"],
            calibration=values["calibration"],
            runtimes=[RuntimeResult(**result) for result in values["probes"]],
            features={name: FeatureParity(**p) for name, p in values["features"].items()},
            labels=[LabelParity.from_dict(parity) for parity in values["labels"]],
            layers=[LayerError(**error) for error in values["layers"]],
        )

    def to_markdown(self, file_name: str) -> str:
        """Return the report as a page about a file."""
        result = "Parity check passed." if self.holds else "**Parity check failed**: do not ship."
        variant = self.variant
        lines = [f"# Export of {printable(file_name)}", "", result, ""]
        lines += [
            f"- Network: `{self.model}`, {self.size:,} bytes",
            f"- Input: {variant.input}; input and output are {variant.io}",
            f"- Quantization: {variant.quantization} ({QUANTIZATIONS[variant.quantization]})",
        ]
        if variant.is_full_integer:
            lines += [f"- Calibration: {self.calibration}"]
        lines += [f"- SHA-256: `{self.sha256}`", ""]
        lines += [
            "## Features of the device, compared with the reference",
            "",
            self._feature_table(),
        ]
        lines += ["", "## Labels of this file on these features, compared with Keras", ""]
        lines += [
            *self._label_lines(),
            *self._uncertain_lines(),
            "",
            "## Runtimes",
            "",
            *self._runtime_lines(),
        ]
        if self.layers:
            lines += ["", "## Error of each operation, in quantization steps", ""]
            lines += ["Rounding contributes 0.29.", ""]
            cells = [[e.operation, f"`{e.tensor}`", str(e.steps)] for e in self.layers]
            lines += [markdown_table(["operation", "result", "error"], cells, text_columns=2)]
        lines += ["", "## Operations", "", *_wrapped([f"`{op}`" for op in self.ops])]
        lines += [
            "",
            "All are built-in operations of TFLite: no Flex and no custom operations.",
            "",
        ]
        return "\n".join(lines)

    def _feature_table(self) -> str:
        columns = ["features", "segments", "max difference", "worst segment", "tolerance", "passed"]
        rows = [
            [
                name,
                str(p.segments),
                f"{p.largest_difference:.1e}",
                p.worst,
                f"{p.atol:g} + {p.rtol:g}·x",
                _yes_or_no(p.holds),
            ]
            for name, p in self.features.items()
        ]
        return markdown_table(columns, rows)

    def _label_lines(self) -> list[str]:
        names = string.ascii_uppercase  # descriptions would make the table too wide
        lines = [f"- {name}: {p.what}" for name, p in zip(names, self.labels, strict=False)]
        columns = ["", "segments", "agreement", "songs", "agreement of songs"]
        columns += ["Keras correct", "file correct", "passed"]
        rows = [
            [
                name,
                str(p.segments),
                f"{p.segment_agreement:.2%}",
                str(p.songs),
                f"{p.song_agreement:.2%}",
                f"{p.keras_accuracy:.2%}",
                f"{p.tflite_accuracy:.2%}",
                _yes_or_no(p.holds),
            ]
            for name, p in zip(names, self.labels, strict=False)
        ]
        return [*lines, "", markdown_table(columns, rows)]

    def _uncertain_lines(self) -> list[str]:
        """Explain a check that passed only since its sample is small."""
        if all(p.is_within_limits or not p.holds for p in self.labels):
            return []
        return [
            "",
            f"The limits are {MIN_SEGMENT_AGREEMENT:.0%} of the segments and a loss of"
            f" {MAX_ACCURACY_DROP:.0%} of the songs. The sample is too small to show",
            f"that the file misses them: they are within its one-sided {CONFIDENCE:.0%} confidence"
            " bounds.",
        ]

    def _runtime_lines(self) -> list[str]:
        columns = ["runtime", "one thread", "two threads", "tensor memory"]
        lines = [markdown_table(columns, map(_runtime_row, self.runtimes)), ""]
        lines += ["Times are medians per segment."]
        if len(self.runtimes) > 1:
            labels = "the same labels" if self.runtimes_agree else "DIFFERENT LABELS"
            lines[-1] += f" The runtimes predict {labels} for 32 benchmark segments."
        return lines


@dataclass(frozen=True)
class VariantTable:
    """Size, speed and accuracy of all variants of one network.

    Attributes
    ----------
    model : name of the network
    reports : report by file name; an error if that variant could not be converted
    """

    model: str
    reports: Mapping[str, ExportReport | DataError]

    def to_json(self) -> str:
        """Return the table as JSON that ends in a newline."""
        rows = [_variant_json(file, report) for file, report in self.reports.items()]
        return json.dumps({"model": self.model, "files": rows}, indent=2) + "\n"

    def to_markdown(self) -> str:
        """Return the table as a page."""
        converted = [r for r in self.reports.values() if isinstance(r, ExportReport)]
        runtimes = [result.runtime for result in converted[0].runtimes] if converted else []
        columns = ["file", "bytes", *runtimes, "tensors", "agreement", "correct songs"]
        rows = [_variant_row(file, report) for file, report in self.reports.items()]
        lines = [
            f"# Variants of the network {self.model}",
            "",
            "Times are medians per segment on one thread; for waveform files they include the",
            "computation of the features. Agreement is the share of segments with the label that",
            "Keras predicts. Both agreement and correct songs are those of held-out songs.",
            "",
            markdown_table(columns, rows),
        ]
        if converted:
            keras = converted[0].labels[-1]
            lines += ["", f"Keras: {keras.keras_accuracy:.1%} of {keras.songs} songs are correct."]
        return "\n".join([*lines, ""])


def _variant_json(file: str, report: ExportReport | DataError) -> dict[str, Any]:
    if isinstance(report, DataError):
        return {"file": file, "error": str(report)}
    held_out = report.labels[-1]
    return {
        "file": file,
        "written": report.holds,
        "bytes": report.size,
        "arena": report.runtimes[0].arena,
        "milliseconds": {result.runtime: result.milliseconds for result in report.runtimes},
        "runtimes_agree": report.runtimes_agree,
        "segment_agreement": held_out.segment_agreement,
        "song_accuracy": held_out.tflite_accuracy,
        "song_accuracy_keras": held_out.keras_accuracy,
    }


def _variant_row(file: str, report: ExportReport | DataError) -> list[str]:
    if isinstance(report, DataError):
        return [f"`{file}`", f"not converted: {report}"]
    held_out = report.labels[-1]
    return [
        f"`{file}`" if report.holds else f"`{file}` (**not written: parity check failed**)",
        f"{report.size:,}",
        *(
            "cannot run it" if result.error else f"{result.milliseconds['1']:.2f} ms"
            for result in report.runtimes
        ),
        f"{report.runtimes[0].arena / 1024:,.0f} KiB",
        f"{held_out.segment_agreement:.1%}",
        f"{held_out.tflite_accuracy:.1%}",
    ]


def _runtime_row(result: RuntimeResult) -> list[str]:
    if result.error:
        return [result.runtime, f"cannot run it: {result.error}"]
    times = [f"{result.milliseconds[threads]:.3f} ms" for threads in ("1", "2")]
    return [f"{result.runtime}, {result.machine}", *times, f"{result.arena / 1024:,.0f} KiB"]


def _wrapped(items: list[str], width: int = 110) -> list[str]:
    """Join items by commas in lines of limited width."""
    lines = [""]
    for i, item in enumerate(items):
        piece = item + ("," if i < len(items) - 1 else "")
        if lines[-1] and len(lines[-1]) + 1 + len(piece) > width:
            lines.append(piece)
        else:
            lines[-1] += (" " if lines[-1] else "") + piece
    return lines


def _yes_or_no(holds: bool) -> str:
    return "yes" if holds else "NO"
