"""Run ``scan-library``: predict the genre of every song in a folder."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from pocketgenre.cli.console import Debug, interrupt_flag, print_status, run
from pocketgenre.cli.dry_run import print_plan
from pocketgenre.cli.options import (
    AllowVanished,
    CatalogFile,
    Cluster,
    DryRun,
    Exclude,
    GenreMap,
    GroupBy,
    GroupOption,
    MinConfidence,
    MinMargin,
    MinSeconds,
    NoFollow,
    ProgressFormat,
    ProgressOption,
    Quiet,
    Version,
    Vote,
    VoteOption,
    catalog_file,
    label_config,
)
from pocketgenre.cli.output_checks import format_of, output_path, protected_files
from pocketgenre.cli.outputs import (
    ColumnsOption,
    FormatOption,
    OutOption,
    Outputs,
    PlaylistPrefixOption,
    PlaylistsOption,
    ReportOption,
    check_outputs,
    column_names,
    write_interrupted,
    write_outputs,
)
from pocketgenre.cli.scan_progress import IsInterrupted, scan_listing, watch_listing
from pocketgenre.cli.song_output import Format, song_line
from pocketgenre.cli.tag_output import (
    KeepTimesOption,
    OverwriteOption,
    ReplaceOption,
    SettleOption,
    TagFieldOption,
    TagGenresOption,
    TagOutput,
    UndoFileOption,
    WriteTagsOption,
    are_all_refused,
    field_name,
    in_use,
    is_settled,
    write_tags,
)
from pocketgenre.errors import PocketGenreError
from pocketgenre.jobs.executors import open_executor
from pocketgenre.library.backup import Backup, read_backup
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.discovery import (
    FileFilter,
    FolderListing,
    is_address,
    list_all_songs,
    list_songs,
    local_path,
)
from pocketgenre.library.genre_names import GenreNames, read_genre_names
from pocketgenre.library.library_diff import LibraryDiff
from pocketgenre.library.library_song import LibrarySong
from pocketgenre.library.scan import ScanConfig, catalog_songs, configure_scan, is_shorter
from pocketgenre.library.song_groups import OddSong, group_key, group_songs
from pocketgenre.library.tags.genre_tag import GENRE_FIELD
from pocketgenre.library.tags.tagging import SETTLE_SECONDS, TagConfig
from pocketgenre.models.model_card import read_model
from pocketgenre.models.pretrained import DEFAULT_MODEL, find_model
from pocketgenre.prediction import LabelConfig
from pocketgenre.text import count_of, printable

_CLASSIFICATION = "Classification"
_INTERRUPTED = 130


def scan_library(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER",
            help="Folders with music, searched with their subfolders, or single songs. With"
            " --cluster also an address such as s3://bucket/music.",
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
    restore: Annotated[
        Path | None,
        typer.Option(
            "--restore",
            help="Take results and corrections from a backup of the phone page, or of --format"
            " backup, for songs of the same content that have none.",
            metavar="FILE",
            rich_help_panel=_CLASSIFICATION,
        ),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help="After the scan, label new songs as they arrive, until Ctrl-C.",
            rich_help_panel=_CLASSIFICATION,
        ),
    ] = False,
    exclude: Exclude = None,
    no_follow: NoFollow = False,
    min_seconds: MinSeconds = 0.0,
    allow_vanished: AllowVanished = False,
    vote: Vote = VoteOption.majority,
    min_confidence: MinConfidence = None,
    min_margin: MinMargin = -1.0,
    by: GroupBy = None,
    genre_map: GenreMap = None,
    format: FormatOption = None,
    out: OutOption = None,
    columns: ColumnsOption = "",
    playlists: PlaylistsOption = None,
    playlist_prefix: PlaylistPrefixOption = None,
    report: ReportOption = None,
    write_tags: WriteTagsOption = False,
    overwrite: OverwriteOption = False,
    replace: ReplaceOption = None,
    tag_genres: TagGenresOption = 1,
    tag_field: TagFieldOption = GENRE_FIELD,
    settle: SettleOption = SETTLE_SECONDS,
    keep_times: KeepTimesOption = False,
    undo_file: UndoFileOption = None,
    catalog: CatalogFile = None,
    dry_run: DryRun = False,
    progress: ProgressFormat = ProgressOption.bar,
    quiet: Quiet = False,
    version: Version = False,
    debug: Debug = False,
) -> None:
    """Predict the genre of every song in FOLDER, on this machine, offline.

    Each song is split into 3 s segments. Each segment votes, and the majority is the song's genre
    (--vote probability: the genre with the highest mean probability). Your files are only read.
    A file that cannot be read is listed with the reason.

    The results are stored in a catalogue: the next scan classifies only new and changed songs, and
    an interrupted scan continues where it stopped. Songs below --min-confidence or --min-margin
    are `uncertain`. The exit status is 0 if at least one song was labelled, and not all of those to
    tag were refused.

    For example:

    - `scan-library ~/Music`

    - `scan-library ~/Music --segments 8 --format json --out genres.json`

    - `scan-library s3://bucket/music --cluster tcp://scheduler:8786`
    """
    tag_config = TagConfig(
        overwrite, tuple(replace or ()), field_name(tag_field), settle, keep_times
    )
    if not write_tags and (undo_file or tag_config != TagConfig()):
        raise PocketGenreError(
            "--overwrite, --replace, --tag-field, --settle, --keep-times and --undo-file need"
            " --write-tags; add it."
        )
    tags = TagOutput(undo_file, tag_config) if write_tags else None
    out = output_path(out)
    chosen_format = format or format_of(out, Format, Format.table)
    if watch and not out and chosen_format is not Format.table:
        raise PocketGenreError(f"--watch with --format {chosen_format.value} needs --out FILE.")
    model_file = find_model(model)
    content, card = read_model(model_file)
    names = GenreNames(read_genre_names(genre_map, card.labels), tag_genres)
    shown = column_names(columns)
    outputs = Outputs(chosen_format, out, playlists, report, tags, playlist_prefix, shown, names)
    check_outputs(outputs, card.labels, protected_files(catalog_file(catalog), model_file))
    folders = [local_path(folder) for folder in folders]
    if cluster and workers is not None:
        raise PocketGenreError("--workers is for this machine; omit it with --cluster.")
    needs_folders = watch or write_tags or playlists or restore or len(folders) > 1
    if needs_folders and any(map(is_address, folders)):
        raise PocketGenreError(
            "--watch, --write-tags, --playlists, --restore and several folders need folders, not an"
            " address."
        )
    if watch and any(folder.is_file() for folder in folders):
        raise PocketGenreError("--watch needs a folder, not a song.")

    file_filter = FileFilter(not no_follow, tuple(exclude or ()))
    with open_executor(cluster, workers) as executor:
        list_one = executor.list_songs if cluster else partial(list_songs, file_filter=file_filter)
        scan = _Scan(
            config=configure_scan(content, card, segments, executor),
            list_files=partial(list_all_songs, folders, list_one),
            labels=label_config(vote, min_confidence, min_margin),
            min_seconds=min_seconds,
            by=by,
            retry_failed=retry_failed,
            allow_vanished=allow_vanished,
            as_json=progress is ProgressOption.json,
            outputs=outputs,
            backup=read_backup(restore) if restore else None,
        )
        status = (
            _preview(scan, catalog_file(catalog))
            if dry_run
            else _run(scan, catalog_file(catalog), watch=watch)
        )
    if status:
        raise typer.Exit(status)


@dataclass(frozen=True)
class _Scan:
    """A scan, as given by the options."""

    config: ScanConfig
    list_files: Callable[[], FolderListing]
    labels: LabelConfig
    min_seconds: float
    by: GroupOption | None
    retry_failed: bool
    allow_vanished: bool
    as_json: bool
    outputs: Outputs
    backup: Backup | None

    def update(
        self, listing: FolderListing, catalog: Catalog, is_interrupted: IsInterrupted
    ) -> LibraryDiff:
        """Update the catalogue for the listed songs, and return what has changed."""
        return scan_listing(
            listing,
            catalog,
            self.config,
            is_interrupted,
            retry_failed=self.retry_failed,
            allow_vanished=self.allow_vanished,
            as_json=self.as_json,
            backup=self.backup,
        )

    def songs(
        self,
        listing: FolderListing,
        catalog: Catalog,
        only: set[Path] | None = None,
        *,
        name_odd: bool = True,
    ) -> list[LibrarySong]:
        """Read the listed songs from the catalogue, or only some of them.

        With ``by``, each has the genre of its album or artist; with ``name_odd``, a message names
        each song whose own genre is another one.
        """
        if only is not None and not self.by:
            found = [self._song(path, listing, catalog) for path in sorted(only)]
            songs = [song for song in found if song and not is_shorter(song, self.min_seconds)]
            return self.outputs.names.rename(songs)
        model = self.config.card.sha256
        songs = catalog_songs(listing, catalog, model, self.labels, self.min_seconds)
        odd: list[OddSong] = []
        if self.by:
            songs, odd = group_songs(songs, self.by.value)
        if only is not None:
            songs = [song for song in songs if song.path in only]
            odd = [one for one in odd if one.song.path in only]
        for one in odd if name_odd else ():
            self._name_odd(one)
        return self.outputs.names.rename(songs)

    def group(self, path: Path, listing: FolderListing, catalog: Catalog) -> object:
        """Return a key that all songs of the song's album or artist share."""
        song = self._song(path, listing, catalog)
        return group_key(song, self.by.value) if song and self.by else path

    def _song(self, path: Path, listing: FolderListing, catalog: Catalog) -> LibrarySong | None:
        return catalog.song(str(path), listing.folder, self.labels)

    def _name_odd(self, odd: OddSong) -> None:
        genres = (odd.song.genre or "", odd.group_genre)
        own, group = (printable(self.outputs.names.name(genre)) for genre in genres)
        name = printable(odd.song.name.as_posix())
        print_status(f"{name}: {own}, but its {self.by} is {group}.")


