"""``scan-library``: a genre for every song of a folder."""

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from mobile_demo.classifier import Classifier
from mobile_demo.cli.console import Debug, interruption, progress, run, say
from mobile_demo.cli.outputs import (
    FormatOption,
    OutOption,
    Outputs,
    OverwriteOption,
    PlaylistsOption,
    ReportOption,
    UndoFileOption,
    WriteTagsOption,
    check_outputs,
    write_outputs,
)
from mobile_demo.cli.song_output import Format
from mobile_demo.decoding import SONG_SUFFIXES
from mobile_demo.errors import AudioError, PocketGenreError
from mobile_demo.library import find_songs
from mobile_demo.scanner.label import Thresholds
from mobile_demo.scanner.labelled import label_songs
from mobile_demo.scanner.song import CatalogSong
from mobile_demo.shipped import DEFAULT_MODEL, find_model


class VoteRule(StrEnum):
    """How a song's segments decide."""

    majority = "majority"
    probability = "probability"


def scan_library(
    folder: Annotated[Path, typer.Argument(help="Folder with music; the folders in it count too.")],
    model: Annotated[
        str,
        typer.Option(
            help="standard: 13 MFCC, fast. best: more songs right, slower. Or a TFLite file, its"
            " JSON card beside it.",
            metavar="standard|best|FILE",
        ),
    ] = DEFAULT_MODEL,
    vote: Annotated[
        VoteRule,
        typer.Option(help="A voice for each segment, or its probabilities."),
    ] = VoteRule.majority,
    min_confidence: Annotated[
        float,
        typer.Option(
            help="Least share of the votes (--vote probability: of the probability).",
            min=0.0,
            max=1.0,
            rich_help_panel="Labels",
        ),
    ] = 0.0,
    min_margin: Annotated[
        float,
        typer.Option(
            help="Least distance of the genre's mean probability to the next one's.",
            min=-1.0,
            max=1.0,
            rich_help_panel="Labels",
        ),
    ] = -1.0,
    format: FormatOption = Format.table,
    out: OutOption = None,
    playlists: PlaylistsOption = None,
    report: ReportOption = None,
    write_tags: WriteTagsOption = False,
    overwrite: OverwriteOption = False,
    undo_file: UndoFileOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Label every song in FOLDER with its genre, on this machine, without a network.

    Each song is cut in 3 s segments, each segment votes, and the majority is the song's
    genre (--vote probability: the genre that they find the most probable on average). Below
    --min-confidence or --min-margin it is `uncertain`. Your files are only read, unless you ask
    for --write-tags. A file that cannot be read costs one line with its reason. The exit status
    is 0 when at least one song was labelled.

    For example:

    - `scan-library ~/Music`

    - `scan-library ~/Music --format json --out genres.json`

    - `scan-library ~/Music --playlists ~/Playlists --report genres.html`

    - `scan-library ~/Music --min-margin 0.2 --write-tags --dry-run`
    """
    outputs = Outputs(format, out, playlists, report, write_tags, overwrite, undo_file, dry_run)
    classifier = Classifier.load(find_model(model))
    check_outputs(outputs, classifier.card.labels)
    with interruption() as interrupted:
        songs = listen(folder, classifier, interrupted)
        if interrupted():
            say("Interrupted; here is what was labelled before.")
            outputs = replace(outputs, write_tags=False)
        rule: Literal["majority", "probability"] = (
            "majority" if vote is VoteRule.majority else "probability"
        )
        thresholds = Thresholds(min_confidence, min_margin)
        labelled = list(label_songs(songs, folder.absolute(), rule, thresholds))
        write_outputs(labelled, folder, outputs, interrupted)
        if interrupted():
            raise typer.Exit(130)
    if not any(song.label for song in labelled):
        raise typer.Exit(1)


def listen(
    folder: Path, classifier: Classifier, interrupted: Callable[[], bool]
) -> list[CatalogSong]:
    """Listen to a folder's songs with a progress bar, until the end or an interruption.

    Raises
    ------
    PocketGenreError
        the folder can't be listed or holds no song.
    """
    paths = find_songs(folder)
    if not paths:
        raise PocketGenreError(
            f"There is no music in {folder}; looked for files ending in"
            f" {', '.join(sorted(SONG_SUFFIXES))}."
        )
    songs = []
    with progress() as bar:
        total = sum(_size(folder / path) for path in paths)  # bytes tell the time left best
        task = bar.add_task(f"Listening to {len(paths)} songs", total=total)
        for path in paths:
            song = _listen(folder.absolute() / path, classifier)
            songs.append(song)
            bar.update(task, advance=song.size)
            if interrupted():
                break
    return songs


def _listen(path: Path, classifier: Classifier) -> CatalogSong:
    card = classifier.card
    size, modified = _size(path), _modified(path)
    seconds = card.front_end.segment_samples / card.front_end.sample_rate
    table, error = None, None
    try:
        table = classifier.segment_probabilities(path)
    except AudioError as problem:
        error = str(problem)
    return CatalogSong(
        path,
        "failed" if table is None else "labelled",
        error,
        size,
        modified,
        card.sha256,
        seconds,
        tuple(card.labels),
        table,
    )


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def main() -> None:
    """Entry point of the command."""
    run(scan_library)


if __name__ == "__main__":
    main()
