"""``prepare-dataset``: labelled music to features on disk."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mobile_demo.cli.console import Debug, printable, progress, run, say
from mobile_demo.frontend import FRONT_ENDS, FrontEnd
from training.dataset import Dataset, save_dataset
from training.prepare import PreparedSong, clear_parts, duplicates_by_content, prepare_songs
from training.songs import (
    DUPLICATES_FILE,
    DataError,
    group_songs,
    read_duplicates,
    songs_from_folders,
    songs_from_index,
)


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
    songs = songs_from_index(index) if index else songs_from_folders(audio)
    parts = out / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    prepared = []
    with progress() as bar:
        task = bar.add_task(f"Computing features of {len(songs)} songs", total=len(songs))
        for item in prepare_songs(songs, audio, parts, front_end, workers):
            prepared.append(item)
            bar.advance(task)
    dataset = _join(out, audio, front_end, prepared)
    clear_parts(parts)
    say(
        f"{out}: {len(dataset.songs)} songs, {len(dataset.segment_songs)} segments,"
        f" {len(set(dataset.song_groups))} groups of songs that stay together,"
        f" {len(dataset.labels)} genres: {', '.join(dataset.labels)}."
    )


def _join(out: Path, audio: Path, front_end: FrontEnd, prepared: list[PreparedSong]) -> Dataset:
    prepared = sorted(prepared, key=lambda item: item.song.name)
    for item in prepared:
        if item.error:
            say(f"Left out {printable(str(item.song.path))}: {item.error}.")
    readable = [(item.song, item.part) for item in prepared if item.part]
    empty = {item.song.genre for item in prepared} - {song.genre for song, _ in readable}
    if empty:
        raise DataError(f"No song of {', '.join(sorted(empty))} could be read.")
    pairs = duplicates_by_content(prepared)
    if (audio / DUPLICATES_FILE).exists():
        pairs += read_duplicates(audio / DUPLICATES_FILE)
    songs = group_songs([song for song, _ in readable], pairs)
    return save_dataset(out, audio, front_end, songs, [part for _, part in readable])


def main() -> None:
    """Entry point of the command."""
    run(prepare_dataset)


if __name__ == "__main__":
    main()
