"""``prepare-dataset``: labelled music to features on disk."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mobile_demo.cli.console import Debug, printable, progress, run, say
from mobile_demo.frontend import FRONT_ENDS, FrontEnd
from training.dataset import Dataset, save_dataset
from training.mfcc_songs import MFCC_SONGS_FILE, read_mfcc_songs
from training.prepare import (
    PreparedSong,
    Wanted,
    clear_parts,
    duplicates_by_content,
    prepare_songs,
)
from training.songs import (
    DUPLICATES_FILE,
    DataError,
    LabelledSong,
    group_songs,
    read_duplicates,
    songs_from_folders,
    songs_from_index,
)
from training.spectra import SPECTRA_FILE, save_spectra


class Features(StrEnum):
    """Kinds of features."""

    mfcc = "mfcc"
    log_mel = "log-mel"


def prepare_dataset(
    audio: Annotated[
        Path, typer.Argument(help="Folder with a folder for each genre, or the index's folder.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the data set.", metavar="DATASET")],
    index: Annotated[
        Path | None,
        typer.Option(
            help="CSV file with the columns path, song, genre, artist; paths relative to AUDIO.",
            metavar="FILE",
        ),
    ] = None,
    features: Annotated[
        Features,
        typer.Option(help="What networks will be trained on; log-mel is what musicnn takes."),
    ] = Features.mfcc,
    spectra: Annotated[
        bool,
        typer.Option(
            "--spectra", help="Keep the mel spectra of whole songs too; residual learns from them."
        ),
    ] = False,
    mfcc_songs: Annotated[
        Path | None,
        typer.Option(
            help="More songs for residual, known by their MFCC alone (.npz).", metavar="FILE"
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = os.cpu_count() or 1,
    debug: Debug = False,
) -> None:
    """Compute the features of every 3 s segment of the songs in AUDIO.

    Without --index, each folder in AUDIO is a genre. With it, artists can be told apart, and
    songs of one artist will stay together when the data set is split. A file
    exact_duplicates.txt in AUDIO names pairs of repeated recordings, which stay together too.

    It can be interrupted: the same command goes on where it stopped. Songs that cannot be
    read are listed and left out.

    For example:

    - `prepare-dataset gtzan --index gtzan/index.csv --out data/gtzan`
    """
    front_end = FRONT_ENDS[features.value]
    if (spectra or mfcc_songs) and features is not Features.mfcc:
        raise DataError("--spectra and --mfcc-songs are for the features mfcc.")
    songs = songs_from_index(index) if index else songs_from_folders(audio)
    parts = out / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    compute = _Computing(audio, parts, front_end, workers)
    prepared = compute(songs, "segments")
    for item in prepared:
        if item.error:
            say(f"Left out {printable(str(item.song.path))}: {item.error}.")
    pairs = duplicates_by_content(prepared)
    if (audio / DUPLICATES_FILE).exists():
        pairs += read_duplicates(audio / DUPLICATES_FILE)
    dataset = _join(out, audio, front_end, prepared, pairs)
    if spectra:
        save_spectra(
            dataset, [item.part for item in compute(dataset.songs, "spectra") if item.part]
        )
    if mfcc_songs:
        more = read_mfcc_songs(mfcc_songs, dataset, pairs)
        more.save(out)
        say(f"{mfcc_songs}: {len(more.targets)} songs known by their MFCC.")
    clear_parts(parts)
    say(
        f"{out}: {len(dataset.songs)} songs, {len(dataset.segment_songs)} segments,"
        f" {len(set(dataset.song_groups))} groups of songs that stay together,"
        f" {len(dataset.labels)} genres: {', '.join(dataset.labels)}."
    )


@dataclass(frozen=True)
class _Computing:
    """Songs to parts, with a progress bar."""

    audio: Path
    parts: Path
    front_end: FrontEnd
    workers: int

    def __call__(self, songs: Sequence[LabelledSong], wanted: Wanted) -> list[PreparedSong]:
        with progress() as bar:
            task = bar.add_task(f"Computing {wanted} of {len(songs)} songs", total=len(songs))
            prepared = []
            for item in prepare_songs(
                songs, self.audio, self.parts, self.front_end, self.workers, wanted
            ):
                prepared.append(item)
                bar.advance(task)
        return sorted(prepared, key=lambda item: item.song.name)


def _join(
    out: Path,
    audio: Path,
    front_end: FrontEnd,
    prepared: list[PreparedSong],
    pairs: list[tuple[str, str]],
) -> Dataset:
    readable = [(item.song, item.part) for item in prepared if item.part]
    empty = {item.song.genre for item in prepared} - {song.genre for song, _ in readable}
    if empty:
        raise DataError(f"No song of {', '.join(sorted(empty))} could be read.")
    songs = group_songs([song for song, _ in readable], pairs)
    for beside in (SPECTRA_FILE, MFCC_SONGS_FILE):  # of the songs as they were, and their groups
        (out / beside).unlink(missing_ok=True)
    return save_dataset(out, audio, front_end, songs, [part for _, part in readable])


def main() -> None:
    """Entry point of the command."""
    run(prepare_dataset)


if __name__ == "__main__":
    main()
