"""``prepare-dataset``: labelled music to features on disk."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pocketgenre.cli.console import Debug, run
from pocketgenre.cli.options import Cluster
from pocketgenre.features.config import feature_kind
from pocketgenre.jobs.executors import open_executor
from pocketgenre.library.discovery import is_address, local_path
from pocketgenre.training.data.dataset_builder import DatasetBuilder
from pocketgenre.training.data.songs import DataError
from pocketgenre.training.data.storage import open_store

_SONGS_A_SHARD = 256


class Features(StrEnum):
    """Kinds of features."""

    mfcc = "mfcc"
    log_mel = "log-mel"


def prepare_dataset(
    audio: Annotated[
        Path,
        typer.Argument(
            help="Folder with a folder for each genre, or the index's folder. With --cluster also"
            " an address, such as s3://bucket/music."
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
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; all cores by default.", metavar="N")
    ] = None,
    cluster: Cluster = None,
    shards: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=512,
            help="Write files of so many songs each, for a training on several hosts; with"
            f" --cluster they are {_SONGS_A_SHARD} unless told otherwise.",
            metavar="SONGS",
        ),
    ] = None,
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

    - `prepare-dataset s3://bucket/music --out s3://bucket/data --cluster tcp://scheduler:8786`
    """
    feature_config = feature_kind(features.value).default
    if (spectra or mfcc_songs) and features is not Features.mfcc:
        raise DataError("--spectra and --mfcc-songs are for the features mfcc.")
    if cluster and workers is not None:
        raise DataError("--workers is for this machine; leave it out with --cluster.")
    audio, out = local_path(audio), local_path(out)
    in_shards = shards is not None or cluster is not None
    if in_shards and (spectra or mfcc_songs):
        raise DataError("--spectra and --mfcc-songs need a data set in one piece, without shards.")
    if is_address(out) and not in_shards:
        raise DataError(f"{out} is an address; with --cluster a data set is written to it.")
    with open_executor(cluster, workers) as engine:
        making = DatasetBuilder(audio, open_store(out), feature_config, engine)
        songs = making.songs(index)
        if in_shards:
            making.in_shards(songs, shards or _SONGS_A_SHARD)
        else:
            making.in_one_piece(songs, mfcc_songs, spectra=spectra)


def main() -> None:
    """Entry point of the command."""
    run(prepare_dataset)


if __name__ == "__main__":
    main()
