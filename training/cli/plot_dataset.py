"""Run ``plot-dataset``: plot a song of each genre, and the class balance of a data set."""

import hashlib
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import numpy as np
import typer
from numpy.typing import NDArray

from pocketgenre.cli.console import Debug, print_status, progress, run
from pocketgenre.errors import AudioError
from pocketgenre.text import count_of, printable
from pocketgenre.training.data.dataset import Dataset, load_dataset
from pocketgenre.training.data.labelled_songs import LabelledSong
from pocketgenre.training.errors import DataError

EXCERPT_SECONDS = 30
"""Length of the plotted excerpt, as of GTZAN's songs. Longer plots would not show details."""

_LONGEST_NAME = 200
"""Characters of a genre in a file name, whose limit is 255 bytes."""


def plot_dataset(
    dataset: Annotated[
        Path, typer.Argument(help="Data set that prepare-dataset created.", metavar="DATASET")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the figures.", metavar="DIR")],
    debug: Debug = False,
) -> None:
    """Plot a song of each genre, and the number of songs and segments of each genre.

    Writes class-balance.png and a song-GENRE.png for each genre into DIR, and replaces existing
    ones. A song's figure shows waveform, spectrogram, mel spectrogram and MFCC of the genre's
    first song. The data set's audio must not have moved since it was prepared.

    Example:

      plot-dataset data/gtzan --out figures
    """
    data = load_dataset(dataset)
    from pocketgenre.training.plots.dataset_plots import plot_class_balance, plot_song

    out.mkdir(parents=True, exist_ok=True)
    plot_class_balance(data, out / "class-balance.png")
    with progress() as bar:
        task = bar.add_task("Plotting songs", total=len(data.labels))
        for genre in data.labels:
            song = next(song for song in data.songs if song.genre == genre)
            plot_song(
                _load_excerpt(data, song),
                data.feature_config,
                printable(f"{genre}: {song.name}"),
                out / _file_name(genre),
            )
            bar.advance(task)
    figures = count_of(len(data.labels), "figure")
    print_status(f"{out}: class-balance.png and {figures} of songs, one for each genre.")


def _file_name(genre: str) -> str:
    """Return the name of a genre's picture; a name too long for a file is shortened."""
    quoted = quote(genre, safe="")
    if len(quoted) > _LONGEST_NAME:
        digest = hashlib.sha256(genre.encode()).hexdigest()[:8]
        quoted = f"{quoted[:_LONGEST_NAME].rpartition('%')[0]}-{digest}"
    return f"song-{quoted}.png"


def _load_excerpt(data: Dataset, song: LabelledSong) -> NDArray[np.float32]:
    from pocketgenre.training.data.librosa_features import song_segments

    path = data.audio / song.path
    try:
        segments = song_segments(path, data.feature_config)
    except AudioError as error:
        raise DataError(
            f"plot-dataset needs the data set's audio, but {printable(str(path))}: {error}."
        ) from error
    return segments.reshape(-1)[: EXCERPT_SECONDS * data.feature_config.sample_rate]


def main() -> None:
    """Run the command."""
    run(plot_dataset)


if __name__ == "__main__":
    main()
