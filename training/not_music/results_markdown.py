"""Format the results of an evaluation as Markdown."""

from collections.abc import Mapping
from typing import Any

from pocketgenre.text import count_of, printable
from pocketgenre.training.not_music.summary import HIGH_CONFIDENCE


def results_markdown(summary: Mapping[str, Any]) -> str:
    """Format the results of :func:`pocketgenre.training.not_music.summary.summarize`."""
    failures = summary["failures"]
    lines = [
        f"# Recordings that are not music: {printable(summary['model'])}",
        "",
        f"{count_of(summary['files'], 'file')}. A confident genre has a confidence above"
        f" {HIGH_CONFIDENCE:g}.",
        "Files that can't be classified count as failed and are not part of the shares.",
        "",
        *_table("group", summary["groups"]),
        "",
        "## By source",
        "",
        *_table("source and kind", summary["sources"]),
        "",
        "## Non-music with a genre, most confident first",
        "",
    ]
    if summary["errors"]:
        lines += ["| file | kind | genre | confidence |", "|---|---|---|---|"]
    lines += [
        f"| {_cell(e['path'])} | {e['kind']} | {e['genre']} | {e['confidence']:.3f} |"
        for e in summary["errors"]
    ] or ["None."]
    if failures:
        lines += ["", "## Files that can't be classified", "", "| file | reason |", "|---|---|"]
        lines += [f"| {_cell(f['path'])} | {_cell(f['error'])} |" for f in failures]
    return "\n".join(lines) + "\n"


def _table(name: str, groups: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = [
        f"| {name} | files | failed | not-music | not-music or uncertain | confident genre |",
        "|---|---|---|---|---|---|",
    ]
    for group, counts in groups.items():
        shares = [_percent(counts[key]) for key in ("not_music", "not_music_or_uncertain")]
        cells = [_cell(group), counts["files"], counts["failed"], *shares]
        lines.append(f"| {' | '.join(map(str, cells))} | {counts['confident_genre']} |")
    return lines


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _cell(text: str) -> str:
    return printable(text).replace("|", "\\|")
