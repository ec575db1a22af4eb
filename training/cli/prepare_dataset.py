"""Run ``prepare-dataset``: compute the features of labelled music."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TaskID

from pocketgenre.cli.console import Debug, print_status, progress, run
from pocketgenre.cli.options import Cluster
from pocketgenre.errors import ModelError
from pocketgenre.features.config import FeatureConfig, feature_kind
from pocketgenre.features.mel import mel_matrix
from pocketgenre.jobs.executors import open_executor
from pocketgenre.library.discovery import is_address, local_path
from pocketgenre.training.data.dataset_builder import DatasetBuilder
from pocketgenre.training.data.storage import open_store
from pocketgenre.training.errors import DataError

_SONGS_PER_SHARD = 256
_MAX_SEGMENT_SECONDS = 600
_PARAMETERS = "Feature parameters"


def _check_kind(name: str) -> str:
    try:
        return feature_kind(name).name
    except ModelError as error:
        raise typer.BadParameter(str(error)) from error


def prepare_dataset(
    audio: Annotated[
        Path,
        typer.Argument(
            help="Folder that contains a folder for each genre, or the folder of the index. With"
            " --cluster also an address, such as s3://bucket/music."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Folder for the data set; with --cluster also an address.", metavar="DATASET"
        ),
    ],
    index: Annotated[
        Path | None,
        typer.Option(
            help="CSV file with the columns path, song, genre, artist; paths relative to AUDIO.",
            metavar="FILE",
        ),
    ] = None,
    features: Annotated[
        str,
        typer.Option(
            help="Kind of features: mfcc, log-mel (for musicnn), or the name of an installed kind.",
            metavar="KIND",
            callback=_check_kind,
        ),
    ] = "mfcc",
    segment_seconds: Annotated[
        float | None,
        typer.Option(
            help="Length of a segment in seconds; by default 3.",
            metavar="X",
            rich_help_panel=_PARAMETERS,
        ),
    ] = None,
    sample_rate: Annotated[
        int | None,
        typer.Option(
            help="Sample rate in Hz; by default 22,050 for mfcc and 16,000 for log-mel.",
            metavar="N",
            rich_help_panel=_PARAMETERS,
        ),
    ] = None,
    n_mfcc: Annotated[
        int | None,
        typer.Option(
            "--n-mfcc",
            help="Number of MFCC of a frame; by default 13.",
            metavar="N",
            rich_help_panel=_PARAMETERS,
        ),
    ] = None,
    n_mels: Annotated[
        int | None,
        typer.Option(
            "--n-mels",
            help="Number of mel bands; by default 128 for mfcc and 96 for log-mel.",
            metavar="N",
            rich_help_panel=_PARAMETERS,
        ),
    ] = None,
    spectra: Annotated[
        bool,
        typer.Option(
            "--spectra",
            help="Keep the mel spectra of whole songs too, for train-model --model residual.",
        ),
    ] = False,
    mfcc_songs: Annotated[
        Path | None,
        typer.Option(
            help="Additional songs for residual, given by their MFCC (.npz).", metavar="FILE"
        ),
    ] = None,
    near_duplicates: Annotated[
        bool,
        typer.Option(
            help="Find one recording in other encodings, at other offsets and volumes, and keep"
            " such songs together in splits."
        ),
    ] = True,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Number of processes; by default all cores.", metavar="N"),
    ] = None,
    cluster: Cluster = None,
    shards: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=512,
            help="Write shards of this many songs each, for training on several hosts; with"
            f" --cluster the default is {_SONGS_PER_SHARD}.",
            metavar="SONGS",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Compute the features of every segment of the songs in AUDIO.

    Without --index, each folder in AUDIO is a genre. An index also names the artists, and splits
    keep the songs of an artist together. The file exact_duplicates.txt in AUDIO lists pairs of
    repeated recordings, which splits keep together too.

    After an interruption, the same command continues where it stopped. Songs that cannot be read
    are listed and left out.

    For example:

    - `prepare-dataset gtzan --index gtzan/index.csv --out data/gtzan`

    - `prepare-dataset gtzan --segment-seconds 5 --n-mfcc 20 --out data/gtzan-20`

    - `prepare-dataset s3://bucket/music --out s3://bucket/data --cluster tcp://scheduler:8786`
    """
    feature_config = _feature_config(features, segment_seconds, sample_rate, n_mfcc, n_mels)
    sharded = shards is not None or cluster is not None
    audio, out = local_path(audio), local_path(out)
    if (spectra or mfcc_songs) and features != "mfcc":
        raise DataError("--spectra and --mfcc-songs require --features mfcc.")
    if cluster and workers is not None:
        raise DataError("--workers is for this machine; leave it out with --cluster.")
    if sharded and (spectra or mfcc_songs):
        raise DataError(
            "--spectra and --mfcc-songs require a data set in one file; leave out --shards and"
            " --cluster."
        )
    if is_address(out) and not sharded:
        raise DataError(f"{out} is an address; writing to it requires --cluster.")
    with open_executor(cluster, workers) as executor, progress() as bar:
        builder = DatasetBuilder(
            audio,
            open_store(out),
            feature_config,
            executor,
            print_status,
            _progress_tasks(bar),
            near_duplicates,
        )
        songs = builder.list_songs(index)
        if sharded:
            builder.build_shards(songs, shards or _SONGS_PER_SHARD)
        else:
            builder.build(songs, mfcc_songs, spectra=spectra)


def _feature_config(
    kind: str,
    segment_seconds: float | None,
    sample_rate: int | None,
    n_mfcc: int | None,
    n_mels: int | None,
) -> FeatureConfig:
    """Replace parameters of the kind's default configuration; None keeps the default.

    Raises
    ------
    PocketGenreError
        if a parameter is out of range, or the kind does not have it.
    """
    options = {"sample_rate": sample_rate, "n_mfcc": n_mfcc, "n_mels": n_mels}
    features = feature_kind(kind)
    config = features.configure(
        **{name: value for name, value in options.items() if value is not None}
    )
    seconds = features.default.segment_seconds if segment_seconds is None else segment_seconds
    if not config.n_fft / config.sample_rate <= seconds <= _MAX_SEGMENT_SECONDS:
        raise DataError(
            f"--segment-seconds must be between the length of a frame"
            f" ({config.n_fft / config.sample_rate:.3f}) and {_MAX_SEGMENT_SECONDS}, not {seconds}."
        )
    if not mel_matrix(config).any(axis=1).all():
        raise DataError(
            f"{config.n_mels} mel bands are too many for a frame of {config.n_fft} samples at"
            f" {config.sample_rate} Hz: some would be empty; use fewer --n-mels."
        )
    return replace(config, segment_samples=round(seconds * config.sample_rate))


def _progress_tasks(bar: Progress) -> Callable[[str, int, int], None]:
    """Return a function that shows each task as a line of the progress bar."""
    tasks: dict[str, TaskID] = {}

    def show(description: str, done: int, total: int) -> None:
        if description not in tasks:
            tasks[description] = bar.add_task(description, total=total)
        bar.update(tasks[description], completed=done)

    return show


def main() -> None:
    """Run the command."""
    run(prepare_dataset)


if __name__ == "__main__":
    main()
