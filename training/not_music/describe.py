"""Print tables of the data set: ``python -m pocketgenre.training.not_music.describe OUT``.

docs/reproduce-model.md contains both tables.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from pocketgenre.cli.console import Debug, run
from pocketgenre.training.not_music.index import IndexRow, read_index
from pocketgenre.training.not_music.sources import Source, read_sources

_SPLITS = ("train", "test")


def kind_table(rows: dict[str, list[IndexRow]]) -> Iterator[str]:
    """Yield the lines of a table of files and hours by kind and split."""
    yield "| kind | genre | train: files | hours | test: files | hours |"
    yield "|---|---|---|---|---|---|"
    for genre in ("not-music", "music"):
        kinds = {row.kind for split in _SPLITS for row in rows[split] if row.genre == genre}
        for kind in sorted(kinds):
            yield f"| {kind} | {genre} {_counts(rows, genre, {kind})}"
        yield f"| all | {genre} {_counts(rows, genre, kinds)}"


def source_table(rows: dict[str, list[IndexRow]], sources: Sequence[Source]) -> Iterator[str]:
    """Yield the lines of a table of kinds, files, hours and licence by source."""
    yield "| source | split | kinds | files | hours | licence |"
    yield "|---|---|---|---|---|---|"
    members: dict[str, list[IndexRow]] = defaultdict(list)
    for row in (*rows["train"], *rows["test"]):
        members[row.source].append(row)
    for source in sources:
        found = members[source.name]
        kinds = ", ".join(sorted({row.kind for row in found}))
        hours = sum(row.seconds for row in found) / 3600
        cells = (source.name, source.split, kinds, f"{len(found):,}", f"{hours:.2f}")
        yield f"| {' | '.join(cells)} | {source.licence} |"


def describe(
    folder: Annotated[Path, typer.Argument(help="Folder of the data set.", metavar="OUT")],
    debug: Debug = False,  # noqa: ARG001  # read by console.run
) -> None:
    """Print the number of files and hours by kind and by source, as Markdown."""
    rows = {split: read_index(folder / split / "index.csv") for split in _SPLITS}
    print("\n".join([*kind_table(rows), "", *source_table(rows, read_sources())]))


def _counts(rows: dict[str, list[IndexRow]], genre: str, kinds: set[str]) -> str:
    cells = ""
    for split in _SPLITS:
        members = [row for row in rows[split] if row.genre == genre and row.kind in kinds]
        seconds = [row.seconds for row in members]
        cells += f"| {len(seconds):,} | {sum(seconds) / 3600:.2f} "
    return f"{cells}|"


def main() -> None:
    """Run the command."""
    run(describe)


if __name__ == "__main__":
    main()
