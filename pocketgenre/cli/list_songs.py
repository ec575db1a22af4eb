"""Run ``list-songs``: list the songs of the catalogue."""

import csv
import io
import json
import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from pocketgenre.cli.console import Debug, print_status, run
from pocketgenre.cli.options import (
    CatalogFile,
    Folder,
    GenreMap,
    MinConfidence,
    MinMargin,
    Quiet,
    Version,
    Vote,
    VoteOption,
    absolute,
    catalog_file,
    label_config,
)
from pocketgenre.cli.output_checks import check_output, format_of, output_path, protected_files
from pocketgenre.cli.song_output import write_content
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.genre_names import find_labels, read_genre_names
from pocketgenre.library.library_song import State
from pocketgenre.library.queries import Row, Selection, check_folder, known_labels, select_songs
from pocketgenre.text import count_of, encode_escaped, printable


class ListFormat(StrEnum):
    """Values of ``--format``."""

    table = "table"
    paths = "paths"
    json = "json"
    csv = "csv"


def list_songs(
    genre: Annotated[
        list[str] | None,
        typer.Option(help="Only songs of this genre; may be given several times."),
    ] = None,
    folder: Folder = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Songs that could not be classified, with the reason.")
    ] = False,
    vanished: Annotated[
        bool, typer.Option("--vanished", help="Songs whose files are gone.")
    ] = False,
    vote: Vote = VoteOption.majority,
    min_confidence: MinConfidence = None,
    min_margin: MinMargin = -1.0,
    genre_map: GenreMap = None,
    format: Annotated[
        ListFormat | None,
        typer.Option(
            help="table: aligned columns; paths: one path per line; json, csv: all fields. By"
            " default that of the ending of --out, or a table."
        ),
    ] = None,
    null: Annotated[
        bool,
        typer.Option("--null", "-0", help="With --format paths: end paths with a zero byte."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Write to this file instead of standard output (-).", metavar="FILE"),
    ] = None,
    catalog: CatalogFile = None,
    quiet: Quiet = False,
    version: Version = False,
    debug: Debug = False,
) -> None:
    """List the songs that scan-library has labelled, without decoding them again.

    The columns of the table are genre, confidence, margin and path. The exit status is 0 even for
    an empty list.

    For example:

    - `list-songs --genre jazz --min-confidence 0.8`

    - `list-songs --failed`
    """
    if failed and vanished:
        raise typer.BadParameter("--failed and --vanished are different lists; choose one.")
    config = label_config(vote, min_confidence, min_margin)
    if failed and (genre or config.has_thresholds):
        raise typer.BadParameter(
            "--failed lists songs without a genre; omit --genre, --min-confidence and --min-margin."
        )
    out = output_path(out)
    chosen_format = format or format_of(out, ListFormat, ListFormat.table)
    if null and chosen_format is not ListFormat.paths:
        raise typer.BadParameter("--null needs --format paths.")
    if out:
        check_output(out, protected_files(catalog_file(catalog)))
    state: State = "failed" if failed else "vanished" if vanished else "labelled"
    below = absolute(folder)
    with Catalog(catalog_file(catalog), access="read") as opened:
        check_folder(opened, below)
        labels = known_labels(opened)
        names = read_genre_names(genre_map, labels)
        genres = [label for name in genre or () for label in find_labels(name, labels, names)]
        rows = select_songs(opened, Selection(state, tuple(genres), below, config))
        if names:
            rows = [row._replace(genre=names.get(row.genre or "") or row.genre) for row in rows]
    content = _paths(rows, b"\0") if null else _WRITERS[chosen_format](rows)
    write_content(content, out)
    print_status(f"{count_of(len(rows), 'song')}.")


def _table(rows: Sequence[Row]) -> bytes:
    return encode_escaped("".join(f"{_line(row)}\n" for row in rows))


def _line(row: Row) -> str:
    name = printable(os.fsdecode(row.path))
    if row.genre is None:
        return f"{name}: {printable(row.error or '')}"
    return f"{printable(row.genre):<12}{row.confidence:>5.0%}{row.margin:>7.2f}  {name}"


def _paths(rows: Sequence[Row], end: bytes = b"\n") -> bytes:
    return b"".join(row.path + end for row in rows)


def _json(rows: Sequence[Row]) -> bytes:
    return encode_escaped(
        json.dumps([_fields(row) for row in rows], indent=2, ensure_ascii=False) + "\n"
    )


def _csv(rows: Sequence[Row]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, Row._fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(_fields, rows))
    return encode_escaped(text.getvalue())


def _fields(row: Row) -> dict[str, Any]:
    rounded = {
        name: None if (value := getattr(row, name)) is None else round(value, 4)
        for name in ("confidence", "probability", "margin")
    }
    return row._asdict() | {"path": os.fsdecode(row.path)} | rounded


_WRITERS = {
    ListFormat.table: _table,
    ListFormat.paths: _paths,
    ListFormat.json: _json,
    ListFormat.csv: _csv,
}


def main() -> None:
    """Run the command."""
    run(list_songs)


if __name__ == "__main__":
    main()
