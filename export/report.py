"""What an export did and whether it may be trusted, as JSON and as a page to read."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from export.form import QUANTIZATIONS, Form
from export.layers import LayerError
from export.parity import FeatureParity, LabelParity
from export.probes import RuntimeProbe


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
        lines = [f"# Export of {file}", "", verdict, ""]
        lines += [
            f"Network `{self.model}`, {self.size:,} bytes; takes {form.input}, {form.io} at both"
            f" ends; {form.quantization}: {QUANTIZATIONS[form.quantization]}.",
        ]
        if form.calibrated:
            lines += [f"Calibration: {self.calibration}."]
        lines += [f"SHA-256 `{self.sha256}`.", ""]
        lines += ["## Features: the device's against librosa's", ""]
        lines += ["| segments | number | max difference | worst | bound | holds |"]
        lines += ["|---|---|---|---|---|---|"]
        lines += [
            f"| {name} | {p.segments} | {p.largest_difference:.1e} | {p.worst} |"
            f" {p.atol:g} + {p.rtol:g}·x | {_yes(p.holds)} |"
            for name, p in self.features.items()
        ]
        lines += ["", "## Labels: this file on the device's features against Keras", ""]
        lines += ["| what | segments | labels agree | songs | votes agree | Keras right |"
                  " file right | holds |"]  # fmt: skip
        lines += ["|---|---|---|---|---|---|---|---|"]
        lines += [
            f"| {p.what} | {p.segments} | {p.segment_agreement:.2%} | {p.songs} |"
            f" {p.song_agreement:.2%} | {p.keras_accuracy:.2%} | {p.tflite_accuracy:.2%} |"
            f" {_yes(p.holds)} |"
            for p in self.labels
        ]
        lines += ["", "## Runtimes", ""]
        lines += ["| runtime | one thread | two threads | memory for tensors |"]
        lines += ["|---|---|---|---|"]
        lines += [_probe_line(probe) for probe in self.probes]
        lines += ["", "Median of one segment."]
        if len(self.probes) > 1:
            same = "the same label" if self.runtimes_agree else "DIFFERENT LABELS"
            lines[-1] += f" On each of 32 probing segments they give {same}."
        if self.layers:
            lines += ["", "## Error of each operation, in int8 steps", ""]
            lines += ["Rounding alone gives 0.29.", "", "| operation | result | error |"]
            lines += ["|---|---|---|"]
            lines += [f"| {e.operation} | `{e.tensor}` | {e.steps} |" for e in self.layers]
        lines += ["", "## Operations", "", ", ".join(f"`{op}`" for op in self.ops)]
        lines += ["", "Built-in ones alone: no Flex, no custom operation.", ""]
        return "\n".join(lines)


def _probe_line(probe: RuntimeProbe) -> str:
    if probe.error:
        return f"| {probe.runtime} | can't run it: {probe.error} | | |"
    times = [f"{probe.milliseconds[threads]:.3f} ms" for threads in ("1", "2")]
    cells = [f"{probe.runtime}, {probe.machine}", *times, f"{probe.arena / 1024:,.0f} KiB"]
    return f"| {' | '.join(cells)} |"


def _yes(holds: bool) -> str:
    return "yes" if holds else "NO"
