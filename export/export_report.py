"""What an export did and whether it may be trusted, as JSON and as a page to read."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from pocketgenre.export.layer_errors import LayerError
from pocketgenre.export.measurements import RuntimeProbe
from pocketgenre.export.prediction_parity import FeatureParity, LabelParity
from pocketgenre.export.variants import QUANTIZATIONS, Form
from pocketgenre.text import printable
from pocketgenre.training.evaluation.report_markdown import markdown_table


@dataclass(frozen=True)
class ExportReport:
    """The record of one export.

    Attributes
    ----------
    model : name of the network
    sha256, size : of the file; size in bytes
    form : of the file
    ops : its operations, in order
    calibration : how the ranges of the activations were found
    probes : how each runtime runs it
    features : front ends against librosa's
    labels : the file against Keras
    layers : error of each operation, where the labels agree too little
    """

    model: str
    sha256: str
    size: int
    form: Form
    ops: list[str]
    calibration: str
    probes: list[RuntimeProbe]
    features: dict[str, FeatureParity]
    labels: list[LabelParity]
    layers: list[LayerError] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether every comparison is good enough to ship the file."""
        return all(p.holds for p in self.features.values()) and all(p.holds for p in self.labels)

    @property
    def runtimes_agree(self) -> bool:
        """Whether all runtimes that can run the file gave the same labels."""
        return len({tuple(probe.labels) for probe in self.probes if not probe.error}) <= 1

    def to_json(self) -> str:
        """As JSON, ending in a newline."""
        values: dict[str, Any] = {"parity_holds": self.holds, **asdict(self)}
        values["runtimes_agree"] = self.runtimes_agree
        values["labels"] = [parity.to_dict() for parity in self.labels]
        return json.dumps(values, indent=2) + "\n"

    def to_markdown(self, file: str) -> str:
        """As a page about the file of that name."""
        verdict = "Parity holds." if self.holds else "**Parity is broken**: do not ship this file."
        form = self.form
        lines = [f"# Export of {printable(file)}", "", verdict, ""]
        lines += [
            f"Network `{self.model}`, {self.size:,} bytes; takes {form.input}, {form.io} at both"
            f" ends; {form.quantization}: {QUANTIZATIONS[form.quantization]}.",
        ]
        if form.calibrated:
            lines += [f"Calibration: {self.calibration}."]
        lines += [f"SHA-256 `{self.sha256}`.", ""]
        lines += ["## Features: the device's against librosa's", ""]
        columns = ["segments", "number", "max difference", "worst", "bound", "holds"]
        rows = [
            [
                name,
                str(p.segments),
                f"{p.largest_difference:.1e}",
                p.worst,
                f"{p.atol:g} + {p.rtol:g}·x",
                _yes(p.holds),
            ]
            for name, p in self.features.items()
        ]
        lines += [markdown_table(columns, rows)]
        lines += ["", "## Labels: this file on the device's features against Keras", ""]
        columns = ["what", "segments", "labels agree", "songs", "votes agree", "Keras right"]
        rows = [
            [
                p.what,
                str(p.segments),
                f"{p.segment_agreement:.2%}",
                str(p.songs),
                f"{p.song_agreement:.2%}",
                f"{p.keras_accuracy:.2%}",
                f"{p.tflite_accuracy:.2%}",
                _yes(p.holds),
            ]
            for p in self.labels
        ]
        lines += [markdown_table([*columns, "file right", "holds"], rows)]
        lines += ["", "## Runtimes", ""]
        columns = ["runtime", "one thread", "two threads", "memory for tensors"]
        lines += [markdown_table(columns, map(_probe_cells, self.probes))]
        lines += ["", "Median of one segment."]
        if len(self.probes) > 1:
            same = "the same label" if self.runtimes_agree else "DIFFERENT LABELS"
            lines[-1] += f" On each of 32 probing segments they give {same}."
        if self.layers:
            lines += ["", "## Error of each operation, in int8 steps", ""]
            lines += ["Rounding alone gives 0.29.", ""]
            cells = [[e.operation, f"`{e.tensor}`", str(e.steps)] for e in self.layers]
            lines += [markdown_table(["operation", "result", "error"], cells, text_columns=2)]
        lines += ["", "## Operations", "", ", ".join(f"`{op}`" for op in self.ops)]
        lines += ["", "Built-in ones alone: no Flex, no custom operation.", ""]
        return "\n".join(lines)


def _probe_cells(probe: RuntimeProbe) -> list[str]:
    if probe.error:
        return [probe.runtime, f"can't run it: {probe.error}"]
    times = [f"{probe.milliseconds[threads]:.3f} ms" for threads in ("1", "2")]
    return [f"{probe.runtime}, {probe.machine}", *times, f"{probe.arena / 1024:,.0f} KiB"]


def _yes(holds: bool) -> str:
    return "yes" if holds else "NO"
