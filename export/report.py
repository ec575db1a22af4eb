"""What an export did and whether it may be trusted, as JSON and as a page to read."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from export.parity import FeatureParity, LabelParity


@dataclass(frozen=True)
class ExportReport:
    """The record of one export.

    Attributes
    ----------
    file : name of the model file
    model : name of the network
    sha256, size : of the file; size in bytes
    io : type of its input and output
    ops : its operations, in order
    calibration : how the ranges of the activations were found
    features : NumPy MFCC against librosa's
    labels : int8 TFLite against Keras
    """

    file: str
    model: str
    sha256: str
    size: int
    io: str
    ops: list[str]
    calibration: str
    features: dict[str, FeatureParity]
    labels: list[LabelParity]

    @property
    def holds(self) -> bool:
        """Whether every comparison is good enough to ship the file."""
        return all(p.holds for p in self.features.values()) and all(p.holds for p in self.labels)

    def to_json(self) -> str:
        """As JSON, ending in a newline."""
        values: dict[str, Any] = {"parity_holds": self.holds, **asdict(self)}
        values["labels"] = [parity.to_dict() for parity in self.labels]
        return json.dumps(values, indent=2) + "\n"

    def to_markdown(self) -> str:
        """As a page."""
        verdict = "Parity holds." if self.holds else "**Parity is broken**: do not ship this file."
        lines = [
            f"# Export of {self.file}",
            "",
            verdict,
            "",
            f"Network `{self.model}`, {self.size:,} bytes, {self.io} at both ends, int8 inside.",
            f"Calibration: {self.calibration}.",
            f"SHA-256 `{self.sha256}`.",
            "",
            "## (a) NumPy MFCC against librosa",
            "",
            "| segments | number | max difference | worst | bound | holds |",
            "|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {name} | {p.segments} | {p.largest_difference:.1e} | {p.worst} |"
            f" {p.atol:g} + {p.rtol:g}·x | {_yes(p.holds)} |"
            for name, p in self.features.items()
        ]
        lines += [
            "",
            "## (b) int8 TFLite on NumPy MFCC against Keras float32 on librosa MFCC",
            "",
            "| what | segments | labels agree | songs | votes agree | Keras right | int8 right"
            " | holds |",
            "|---|---|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {p.what} | {p.segments} | {p.segment_agreement:.2%} | {p.songs} |"
            f" {p.song_agreement:.2%} | {p.keras_accuracy:.2%} | {p.tflite_accuracy:.2%} |"
            f" {_yes(p.holds)} |"
            for p in self.labels
        ]
        lines += ["", "## Operations", "", ", ".join(f"`{op}`" for op in self.ops), ""]
        return "\n".join(lines)


def _yes(holds: bool) -> str:
    return "yes" if holds else "NO"
