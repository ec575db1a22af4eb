"""``train-model``: a prepared data set to a judged network."""

import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketgenre.cli.console import Debug, print_status, progress, run, stderr
from pocketgenre.errors import PocketGenreError
from pocketgenre.suppress_stderr import suppress_stderr
from pocketgenre.training.data.dataset import Dataset, load_dataset
from pocketgenre.training.data.songs import read_song_names
from pocketgenre.training.runs import Run, TrainingConfig

if TYPE_CHECKING:
    from pocketgenre.training.models.strategy import Placement

DEFAULT = TrainingConfig()
USUAL = {"residual": TrainingConfig(batch_size=100, learning_rate=2e-3)}
"""Where a network is trained otherwise than the published ones."""
NOT_OF = {
    "musicnn": (
        *("epochs", "batch_size", "learning_rate", "early_stopping", "balance_genres", "members"),
        *("tensorboard", "strategy"),
    ),
    "residual": ("early_stopping", "balance_genres", "pretrained", "tensorboard", "strategy"),
}
"""Options that a network has no use for; to take them without a word would look as if it had."""
NOT_OF_THE_PUBLISHED = ("members", "pretrained")
ALL = "all"


def train_model(
    context: typer.Context,
    dataset: Annotated[
        Path | None, typer.Argument(help="Data set that prepare-dataset made.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the run; must not exist.", metavar="RUN")
    ] = None,
    list_networks: Annotated[
        bool, typer.Option("--list", help="Show the networks and leave.")
    ] = False,
    model: Annotated[
        str, typer.Option(help="Network, or 'all': each of them, by both protocols.")
    ] = DEFAULT.model,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="songs: artists and duplicates stay together. segments: as published;"
            " parts of a song are on both sides, so its figures say little.",
            show_default="songs",
        ),
    ] = None,
    folds: Annotated[
        int,
        typer.Option(min=0, help="Cross-validate; the network kept is trained on all songs."),
    ] = DEFAULT.folds,
    validation: Annotated[
        float, typer.Option(min=0.05, max=0.5, help="Share to judge on, without --folds.")
    ] = DEFAULT.validation,
    epochs: Annotated[int, typer.Option(min=1)] = DEFAULT.epochs,
    batch_size: Annotated[int | None, typer.Option(min=1, show_default="32; residual: 100")] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(min=1e-9, help="Of Adam.", show_default="1e-4; residual: 2e-3"),
    ] = None,
    early_stopping: Annotated[
        int,
        typer.Option(
            min=0,
            help="Epochs without progress after which to stop, by an eighth of the training"
            " songs that is held back for it; 0: never.",
        ),
    ] = DEFAULT.early_stopping,
    seed: Annotated[int, typer.Option(min=0)] = DEFAULT.seed,
    balance_genres: Annotated[
        bool, typer.Option(help="Weight each genre alike, however much music it has.")
    ] = DEFAULT.balance_genres,
    pretrained: Annotated[
        Path,
        typer.Option(
            help="Folder of the unpacked package musicnn, for --model musicnn.", metavar="FOLDER"
        ),
    ] = Path(DEFAULT.pretrained),
    members: Annotated[
        int, typer.Option(min=1, max=8, help="Networks to train and keep as one; of residual.")
    ] = DEFAULT.members,
    leave_out: Annotated[
        Path | None,
        typer.Option(
            help="Songs to judge, but not to learn from: a CSV file with a column song, as"
            " find-mislabelled writes it, or a name a line.",
            metavar="FILE",
        ),
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write logs for TensorBoard to RUN/logs.")
    ] = False,
    strategy: Annotated[
        str,
        typer.Option(help="default; mirrored: all GPUs here; multi-worker: hosts of TF_CONFIG."),
    ] = "default",
    debug: Debug = False,
) -> None:
    """Train a network on DATASET and judge it on songs that it has not heard.

    Interrupted, the same command goes on from the last epoch and ends with the same network.

    For example:

    - `train-model data/gtzan --model cnn --folds 5 --out runs/cnn`

    - `train-model data/gtzan --model all --out runs/all`
    """
    print_status("Starting TensorFlow.")
    with suppress_stderr():
        from pocketgenre.training.data.splits import PROTOCOLS
        from pocketgenre.training.models.networks import MUSICNN, NETWORKS, RESIDUAL
        from pocketgenre.training.models.strategy import place

        placement = place(strategy)

    if list_networks:
        for name, network in NETWORKS.items():
            print(f"{name:16} {(network.__doc__ or '').splitlines()[0]}")
        print(f"{MUSICNN:16} A linear classifier on what the pre-trained musicnn hears.")
        print(f"{RESIDUAL:16} Residual convolutions over time, on augmented music.")
        return
    if dataset is None or out is None:
        raise PocketGenreError("Name the data set, and with --out a folder for the run.")
    for value, choices, name in (
        (model, [*NETWORKS, MUSICNN, RESIDUAL, ALL], "--model"),
        (protocol or DEFAULT.protocol, PROTOCOLS, "--protocol"),
    ):
        if value not in choices:
            raise PocketGenreError(f"{name} must be one of {', '.join(choices)}, not {value!r}.")
    if folds == 1:
        raise PocketGenreError("--folds 1 leaves nothing to learn from; take 2 or more, or none.")
    _refuse_useless(context, model)
    usual = USUAL.get(model, DEFAULT)
    config = TrainingConfig(
        model=model,
        protocol=protocol or DEFAULT.protocol,
        folds=folds,
        validation=validation,
        epochs=epochs,
        batch_size=usual.batch_size if batch_size is None else batch_size,
        learning_rate=usual.learning_rate if learning_rate is None else learning_rate,
        early_stopping=early_stopping,
        seed=seed,
        balance_genres=balance_genres,
        pretrained=str(pretrained),
        members=members,
        leave_out=tuple(sorted(set(read_song_names(leave_out)))) if leave_out else (),
    )
    data = load_dataset(dataset)
    if model != ALL:
        _train(config, data, out, placement, tensorboard)
        return
    runs = []
    for each_protocol in [protocol] if protocol else PROTOCOLS:
        for name in NETWORKS:
            folder = out / f"{name}-{each_protocol}"
            one = replace(config, model=name, protocol=each_protocol)
            if not folder.exists():
                _train(one, data, folder, placement, tensorboard)
            elif not _is_this_one(Run.load(folder), one, data):
                raise PocketGenreError(
                    f"{folder} is a run of another configuration or data set; name another --out."
                )
            runs.append(folder)
    print_status(f"Compare them: compare-runs {' '.join(map(str, runs))} --out {out}")


