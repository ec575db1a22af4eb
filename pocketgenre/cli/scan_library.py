"""``scan-library``: a genre for every song of a folder."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from pocketgenre.cli.console import Debug, interruption, print_status, run
from pocketgenre.cli.dry_run import foresee_listening, foresee_outputs
from pocketgenre.cli.options import (
    CatalogFile,
    Cluster,
    DryRun,
    MinConfidence,
    MinMargin,
    Vote,
    VoteRule,
    catalog_file,
)
from pocketgenre.cli.output_checks import protected_files
from pocketgenre.cli.outputs import (
    FormatOption,
    OutOption,
    Outputs,
    OverwriteOption,
    PlaylistsOption,
    ReportOption,
    UndoFileOption,
    WriteTagsOption,
    check_outputs,
    write_interrupted,
    write_outputs,
)
from pocketgenre.cli.scan_progress import Interrupted, scan_folder, watch_folder
from pocketgenre.cli.song_output import Format, line_of
from pocketgenre.errors import PocketGenreError
from pocketgenre.jobs.executors import open_executor
from pocketgenre.jobs.worker_process import ModelEar
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.discovery import FolderListing, is_address, list_songs, local_path
from pocketgenre.library.label import Thresholds
from pocketgenre.library.labelled import LabelledSong, label_songs
from pocketgenre.library.library_diff import Wanted
from pocketgenre.library.scan import ScanConfig, catalog_songs
from pocketgenre.library.schema import NO_CATALOG
from pocketgenre.library.song import CatalogSong
from pocketgenre.models.model_card import read_model
from pocketgenre.models.pretrained import DEFAULT_MODEL, find_model

Labelling = Callable[[Iterable[CatalogSong], Path], list[LabelledSong]]

_LISTENING, _RESULTS = "Listening", "Results"


def scan_library(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder with music; the folders in it count too. With --cluster also an address,"
            " such as s3://bucket/music."
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            help="standard: 13 MFCC, fast. best: more songs right, slower. Or a TFLite file, its"
            " JSON card beside it.",
            metavar="standard|best|FILE",
            rich_help_panel=_LISTENING,
        ),
    ] = DEFAULT_MODEL,
    segments: Annotated[
        int,
        typer.Option(
            help="Hear only so many segments of each song, spread over it: a quick pass. 0: all.",
            min=0,
            max=10_000,
            metavar="N",
            rich_help_panel=_LISTENING,
        ),
    ] = 0,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes that listen; all cores by default. 0: none but this one, which a"
            " decoder that crashes ends.",
            min=0,
            max=256,
            metavar="N",
            rich_help_panel=_LISTENING,
        ),
    ] = None,
    cluster: Cluster = None,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed",
            help="Try again what failed before and has not changed.",
            rich_help_panel=_LISTENING,
        ),
    ] = False,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help="Then label new songs as they arrive, until Ctrl-C.",
            rich_help_panel=_LISTENING,
        ),
    ] = False,
    vote: Vote = VoteRule.majority,
    min_confidence: MinConfidence = 0.0,
    min_margin: MinMargin = -1.0,
    format: FormatOption = Format.table,
    out: OutOption = None,
    playlists: PlaylistsOption = None,
    report: ReportOption = None,
    write_tags: WriteTagsOption = False,
    overwrite: OverwriteOption = False,
    undo_file: UndoFileOption = None,
    catalog: CatalogFile = None,
    dry_run: DryRun = False,
    debug: Debug = False,
) -> None:
    """Label every song in FOLDER with its genre, on this machine, without a network.

    Each song is cut in 3 s segments, each segment votes, and the majority is the song's
    genre (--vote probability: the genre that they find the most probable on average). Your
    files are only read. A file that cannot be read costs one line with its reason.

    What was heard is kept in a catalogue: the next scan listens only to what is new or has
    changed, and a scan that was interrupted goes on where it stopped. Labels below
    --min-confidence or --min-margin are `uncertain`. The exit status is 0 when at least one song
    was labelled.

    For example:

    - `scan-library ~/Music`

    - `scan-library ~/Music --segments 8 --format json --out genres.json`

    - `scan-library s3://bucket/music --cluster tcp://scheduler:8786`
    """
    outputs = Outputs(format, out, playlists, report, write_tags, overwrite, undo_file)
    if watch and not out and format is not Format.table:
        raise PocketGenreError(f"--watch with --format {format.value} needs --out FILE.")
    model_file = find_model(model)
    content, card = read_model(model_file)
    check_outputs(outputs, card.labels, protected_files(catalog_file(catalog), model_file))
    thresholds = Thresholds(min_confidence, min_margin)

    folder = local_path(folder)
    if cluster and workers is not None:
        raise PocketGenreError("--workers is for this machine; leave it out with --cluster.")
    if is_address(folder) and (watch or write_tags or playlists):
        raise PocketGenreError("--watch, --write-tags and --playlists need a folder, no address.")

    def labelled(songs: Iterable[CatalogSong], inside: Path) -> list[LabelledSong]:
        return list(label_songs(songs, inside, vote.rule, thresholds))

    with open_executor(cluster, workers) as engine:
        if dry_run:
            listing = engine.list_songs(folder)
            known = catalog_file(catalog)
            with Catalog(known if known.exists() else NO_CATALOG, create=True) as opened:
                wanted = Wanted(card.sha256, segments, retry_failed)
                changes = foresee_listening(folder, listing, opened, wanted)
                there = labelled(catalog_songs(listing, opened, card.sha256), listing.folder)
            foresee_outputs(there, outputs, card.labels, changes)
            return
        listener = ScanConfig(card, ModelEar(content, card), segments, engine)
        with Catalog(catalog_file(catalog), create=True) as opened, interruption() as interrupted:
            listing = scan_folder(folder, opened, listener, interrupted, failed_again=retry_failed)
            songs = catalog_songs(listing, opened, card.sha256)
            shown = labelled(songs, listing.folder)
            if interrupted():
                write_interrupted(shown, outputs)
                raise typer.Exit(130)
            write_outputs(shown, folder, outputs, interrupted, opened.restamp)
            if watch and not interrupted():
                _watch(listing, opened, listener, labelled, outputs, interrupted)
            elif interrupted():
                raise typer.Exit(130)
    if not any(song.state == "labelled" for song in songs):
        raise typer.Exit(1)


def _watch(
    listing: FolderListing,
    catalog: Catalog,
    listener: ScanConfig,
    labelled: Labelling,
    outputs: Outputs,
    interrupted: Interrupted,
) -> None:
    """Label what arrives: a line for each song, and all that is written anew."""
    print_status(f"Watching {listing.folder}; Ctrl-C ends it.")
    lists = replace(outputs, write_tags=False)
    tags = Outputs(
        write_tags=outputs.write_tags, overwrite=outputs.overwrite, undo_file=outputs.undo_file
    )
    for done in watch_folder(listing.folder, catalog, listener, interrupted):
        song = catalog.song(done.file.path)
        new = labelled([song] if song else [], listing.folder)
        write_outputs(new, listing.folder, tags, interrupted, catalog.restamp, listed=False)
        if outputs.out or outputs.playlists or outputs.report:
            songs = catalog_songs(list_songs(listing.folder), catalog, listener.card.sha256)
            every = labelled(songs, listing.folder)
            write_outputs(every, listing.folder, lists, listed=outputs.out is not None)
        if not outputs.out:
            for one in new:
                print(line_of(one), flush=True)


def main() -> None:
    """Entry point of the command."""
    run(scan_library)


if __name__ == "__main__":
    main()
