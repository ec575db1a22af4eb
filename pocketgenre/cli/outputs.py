"""Write the outputs of a scan: results, playlists, report and tags."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from pocketgenre.atomic_write import write_atomic
from pocketgenre.cli.console import print_status, progress
from pocketgenre.cli.output_checks import (
    ProtectedFiles,
    check_format,
    check_output,
    output_file,
    protected_files,
)
from pocketgenre.cli.song_output import Format, with_progress, write_songs
from pocketgenre.errors import PocketGenreError
from pocketgenre.library.discovery import display_address
from pocketgenre.library.html_report import make_report
from pocketgenre.library.library_song import LibrarySong, genres_of
from pocketgenre.library.playlists import (
    check_playlist_folder,
    make_playlists,
    write_playlists,
)
from pocketgenre.library.tags.tagging import Outcome, tag_songs
from pocketgenre.library.tags.undo_log import UndoLog, check_undo_file, default_undo_file
from pocketgenre.text import count_of, printable

_RESULTS, _TAGS = "Results", "Tags"

FormatOption = Annotated[
    Format, typer.Option("--format", help="Output format.", rich_help_panel=_RESULTS)
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="Write to this file instead of standard output.",
        metavar="FILE",
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
ReportOption = Annotated[
    Path | None,
    typer.Option(
        "--report",
        help="Write a page (.html) to read on any phone, offline.",
        metavar="FILE",
        rich_help_panel=_RESULTS,
    ),
]
WriteTagsOption = Annotated[
    bool,
    typer.Option(
        "--write-tags",
        help="Write the genre into each song that has none; undo-tags restores the songs.",
        rich_help_panel=_TAGS,
    ),
]
OverwriteOption = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="With --write-tags: replace existing genres.",
        rich_help_panel=_TAGS,
    ),
]
UndoFileOption = Annotated[
    Path | None,
    typer.Option(
        "--undo-file",
        help="File for the previous genres. By default in your data folder.",
        metavar="FILE",
        rich_help_panel=_TAGS,
    ),
]


@dataclass(frozen=True)
class Outputs:
    """Outputs of a scan, as given by the options."""

    format: Format = Format.table
    out: Path | None = None
    playlists: Path | None = None
    report: Path | None = None
    write_tags: bool = False
    overwrite: bool = False
    undo_file: Path | None = None


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
    if outputs.write_tags:
        protected = protected | protected_files(undo_file=_undo_file(outputs))
    check_format(outputs.format, outputs.out, protected)
    if outputs.report:
        check_output(outputs.report, protected)
    if outputs.report and outputs.out and outputs.report.resolve() == outputs.out.resolve():
        raise PocketGenreError("--out and --report name the same file; name two.")
    if outputs.playlists:
        check_playlist_folder(outputs.playlists, genres)
    if (outputs.overwrite or outputs.undo_file) and not outputs.write_tags:
        raise PocketGenreError("--overwrite and --undo-file need --write-tags; add it.")
    if outputs.write_tags:
        check_undo_file(_undo_file(outputs))


def write_outputs(
    songs: Sequence[LibrarySong],
    folder: Path,
    outputs: Outputs,
    is_interrupted: Callable[[], bool] = lambda: False,
    on_tagged: Callable[[Path, tuple[int, int]], None] = lambda *_: None,
    *,
    write_list: bool = True,
) -> None:
    """Write the outputs.

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
        write_songs(songs, genres, outputs.format, outputs.out)
    if outputs.playlists:
        _write_playlists(songs, outputs.playlists, genres)
    if outputs.report:
        title = folder.resolve().name or str(folder)
        with_bar = with_progress(songs, f"Rendering {count_of(len(songs), 'song')}")
        write_atomic(outputs.report, make_report(with_bar, genres, title))
        print_status(f"Wrote {printable(str(outputs.report))}.")
    if outputs.write_tags:
        _write_tags(songs, outputs, is_interrupted, on_tagged)


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
    write_songs(songs, genres_of(songs), outputs.format, outputs.out)


def _write_playlists(songs: Sequence[LibrarySong], folder: Path, genres: Sequence[str]) -> None:
    playlists = make_playlists(songs, folder)
    removed = write_playlists(playlists, folder, genres)
    count = count_of(len(playlists.files), "playlist")
    print_status(f"Wrote {count} to {printable(str(folder))}.")
    for path in removed:
        print_status(f"Removed {printable(str(path))}, an earlier playlist: it would be empty.")
    for name in playlists.left_out:
        print_status(
            f"Left out of the playlists, as no playlist can hold its name: {printable(str(name))}"
        )


def _write_tags(
    songs: Sequence[LibrarySong],
    outputs: Outputs,
    is_interrupted: Callable[[], bool],
    on_tagged: Callable[[Path, tuple[int, int]], None],
) -> None:
    undo_file = _undo_file(outputs)
    outcomes: list[Outcome] = []
    total = sum(song.has_genre for song in songs)
    with UndoLog(undo_file) as log, progress() as bar:
        task = bar.add_task(f"Writing the genre of {count_of(total, 'song')}", total=total)
        for outcome in tag_songs(songs, log, overwrite=outputs.overwrite):
            outcomes.append(outcome)
            bar.update(task, advance=1)
            if outcome.stat_before:
                on_tagged(outcome.path, outcome.stat_before)
            if outcome.action == "refused":
                bar.console.print(_refusal(outcome), markup=False, soft_wrap=True)
            if is_interrupted():
                break
    counts = Counter(outcome.action for outcome in outcomes)
    print_status(f"Wrote the genre into the tags of {count_of(counts['changed'], 'song')}.")
    if counts["changed"]:
        named = f" {printable(str(undo_file))}" if outputs.undo_file else ""
        print_status(f"To undo that: undo-tags{named}")
    if counts["kept"]:
        hint = "" if outputs.overwrite else "; --overwrite replaces it"
        print_status(f"{count_of(counts['kept'], 'song')} kept because of an existing genre{hint}.")
    if counts["refused"]:
        print_status(
            f"{count_of(counts['refused'], 'song')} could not be tagged and stayed unchanged."
        )


def _refusal(outcome: Outcome) -> str:
    return f"{printable(str(outcome.path))}: {printable(outcome.reason or '')}."


def _undo_file(outputs: Outputs) -> Path:
    return outputs.undo_file or default_undo_file()