def _refuse_useless(context: typer.Context, model: str) -> None:
    for option in NOT_OF.get(model, NOT_OF_THE_PUBLISHED):
        source = context.get_parameter_source(option)
        if source is not None and source.name == "COMMANDLINE":
            flag = "--" + option.replace("_", "-")
            raise PocketGenreError(f"{model} takes no {flag}; leave it out.")


def _is_this_one(run: Run, config: TrainingConfig, data: Dataset) -> bool:
    return run.config == config and run.is_of(data)


def _train(
    config: TrainingConfig, data: Dataset, out: Path, placement: "Placement", tensorboard: bool
) -> None:
    from pocketgenre.training.data.splits import PROTOCOLS
    from pocketgenre.training.train import train_run

    networks = config.folds + 1 if config.folds else 1
    with progress() as bar:
        task = bar.add_task(out.name, total=config.epochs * config.members * networks)
        finished = train_run(
            config,
            data,
            out,
            command=shlex.join(["train-model", *sys.argv[1:]]),
            placement=placement,
            on_epoch=_epoch_reporter(
                config, lambda text, done: bar.update(task, completed=done, description=text)
            ),
            tensorboard=tensorboard,
        )
        bar.update(task, completed=config.epochs * config.members * networks)
    if finished is None:
        return
    figures = finished.metrics()
    print_status(
        f"{out}: {figures['song_accuracy']:.1%} of {figures['songs']} songs right by vote,"
        f" mean recall {figures['song_mean_recall']:.1%},"
        f" {figures['segment_accuracy']:.1%} of {figures['segments']} segments"
        f" ({PROTOCOLS[config.protocol]})."
    )
    if rest := figures.get("without_left_out"):
        print_status(
            f"Without the songs left out of the training: {rest['song_accuracy']:.1%} of"
            f" {rest['songs']}, mean recall {rest['song_mean_recall']:.1%}."
        )


def _epoch_reporter(
    config: TrainingConfig, update: Callable[[str, int], None]
) -> Callable[[str, dict[str, list[float]]], None]:
    """Move the progress bar; off a terminal, where it can't be seen, print a line now and then."""
    epochs = config.epochs * config.members

    def report(name: str, history: dict[str, list[float]]) -> None:
        number = int(name.removeprefix("fold-")) - 1 if name.startswith("fold-") else config.folds
        epoch = len(history["loss"])
        figures = f"loss {history['loss'][-1]:.3f}, accuracy {history['accuracy'][-1]:.1%}"
        update(f"{config.model} {name}: {figures}", number * epochs + epoch)
        if not stderr.is_terminal and epoch % max(1, epochs // 5) == 0:
            print_status(f"{config.model} {name}: epoch {epoch} of {epochs}, {figures}")

    return report


def main() -> None:
    """Entry point of the command."""
    run(train_model)


if __name__ == "__main__":
    main()
