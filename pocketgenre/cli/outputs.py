"""What a scan leaves behind: results, playlists, a report, tags. Options, checks, and the doing."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from pocketgenre.atomic_write import write_atomic
from pocketgenre.cli.console import print_status, printable, progress
from pocketgenre.cli.output_checks import (
    ProtectedFiles,
    check_format,
    check_output,
    file_of,
    protected_files,
)
from pocketgenre.cli.song_output import Format, with_progress, write_songs
from pocketgenre.errors import PocketGenreError
from pocketgenre.library.discovery import display_address
from pocketgenre.library.html_report import make_report
from pocketgenre.library.label import UNCERTAIN
from pocketgenre.library.labelled import LabelledSong, genres_of
from pocketgenre.library.playlists import (
    check_playlist_folder,
    make_playlists,
    write_playlists,
)
from pocketgenre.library.tags.tagging import Outcome, tag_songs
from pocketgenre.library.tags.undo_log import UndoLog, check_undo_file, default_undo_file

_RESULTS, _TAGS = "Results", "Tags"

FormatOption = Annotated[
    Format, typer.Option("--format", help="What to write.", rich_help_panel=_RESULTS)
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
        help="Write each song's genre into its file, where it has none. undo-tags takes it back.",
        rich_help_panel=_TAGS,
    ),
]
OverwriteOption = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="With --write-tags: also where there is a genre already.",
        rich_help_panel=_TAGS,
    ),
]
UndoFileOption = Annotated[
    Path | None,
    typer.Option(
        "--undo-file",
        help="Where the previous genres are kept. By default in your data folder.",
        metavar="FILE",
        rich_help_panel=_TAGS,
    ),
]


@dataclass(frozen=True)
class Outputs:
    """What is to be written, as the options say."""

    format: Format = Format.table
    out: Path | None = None
    playlists: Path | None = None
    report: Path | None = None
    write_tags: bool = False
    overwrite: bool = False
    undo_file: Path | None = None


def check_outputs(outputs: Outputs, genres: Sequence[str], own: ProtectedFiles) -> None:
    """Refuse, before hours of work, what couldn't be written after them.

    Parameters
    ----------
    outputs : what is to be written
    genres : that the model knows
    own : files of this command

    Raises
    ------
    PocketGenreError
        a place can't be written to, or something of the user's stands there.
    """
    if outputs.write_tags:
        own = own | protected_files(undo_file=_undo_file(outputs))
    check_format(outputs.format, outputs.out, own)
    if outputs.report:
        check_output(outputs.report, own)
    if outputs.report and outputs.out and outputs.report.resolve() == outputs.out.resolve():
        raise PocketGenreError("--out and --report name the same file; name two.")
    if outputs.playlists:
        check_playlist_folder(outputs.playlists, genres)
    if (outputs.overwrite or outputs.undo_file) and not outputs.write_tags:
        raise PocketGenreError("--overwrite and --undo-file go with --write-tags; add that.")
    if outputs.write_tags:
        check_undo_file(_undo_file(outputs))


def write_outputs(
    songs: Sequence[LabelledSong],
    folder: Path,
    outputs: Outputs,
    interrupted: Callable[[], bool] = lambda: False,
    tagged: Callable[[Path, tuple[int, int]], None] = lambda *_: None,
    *,
    listed: bool = True,
) -> None:
    """Write all that was asked for.

    Parameters
    ----------
    songs : labelled, in the order in which they are to be listed
    folder : that was scanned
    outputs : checked before by :func:`check_outputs`
    interrupted : asked between two songs when tags are written
    tagged : told of each song as soon as its tags are written, with its size and time before; the
        file has another size now, and the time that it had
    listed : whether the songs themselves are written, to ``outputs.out`` or standard output
    """
    genres = genres_of(songs)
    if listed:
        write_songs(songs, genres, outputs.format, outputs.out)
    if outputs.playlists:
        _write_playlists(songs, outputs.playlists, genres)
    if outputs.report:
        title = folder.resolve().name or str(folder)
        shown = with_progress(songs, f"Drawing {len(songs)} songs")
        write_atomic(outputs.report, make_report(shown, genres, title))
        print_status(f"Wrote {printable(str(outputs.report))}.")
    if outputs.write_tags:
        _write_tags(songs, outputs, interrupted, tagged)


def write_interrupted(songs: Sequence[LabelledSong], outputs: Outputs) -> None:
    """Write what an interrupted scan has, unless that would replace something complete.

    Playlists, report and tags stay as they are.
    """
    file = file_of(outputs.format, outputs.out) if outputs.out else None
    if outputs.out and (file is None or file.exists()):  # what stands at an address isn't known
        name = printable(display_address(outputs.out))
        print_status(f"Interrupted; {name} stays as it was, and the same command goes on.")
        return
    print_status("Interrupted; here is what was labelled before, and the same command goes on.")
    write_songs(songs, genres_of(songs), outputs.format, outputs.out)


def _write_playlists(songs: Sequence[LabelledSong], folder: Path, genres: Sequence[str]) -> None:
    playlists = make_playlists(songs, folder)
    removed = write_playlists(playlists, folder, genres)
    print_status(f"Wrote {len(playlists.files)} playlists to {printable(str(folder))}.")
    for path in removed:
        print_status(f"Removed {printable(str(path))}, which we wrote before: it would be empty.")
    for name in playlists.left_out:
        print_status(
            f"Left out of the playlists, as no playlist can hold its name: {printable(str(name))}"
        )


def _write_tags(
    songs: Sequence[LabelledSong],
    outputs: Outputs,
    interrupted: Callable[[], bool],
    tagged: Callable[[Path, tuple[int, int]], None],
) -> None:
    undo_file = _undo_file(outputs)
    outcomes: list[Outcome] = []
    total = sum(song.label is not None and song.label.genre != UNCERTAIN for song in songs)
    with UndoLog(undo_file) as log, progress() as bar:
        task = bar.add_task(f"Writing the genres of {total} songs", total=total)
        for outcome in tag_songs(songs, log, overwrite=outputs.overwrite):
            outcomes.append(outcome)
            bar.update(task, advance=1)
            if outcome.was:
                tagged(outcome.path, outcome.was)
            if outcome.done == "refused":
                bar.console.print(_refusal(outcome), markup=False, soft_wrap=True)
            if interrupted():
                break
    counts = Counter(outcome.done for outcome in outcomes)
    print_status(f"Wrote the genre of {counts['changed']} songs into their tags.")
    if counts["changed"]:
        named = f" {printable(str(undo_file))}" if outputs.undo_file else ""
        print_status(f"To take that back: undo-tags{named}")
    if counts["kept"]:
        hint = "" if outputs.overwrite else "; --overwrite replaces it"
        print_status(f"{counts['kept']} have a genre already{hint}.")
    if counts["refused"]:
        print_status(f"{counts['refused']} could not be written; their files are as they were.")


def _refusal(outcome: Outcome) -> str:
    return f"{printable(str(outcome.path))}: {printable(outcome.reason or '')}."


def _undo_file(outputs: Outputs) -> Path:
    return outputs.undo_file or default_undo_file()
