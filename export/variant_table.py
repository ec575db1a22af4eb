"""One table over all forms of a network: what each costs and what it is worth."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pocketgenre.export.export_report import ExportReport
from pocketgenre.training.data.songs import DataError
from pocketgenre.training.evaluation.report_markdown import markdown_table


@dataclass(frozen=True)
class Comparison:
    """The forms of one network side by side.

    Attributes
    ----------
    model : name of the network
    reports : by file name; an error where that form could not be made
    """

    model: str
    reports: Mapping[str, ExportReport | DataError]

    def to_json(self) -> str:
        """As JSON, ending in a newline."""
        rows = [self._row(file, report) for file, report in self.reports.items()]
        return json.dumps({"model": self.model, "files": rows}, indent=2) + "\n"

    def to_markdown(self) -> str:
        """As a page."""
        made = [r for r in self.reports.values() if isinstance(r, ExportReport)]
        runtimes = [probe.runtime for probe in made[0].probes] if made else []
        lines = [f"# The forms of the network {self.model}", ""]
        lines += [
            "Time is the median of one 3 s segment on one thread; a waveform"
            " file's includes its MFCC. Labels and songs are of what each network was not"
            " trained on.",
            "",
        ]
        rows = []
        for file, report in self.reports.items():
            if isinstance(report, DataError):
                rows.append([f"`{file}`", f"not made: {report}"])
                continue
            heldout = report.labels[-1]
            name = f"`{file}`" if report.holds else f"`{file}` (**not written: parity broken**)"
            times = [
                "can't run it" if p.error else f"{p.milliseconds['1']:.2f} ms"
                for p in report.probes
            ]
            memory = f"{report.probes[0].arena / 1024:,.0f} KiB"
            agree, right = f"{heldout.segment_agreement:.1%}", f"{heldout.tflite_accuracy:.1%}"
            rows.append([name, f"{report.size:,}", *times, memory, agree, right])
        columns = ["file", "bytes", *runtimes, "tensors", "labels as Keras", "songs right"]
        lines.append(markdown_table(columns, rows))
        if made:
            keras = made[0].labels[-1]
            lines += ["", f"Keras itself: {keras.keras_accuracy:.1%} of {keras.songs} songs right."]
        return "\n".join([*lines, ""])

    def _row(self, file: str, report: ExportReport | DataError) -> dict[str, Any]:
        if isinstance(report, DataError):
            return {"file": file, "error": str(report)}
        heldout = report.labels[-1]
        return {
            "file": file,
            "written": report.holds,
            "bytes": report.size,
            "arena": report.probes[0].arena,
            "milliseconds": {p.runtime: p.milliseconds for p in report.probes},
            "runtimes_agree": report.runtimes_agree,
            "segment_agreement": heldout.segment_agreement,
            "song_accuracy": heldout.tflite_accuracy,
            "song_accuracy_keras": heldout.keras_accuracy,
        }
