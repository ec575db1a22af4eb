"""``train-model``: a prepared data set to a judged network."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from mobile_demo.cli.console import Debug, progress, run, say
from mobile_demo.errors import PocketGenreError
from mobile_demo.quiet import quiet_stderr
from training.dataset import load_dataset
from training.runs import TrainingConfig

DEFAULT = TrainingConfig()


def train_model(
    dataset: Annotated[Path, typer.Argument(help="Data set that prepare-dataset made.")],
    out: Annotated[Path, typer.Option(help="Folder for the run; must not exist.", metavar="RUN")],
    model: Annotated[
        str, typer.Option(help="Network: ann, ann-regularized, cnn or lstm.")
    ] = DEFAULT.model,
    protocol: Annotated[
        str,
        typer.Option(
            help="songs: artists and duplicates stay together. segments: as published;"
            " parts of a song are on both sides, so its figures say little."
        ),
    ] = DEFAULT.protocol,
    folds: Annotated[
        int,
        typer.Option(min=0, help="Cross-validate; the network kept is trained on all songs."),
    ] = DEFAULT.folds,
    validation: Annotated[
        float, typer.Option(min=0.05, max=0.5, help="Share to judge on, without --folds.")
    ] = DEFAULT.validation,
    epochs: Annotated[int, typer.Option(min=1)] = DEFAULT.epochs,
    batch_size: Annotated[int, typer.Option(min=1)] = DEFAULT.batch_size,
    learning_rate: Annotated[float, typer.Option(help="Of Adam.")] = DEFAULT.learning_rate,
    seed: Annotated[int, typer.Option(min=0)] = DEFAULT.seed,
    balance_genres: Annotated[
        bool, typer.Option(help="Weight each genre alike, however much music it has.")
    ] = DEFAULT.balance_genres,
    debug: Debug = False,
) -> None:
    """Train a network on DATASET and judge it on songs that it has not heard.

    For example:

    - `train-model data/gtzan --model cnn --folds 5 --out runs/cnn`
    """
    if folds == 1:
        raise PocketGenreError("--folds 1 leaves nothing to learn from; take 2 or more, or none.")
    say("Starting TensorFlow.")
    with quiet_stderr():
        from training.networks import NETWORKS
        from training.splits import PROTOCOLS
        from training.train import train_run

    for value, choices, name in ((model, NETWORKS, "--model"), (protocol, PROTOCOLS, "--protocol")):
        if value not in choices:
            raise PocketGenreError(f"{name} must be one of {', '.join(choices)}, not {value!r}.")
    config = TrainingConfig(
        model=model,
        protocol=protocol,
        folds=folds,
        validation=validation,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        balance_genres=balance_genres,
    )
    data = load_dataset(dataset)
    command = shlex.join(["train-model", *sys.argv[1:]])
    with progress() as bar:
        task = bar.add_task("Training", total=epochs * (folds + 1 if folds else 1))
        finished = train_run(
            config, data, out, command, lambda name: bar.update(task, advance=1, description=name)
        )
    figures = finished.metrics()
    say(
        f"{out}: {figures['song_accuracy']:.1%} of {figures['songs']} songs right by vote,"
        f" mean recall {figures['song_mean_recall']:.1%},"
        f" {figures['segment_accuracy']:.1%} of {figures['segments']} segments"
        f" ({PROTOCOLS[protocol]})."
    )


def main() -> None:
    """Entry point of the command."""
    run(train_model)


if __name__ == "__main__":
    main()
