"""Write the outputs of a scan: results, playlists, report and tags."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from pocketgenre.atomic_write import write_atomic
from pocketgenre.cli.console import print_status
from pocketgenre.cli.output_checks import (
    ProtectedFiles,
    check_format,
    check_output,
    output_file,
    protected_files,
)
from pocketgenre.cli.song_output import Format, with_progress, write_songs
from pocketgenre.cli.song_table import COLUMN_NAMES
from pocketgenre.cli.tag_output import TagOutput, write_tags
from pocketgenre.errors import PocketGenreError
from pocketgenre.library.discovery import display_address
from pocketgenre.library.genre_names import GenreNames
from pocketgenre.library.html_report import make_report
from pocketgenre.library.library_song import LibrarySong, genres_of
from pocketgenre.library.playlists import (
    check_playlist_folder,
    make_playlists,
    write_playlists,
)
from pocketgenre.library.tags.tagging import Outcome
from pocketgenre.library.tags.undo_log import check_writable
from pocketgenre.text import count_of, printable

_RESULTS = "Results"

FormatOption = Annotated[
    Format | None,
    typer.Option(
        "--format",
        help="Output format; by default that of the ending of --out, or a table.",
        rich_help_panel=_RESULTS,
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="Write to this file instead of standard output (-).",
        metavar="FILE",
        rich_help_panel=_RESULTS,
    ),
]
ColumnsOption = Annotated[
    str,
    typer.Option(
        "--columns",
        help="Columns of the table, such as title,artist,genre; by default those that fit. Columns:"
        f" {', '.join(COLUMN_NAMES)}.",
        metavar="NAMES",
        rich_help_panel=_RESULTS,
    ),
]
PlaylistsOption = Annotated[
    Path | None,
    typer.Option(
        "--playlists",
        help="Write a playlist (.m3u8) for each genre into this folder.",
        metavar="DIR",
        rich_help_panel=_RESULTS,
    ),
]
PlaylistPrefixOption = Annotated[
    str | None,
    typer.Option(
        "--playlist-prefix",
        help="Text before each path in playlists, which is then relative to FOLDER, such as"
        " /storage/emulated/0/Music. By default paths are relative to DIR.",
        metavar="TEXT",
        rich_help_panel=_RESULTS,
    ),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        "--report",
        help="Write a page (.html) to read on any phone, offline.",
        metavar="FILE",
        rich_help_panel=_RESULTS,
    ),
]


@dataclass(frozen=True)
class Outputs:
    """Outputs of a scan, as given by the options; None for those that are not wanted."""

    format: Format = Format.table
    out: Path | None = None
    playlists: Path | None = None
    report: Path | None = None
    tags: TagOutput | None = None
    playlist_prefix: str | None = None
    columns: tuple[str, ...] = ()
    names: GenreNames = field(default_factory=GenreNames)

    def playlist_names(self, genres: Sequence[str]) -> list[str]:
        """Return the names that playlists of genres can have, now and without own names."""
        return list(dict.fromkeys([*map(self.names.name, genres), *genres]))


def column_names(text: str) -> tuple[str, ...]:
    """Read the value of ``--columns``.

    Raises
    ------
    typer.BadParameter
        if there is no column of a name.
    """
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in COLUMN_NAMES:
            raise typer.BadParameter(
                f"there is no column {printable(name)}; choose from {', '.join(COLUMN_NAMES)}."
            )
    return tuple(names)


def check_outputs(outputs: Outputs, genres: Sequence[str], protected: ProtectedFiles) -> None:
    """Check before a scan that all outputs can be written.

    Parameters
    ----------
    outputs : outputs
    genres : genres of the model
    protected : files that the command uses

    Raises
    ------
    PocketGenreError
        if a path can't be written to, or names a file that must not be replaced.
    """
    if outputs.tags:
        protected = protected | protected_files(undo_file=outputs.tags.log_file)
    check_format(outputs.format, outputs.out, protected)
    if outputs.report:
        check_output(outputs.report, protected)
    if outputs.report and outputs.out and outputs.report.resolve() == outputs.out.resolve():
        raise PocketGenreError("--out and --report name the same file; name two.")
    if outputs.playlists:
        check_playlist_folder(outputs.playlists, outputs.playlist_names(genres))
    if outputs.tags:
        check_writable(outputs.tags.log_file)


def write_outputs(
    songs: Sequence[LibrarySong],
    folder: Path,
    outputs: Outputs,
    is_interrupted: Callable[[], bool] = lambda: False,
    on_tagged: Callable[[Path, tuple[int, int]], None] = lambda *_: None,
    *,
    write_list: bool = True,
) -> list[Outcome]:
    """Write the outputs; return the outcome for each song to tag.

    Parameters
    ----------
    songs : songs in the order of the output
    folder : scanned folder
    outputs : outputs, checked by :func:`check_outputs`
    is_interrupted : polled between two songs while tags are written
    on_tagged : called with each tagged song, and its previous size and time
    write_list : write the songs to ``outputs.out`` or standard output
    """
    genres = genres_of(songs)
    if write_list:
        write_songs(songs, genres, outputs.format, outputs.out, outputs.columns)
    if outputs.playlists:
        _write_playlists(songs, outputs.playlists, outputs, genres)
    if outputs.report:
        title = folder.resolve().name or str(folder)
        with_bar = with_progress(songs, f"Rendering {count_of(len(songs), 'song')}")
        write_atomic(outputs.report, make_report(with_bar, genres, title, outputs.names.name))
        print_status(f"Wrote {printable(str(outputs.report))}.")
    if outputs.tags:
        return write_tags(songs, outputs.tags, outputs.names, is_interrupted, on_tagged)
    return []


def write_interrupted(songs: Sequence[LibrarySong], outputs: Outputs) -> None:
    """Write the results so far, unless that would replace complete ones.

    Playlists, report and tags stay unchanged.
    """
    file = output_file(outputs.format, outputs.out) if outputs.out else None
    if outputs.out and (file is None or file.exists()):  # an address can't be checked
        name = printable(display_address(outputs.out))
        print_status(f"Interrupted; {name} is unchanged, and the same command continues.")
        return
    print_status("Interrupted; these are the results so far, and the same command continues.")
    write_songs(songs, genres_of(songs), outputs.format, outputs.out, outputs.columns)


def _write_playlists(
    songs: Sequence[LibrarySong], folder: Path, outputs: Outputs, genres: Sequence[str]
) -> None:
    playlists = make_playlists(songs, folder, outputs.playlist_prefix)
    removed = write_playlists(playlists, folder, outputs.playlist_names(genres))
    count = count_of(len(playlists.files), "playlist")
    print_status(f"Wrote {count} to {printable(str(folder))}.")
    for path in removed:
        print_status(f"Removed {printable(str(path))}, an earlier playlist: it would be empty.")
    for name in playlists.left_out:
        print_status(
            f"Left out of the playlists, as no playlist can hold its name: {printable(str(name))}"
        )
