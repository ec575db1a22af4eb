"""``make bench``: run all comparisons on one thread and write docs/benchmarks.md."""

import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
PACKAGES = ("numpy", "scipy", "librosa", "soundfile", "soxr", "av", "ai-edge-litert")


def main() -> None:
    """Run pytest-benchmark in a process of its own and write the page."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results.json")
        command = ["pytest", "benchmarks", "--benchmark-only", f"--benchmark-json={results}"]
        environment = os.environ | ONE_THREAD
        subprocess.run([sys.executable, "-m", *command], check=True, env=environment)
        measured = json.loads(results.read_text())["benchmarks"]
    PAGE.write_text(page(measured), encoding="utf-8")


def page(measured: list[dict[str, Any]]) -> str:
    """Tables of medians, each with its ratio to the first of its group."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`: medians of many rounds, one thread, one run. Times hold for",
        "the machine named here; the ratios are what to take away.",
        "",
        f"Machine: {_processor()}, {os.cpu_count()} cores, {platform.system()}"
        f" {platform.machine()}, Python {platform.python_version()}; {versions}.",
    ]
    for group, grouped in groupby(measured, key=lambda row: row["group"]):
        rows = list(grouped)
        lines += ["", f"## {group}", ""]
        kind = group.partition(" ")[0]
        lines += {"Memory": _memory, "Models:": _models}.get(kind, _times)(rows)
    return "\n".join(lines) + "\n"


def _times(rows: list[dict[str, Any]]) -> list[str]:
    first = rows[0]["stats"]["median"]
    lines = ["| what | median | ratio to the first |", "|---|---|---|"]
    for row in rows:
        median = row["stats"]["median"]
        lines.append(f"| {_what(row)} | {median * 1e3:.3f} ms | {median / first:.2f} |")
    return lines


def _models(rows: list[dict[str, Any]]) -> list[str]:
    first = rows[0]["stats"]["median"]
    lines = ["| model | bytes | a second of audio | ratio to the first | songs right |"]
    lines += ["|---|---|---|---|---|"]
    for row in rows:
        median, extra = row["stats"]["median"], row["extra_info"]
        right = "-" if extra["accuracy"] is None else f"{extra['accuracy']:.1%}"
        ms = median / 60 * 1e3
        lines.append(
            f"| {_what(row)} | {extra['bytes']:,} | {ms:.3f} ms | {median / first:.2f} | {right} |"
        )
    return lines


def _memory(rows: list[dict[str, Any]]) -> list[str]:
    lines = ["| what | peak |", "|---|---|"]
    lines += [f"| {_what(row)} | {row['extra_info']['peak_mb']} MB |" for row in rows]
    return lines


def _what(row: dict[str, Any]) -> str:
    return str(row["name"]).removeprefix("test_").replace("_", " ")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