def _preview(scan: _Scan, file: Path) -> int:
    """Scan into a copy of the catalogue, and print what would be written."""
    with (
        Catalog(file, create=True, access="copy") as catalog,
        interrupt_flag() as is_interrupted,
    ):
        listing = scan.list_files()
        diff = scan.update(listing, catalog, is_interrupted)
        if is_interrupted():
            return _INTERRUPTED
        print_plan(scan.songs(listing, catalog), scan.outputs, scan.config.card.labels, diff)
    return 0


def _run(scan: _Scan, file: Path, *, watch: bool) -> int:
    """Scan, write the outputs, and watch; return the exit status."""
    with Catalog(file, create=True) as catalog, interrupt_flag() as is_interrupted:
        listing = scan.list_files()
        scan.update(listing, catalog, is_interrupted)
        songs = scan.songs(listing, catalog)
        if is_interrupted():
            write_interrupted(songs, scan.outputs)
            return _INTERRUPTED
        outcomes = write_outputs(
            songs, listing.folder, scan.outputs, is_interrupted, catalog.update_stat
        )
        if watch and not is_interrupted():
            _watch(scan, listing, catalog, is_interrupted, in_use(outcomes))
        elif is_interrupted():
            return _INTERRUPTED
    is_labelled = any(song.state == "labelled" for song in songs)
    return 0 if is_labelled and not are_all_refused(outcomes) else 1


