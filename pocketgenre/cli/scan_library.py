"""Run ``scan-library``: predict the genre of every song in a folder."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from pocketgenre.cli.console import Debug, interrupt_flag, print_status, run
from pocketgenre.cli.dry_run import preview_outputs, preview_scan
from pocketgenre.cli.options import (
    CatalogFile,
    Cluster,
    DryRun,
    MinConfidence,
    MinMargin,
    Vote,
    VoteOption,
    catalog_file,
    label_config,
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
from pocketgenre.cli.scan_progress import IsInterrupted, scan_folder, watch_folder
from pocketgenre.cli.song_output import Format, song_line
from pocketgenre.errors import PocketGenreError
from pocketgenre.inference import InferenceSetup
from pocketgenre.jobs.executors import open_executor
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.discovery import FolderListing, is_address, list_songs, local_path
from pocketgenre.library.library_diff import ScanRequest
from pocketgenre.library.scan import ScanConfig, catalog_songs
from pocketgenre.library.schema import NO_CATALOG
from pocketgenre.models.model_card import read_model
from pocketgenre.models.pretrained import DEFAULT_MODEL, find_model
from pocketgenre.prediction import LabelConfig

_CLASSIFICATION = "Classification"


def scan_library(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder with music, searched with its subfolders. With --cluster also an address"
            " such as s3://bucket/music."
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            help="best: higher accuracy. standard: 13 MFCC, faster. Or a TFLite file with its JSON"
            " card next to it.",
            metavar="standard|best|FILE",
            rich_help_panel=_CLASSIFICATION,
        ),
    ] = DEFAULT_MODEL,
    segments: Annotated[
        int,
        typer.Option(
            help="Classify only this number of evenly spaced segments of each song, which is"
            " faster. 0: all segments.",
            min=0,
            max=10_000,
            metavar="N",
            rich_help_panel=_CLASSIFICATION,
        ),
    ] = 0,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Worker processes; by default one per core. 0: run in this process (a decoder"
            " crash ends the scan).",
            min=0,
            max=256,
            metavar="N",
            rich_help_panel=_CLASSIFICATION,
        ),
    ] = None,
    cluster: Cluster = None,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed",
            help="Try unchanged files again that failed before.",
            rich_help_panel=_CLASSIFICATION,
        ),
    ] = False,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help="After the scan, label new songs as they arrive, until Ctrl-C.",
            rich_help_panel=_CLASSIFICATION,
        ),
    ] = False,
    vote: Vote = VoteOption.majority,
    min_confidence: MinConfidence = None,
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
    """Predict the genre of every song in FOLDER, on this machine, offline.

    Each song is split into 3 s segments. Each segment votes, and the majority is the song's genre
    (--vote probability: the genre with the highest mean probability). Your files are only read.
    A file that cannot be read is listed with the reason.

    The results are stored in a catalogue: the next scan classifies only new and changed songs, and
    an interrupted scan continues where it stopped. Songs below --min-confidence or --min-margin
    are `uncertain`. The exit status is 0 if at least one song was labelled.

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
    labels = label_config(vote, min_confidence, min_margin)
    folder = local_path(folder)
    if cluster and workers is not None:
        raise PocketGenreError("--workers is for this machine; omit it with --cluster.")
    if is_address(folder) and (watch or write_tags or playlists):
        raise PocketGenreError(
            "--watch, --write-tags and --playlists need a folder, not an address."
        )

    with open_executor(cluster, workers) as executor:
        config = ScanConfig(card, InferenceSetup(content, card), segments, executor)
        if dry_run:
            request = config.request(retry_failed=retry_failed)
            _dry_run(folder, catalog_file(catalog), config, request, outputs, labels)
            return
        with (
            Catalog(catalog_file(catalog), create=True) as opened,
            interrupt_flag() as is_interrupted,
        ):
            listing = scan_folder(folder, opened, config, is_interrupted, retry_failed=retry_failed)
            songs = catalog_songs(listing, opened, card.sha256, labels)
            if is_interrupted():
                write_interrupted(songs, outputs)
                raise typer.Exit(130)
            write_outputs(songs, folder, outputs, is_interrupted, opened.update_stat)
            if watch and not is_interrupted():
                _watch(listing, opened, config, labels, outputs, is_interrupted)
            elif is_interrupted():
                raise typer.Exit(130)
    if not any(song.state == "labelled" for song in songs):
        raise typer.Exit(1)


def _dry_run(
    folder: Path,
    catalog: Path,
    config: ScanConfig,
    request: ScanRequest,
    outputs: Outputs,
    labels: LabelConfig,
) -> None:
    listing = config.executor.list_songs(folder)
    with Catalog(catalog if catalog.exists() else NO_CATALOG, create=True) as opened:
        diff = preview_scan(folder, listing, opened, request)
        songs = catalog_songs(listing, opened, config.card.sha256, labels)
    preview_outputs(songs, outputs, config.card.labels, diff)


def _watch(
    listing: FolderListing,
    catalog: Catalog,
    config: ScanConfig,
    labels: LabelConfig,
    outputs: Outputs,
    is_interrupted: IsInterrupted,
) -> None:
    """Label new songs: print a line for each, and write all outputs again."""
    print_status(f"Watching {listing.folder}; press Ctrl-C to stop.")
    without_tags = replace(outputs, write_tags=False)
    only_tags = Outputs(
        write_tags=outputs.write_tags, overwrite=outputs.overwrite, undo_file=outputs.undo_file
    )
    for scanned in watch_folder(listing.folder, catalog, config, is_interrupted):
        song = catalog.song(scanned.file.path, listing.folder, labels)
        new = [song] if song else []
        write_outputs(
            new, listing.folder, only_tags, is_interrupted, catalog.update_stat, write_list=False
        )
        if outputs.out or outputs.playlists or outputs.report:
            songs = catalog_songs(list_songs(listing.folder), catalog, config.card.sha256, labels)
            write_list = outputs.out is not None
            write_outputs(songs, listing.folder, without_tags, write_list=write_list)
        if not outputs.out:
            for added in new:
                print(song_line(added), flush=True)


def main() -> None:
    """Run the command."""
    run(scan_library)


if __name__ == "__main__":
    main()
