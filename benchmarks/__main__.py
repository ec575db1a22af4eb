"""Run all benchmarks on one thread and write docs/benchmarks.md: ``python -m benchmarks``.

Arguments are passed to pytest, for example ``-k mfcc``; then the page is printed instead.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import textwrap
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
PACKAGES = ("numpy", "scipy", "librosa", "soundfile", "soxr", "av", "ai-edge-litert")


def main() -> None:
    """Run pytest-benchmark in its own process and write the page, or print a part of it."""
    arguments = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results.json")
        command = ["pytest", "benchmarks", "--benchmark-only", f"--benchmark-json={results}"]
        command += arguments
        environment = os.environ | ONE_THREAD
        subprocess.run([sys.executable, "-m", *command], check=True, env=environment)
        measured = json.loads(results.read_text())["benchmarks"]
    content = format_page(measured)
    if arguments:
        print(content, end="")
    else:
        PAGE.write_text(content, encoding="utf-8")


def format_page(measured: list[dict[str, Any]]) -> str:
    """Format tables of medians, with ratios to the first row of each group.

    Parameters
    ----------
    measured : the list ``benchmarks`` of pytest-benchmark's JSON file
    """
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    machine = (
        f"{processor_name()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    )
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`: medians of many rounds, one thread, one run. Times depend on the",
        "machine; compare the ratios.",
        "",
        *textwrap.wrap(
            f"Machine: {machine}, Python {platform.python_version()}; {versions}.",
            120,
            break_on_hyphens=False,
        ),
    ]
    for group, grouped in groupby(measured, key=lambda row: row["group"]):
        rows = list(grouped)
        lines += ["", f"## {group}", ""]
        kind = group.partition(":")[0]
        lines += {"Memory": _memory, "Models": _models}.get(kind, _times)(rows)
    return "\n".join(lines) + "\n"


def _times(rows: list[dict[str, Any]]) -> list[str]:
    first = rows[0]["stats"]["median"]
    lines = ["| benchmark | median | ratio to the first |", "|---|---|---|"]
    for row in rows:
        median = row["stats"]["median"]
        lines.append(f"| {_name(row)} | {median * 1e3:.3f} ms | {median / first:.2f} |")
    return lines


def _models(rows: list[dict[str, Any]]) -> list[str]:
    first = rows[0]["stats"]["median"]
    lines = ["| model | bytes | per second of audio | ratio to the first | songs correct |"]
    lines += ["|---|---|---|---|---|"]
    for row in rows:
        median, extra = row["stats"]["median"], row["extra_info"]
        correct = "-" if extra["accuracy"] is None else f"{extra['accuracy']:.1%}"
        name, ms = _name(row), median / 60 * 1e3
        lines.append(
            f"| {name} | {extra['bytes']:,} | {ms:.3f} ms | {median / first:.2f} | {correct} |"
        )
    return lines


def _memory(rows: list[dict[str, Any]]) -> list[str]:
    lines = ["| benchmark | peak |", "|---|---|"]
    lines += [f"| {_name(row)} | {row['extra_info']['peak_mb']} MB |" for row in rows]
    return lines


def _name(row: dict[str, Any]) -> str:
    return str(row["name"]).removeprefix("test_").replace("_", " ")


def processor_name() -> str:
    """Return the model name of the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