def _watch(
    scan: _Scan,
    listing: FolderListing,
    catalog: Catalog,
    is_interrupted: IsInterrupted,
    waiting: set[Path],
) -> None:
    """Label new songs: print a line for each, and write all outputs again.

    Songs that another program may still write into wait for their tags.
    """
    others = replace(scan.outputs, tags=None)
    has_files = bool(others.out or others.playlists or others.report)
    for a_round in watch_listing(listing, scan.list_files, catalog, scan.config, is_interrupted):
        new = set()
        for scanned in a_round.scanned:
            path = Path(scanned.file.path)
            new.add(path)
            if not scan.by:
                _print_songs({path}, scan, a_round.listing, catalog)
        if scan.by and new:  # whose genre depends on all songs of the round
            _print_songs(new, scan, a_round.listing, catalog)
        if scan.outputs.tags:
            due = _due(new, waiting, scan, a_round.listing, catalog)
            refused = _tag(due, scan, a_round.listing, catalog, is_interrupted)
            waiting = ((waiting | new) - due if scan.by else waiting - due) | refused
        if new and has_files and a_round.is_complete:
            current = scan.songs(a_round.listing, catalog, name_odd=False)
            write_outputs(current, listing.folder, others, write_list=others.out is not None)
    if waiting:
        its = "its tag" if len(waiting) == 1 else "their tags"
        print_status(f"{count_of(len(waiting), 'song')} without {its}; the next scan writes {its}.")


def _print_songs(paths: set[Path], scan: _Scan, listing: FolderListing, catalog: Catalog) -> None:
    songs = scan.songs(listing, catalog, paths)
    for song in songs if not scan.outputs.out else ():
        print(song_line(song), flush=True)


def _due(
    new: set[Path], waiting: set[Path], scan: _Scan, listing: FolderListing, catalog: Catalog
) -> set[Path]:
    """Return the songs to tag now.

    An album or artist waits until no program seems to write into any of its new songs, since its
    genre depends on all of them.
    """
    tags = scan.outputs.tags
    if tags is None:
        return set()
    if not scan.by:
        return new | {path for path in waiting if is_settled(path, tags)}
    waiting = waiting | new
    settled = {path for path in waiting if is_settled(path, tags)}
    if settled in (waiting, set()):
        return settled
    groups = {path: scan.group(path, listing, catalog) for path in waiting}
    incomplete = {groups[path] for path in waiting - settled}
    return {path for path in settled if groups[path] not in incomplete}


def _tag(
    paths: set[Path],
    scan: _Scan,
    listing: FolderListing,
    catalog: Catalog,
    is_interrupted: IsInterrupted,
) -> set[Path]:
    """Tag songs; return those that have to wait for other programs."""
    found = scan.songs(listing, catalog, paths, name_odd=False) if paths else []
    songs = [song for song in found if song.has_genre]
    if not songs or scan.outputs.tags is None:
        return set()
    outcomes = write_tags(
        songs, scan.outputs.tags, scan.outputs.names, is_interrupted, catalog.update_stat
    )
    return in_use(outcomes)


def main() -> None:
    """Run the command."""
    run(scan_library)


if __name__ == "__main__":
    main()
