"""Run ``train-model``: train a network on a prepared data set and evaluate it."""

import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pocketgenre.cli.console import Debug, print_status, progress, run, stderr
from pocketgenre.errors import PocketGenreError
from pocketgenre.suppress_stderr import suppress_stderr
from pocketgenre.text import count_of
from pocketgenre.training.data.dataset import Dataset, load_dataset
from pocketgenre.training.data.labelled_songs import read_song_names
from pocketgenre.training.data.not_music import load_not_music
from pocketgenre.training.models.trainers import (
    BUILT_IN,
    Trainer,
    find_trainer,
    list_trainers,
    trainer_names,
)
from pocketgenre.training.recipe import (
    augmentation_of,
    check_recipe,
    read_recipe,
    read_settings,
    resolve_paths,
)
from pocketgenre.training.runs import History, Run, TrainingConfig

if TYPE_CHECKING:
    from pocketgenre.training.models.strategy import Placement

DEFAULT = TrainingConfig()
ALL = "all"
_SET = "pocketgenre.set"
PUBLISHED = [trainer for trainer in BUILT_IN if trainer.is_published]


def _shown_default(option: str) -> str | bool:
    """Return the default of an option as help text; True if it is the same for all trainers."""
    usual = getattr(DEFAULT, option)
    values = {trainer.name: getattr(trainer.defaults, option) for trainer in BUILT_IN}
    others = [f"; {name}: {value}" for name, value in values.items() if value != usual]
    return f"{usual}{''.join(others)}" if others else True


def _use_recipe(context: typer.Context, value: Path | None) -> Path | None:
    """Let the options of a recipe be the defaults of the command."""
    if value is not None and not context.resilient_parsing:
        table = read_recipe(value)
        options = resolve_paths(check_recipe(context.command, table, str(value)), value)
        # --set overrides the recipe, also if click reads it first.
        context.default_map = {**(context.default_map or {}), **options, **_settings(context)}
    return value


def _use_settings(context: typer.Context, value: list[str] | None) -> list[str] | None:
    """Let the options of ``--set`` be the defaults of the command."""
    if value and not context.resilient_parsing:
        table = read_settings(value)
        context.meta[_SET] = check_recipe(context.command, table, "--set")
        context.default_map = {**(context.default_map or {}), **_settings(context)}
    return value


def _settings(context: typer.Context) -> dict[str, Any]:
    settings: dict[str, Any] = context.meta.get(_SET, {})
    return settings


def train_model(
    context: typer.Context,
    dataset: Annotated[
        Path | None, typer.Argument(help="Data set that prepare-dataset created.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder to create.", metavar="RUN")] = None,
    list_networks: Annotated[
        bool, typer.Option("--list", help="List the networks and exit.")
    ] = False,
    model: Annotated[
        str,
        typer.Option(help="Network to train, or 'all': each published one, by both protocols."),
    ] = DEFAULT.model,
    protocol: Annotated[
        str,
        typer.Option(
            help="songs: artists and duplicates stay together. segments: the published split, which"
            " puts parts of a song on both sides, so that its accuracy is too high."
        ),
    ] = DEFAULT.protocol,
    folds: Annotated[
        int,
        typer.Option(
            min=0, help="Folds of a cross-validation; the final network is trained on all songs."
        ),
    ] = DEFAULT.folds,
    validation: Annotated[
        float,
        typer.Option(min=0.05, max=0.5, help="Share of the songs to evaluate on, without --folds."),
    ] = DEFAULT.validation,
    epochs: Annotated[
        int, typer.Option(min=1, help="Number of epochs.", show_default=_shown_default("epochs"))
    ] = DEFAULT.epochs,
    batch_size: Annotated[
        int,
        typer.Option(min=1, help="Segments in a batch.", show_default=_shown_default("batch_size")),
    ] = DEFAULT.batch_size,
    learning_rate: Annotated[
        float,
        typer.Option(
            min=1e-9, help="Learning rate of Adam.", show_default=_shown_default("learning_rate")
        ),
    ] = DEFAULT.learning_rate,
    early_stopping: Annotated[
        int,
        typer.Option(
            min=0,
            help="Stop after this number of epochs without a lower loss on a held-out eighth of the"
            " training songs. 0: train all epochs.",
        ),
    ] = DEFAULT.early_stopping,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of weights, order, dropout and split.")
    ] = DEFAULT.seed,
    balance_genres: Annotated[
        bool, typer.Option(help="Weight genres equally, regardless of their number of segments.")
    ] = DEFAULT.balance_genres,
    max_segments: Annotated[
        int,
        typer.Option(
            min=0,
            help="Segments of a song to train on, spread over the song, so that a long song does"
            " not outweigh the others of its genre. 0: all.",
            show_default=_shown_default("max_segments"),
        ),
    ] = DEFAULT.max_segments,
    pretrained: Annotated[
        Path,
        typer.Option(
            help="Folder of the unpacked package musicnn, for --model musicnn.", metavar="FOLDER"
        ),
    ] = Path(DEFAULT.pretrained),
    members: Annotated[
        int,
        typer.Option(min=1, max=8, help="Networks to train and average, for --model residual."),
    ] = DEFAULT.members,
    leave_out: Annotated[
        Path | None,
        typer.Option(
            help="Songs to evaluate on, but not to train on: a CSV file with a column song, such as"
            " the output of find-mislabelled, or one name per line.",
            metavar="FILE",
        ),
    ] = None,
    not_music: Annotated[
        Path | None,
        typer.Option(
            help="Data set with the genres not-music (speech, noise, effects) and music (of unknown"
            " genre): also train the label not-music, for --model musicnn and residual.",
            metavar="DATASET",
        ),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            help="TOML file with options of this command, such as RUN/recipe.toml of another run."
            " Options of the command line override it.",
            metavar="FILE",
            callback=_use_recipe,
            is_eager=True,  # before the options whose defaults it sets
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Set one option of a recipe, such as augmentation.mixup=0.2; may be repeated. It"
            " overrides --recipe.",
            metavar="OPTION=VALUE",
            callback=_use_settings,
            is_eager=True,
        ),
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write TensorBoard logs to RUN/logs.")
    ] = False,
    strategy: Annotated[
        str,
        typer.Option(
            help="default: one device. mirrored: all GPUs of this host. multi-worker: the hosts in"
            " TF_CONFIG."
        ),
    ] = "default",
    debug: Debug = False,
) -> None:
    """Train a network on DATASET and evaluate it on held-out songs.

    To resume after an interruption, run the same command again. It continues after the last
    complete epoch and gives the same network.

    For example:

    - `train-model data/gtzan --model cnn --folds 5 --out runs/cnn`

    - `train-model data/log-mel --model musicnn --not-music data/not-music --out runs/best`

    - `train-model data/gtzan --model all --out runs/all`

    - `train-model data/gtzan --recipe runs/cnn/recipe.toml --seed 2 --out runs/cnn-seed2`

    - `train-model data/gtzan --set augmentation.mixup=0.2 --out runs/cnn-mixup`
    """
    if list_networks:
        for trainer in list_trainers():
            print(f"{trainer.name:16} {trainer.description}")
        return
    if dataset is None or out is None:
        raise PocketGenreError("Name the data set, and with --out a folder for the run.")
    trainers = _find_trainers(context, model)
    protocols = _find_protocols(context, model, protocol)
    if folds == 1:
        raise PocketGenreError("--folds 1 leaves nothing to train on; use 2 or more, or 0.")
    left_out = tuple(sorted(set(read_song_names(leave_out)))) if leave_out else ()
    options: dict[str, Any] = {
        "folds": folds,
        "validation": validation,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "early_stopping": early_stopping,
        "seed": seed,
        "balance_genres": balance_genres,
        "max_segments": max_segments,
        "pretrained": str(pretrained),
        "members": members,
        "leave_out": left_out,
        "not_music": str(not_music.resolve()) if not_music else "",
    }
    given = {name: value for name, value in options.items() if _is_given(context, name)}
    changes = augmentation_of(context.default_map or {})
    data = load_dataset(dataset)
    for trainer in trainers:
        trainer.check_features(data)
    others = load_not_music(not_music, data) if not_music else None
    configs = [
        replace(
            trainer.defaults,
            model=trainer.name,
            protocol=each,
            augmentation=replace(trainer.defaults.augmentation, **changes),
            **given,
        )
        for each in protocols
        for trainer in trainers
    ]
    for config in configs:
        config.augmentation.check_features(data.feature_config)
    placement = _start_tensorflow(strategy)
    if model == ALL:
        _train_all(configs, data, out, placement, tensorboard)
    else:
        _train(configs[0], data, out, placement, tensorboard, others)


def _is_given(context: typer.Context, option: str) -> bool:
    """Check whether the command line, a recipe or the configuration file has an option."""
    source = context.get_parameter_source(option)
    return source is not None and source.name in ("COMMANDLINE", "DEFAULT_MAP")


def _find_trainers(context: typer.Context, model: str) -> list[Trainer]:
    """Return the trainers to run; raise if an option was given that one of them doesn't use."""
    if model != ALL and model not in trainer_names():
        choices = ", ".join([*trainer_names(), ALL])
        raise PocketGenreError(f"--model must be one of {choices}, not {model!r}.")
    trainers = PUBLISHED if model == ALL else [find_trainer(model)]
    for option in dict.fromkeys(name for trainer in trainers for name in trainer.unused_options):
        if _is_given(context, option) or option in (context.default_map or {}):
            flag = option if "." in option else "--" + option.replace("_", "-")
            raise PocketGenreError(f"{model} takes no {flag}; leave it out.")
    return trainers


def _find_protocols(context: typer.Context, model: str, protocol: str) -> list[str]:
    """Return the protocols to train by: all of them for ``--model all`` without ``--protocol``."""
    from pocketgenre.training.data.splits import PROTOCOLS

    if protocol not in PROTOCOLS:
        choices = ", ".join(PROTOCOLS)
        raise PocketGenreError(f"--protocol must be one of {choices}, not {protocol!r}.")
    return list(PROTOCOLS) if model == ALL and not _is_given(context, "protocol") else [protocol]


def _start_tensorflow(strategy: str) -> "Placement":
    print_status("Starting TensorFlow.")
    with suppress_stderr():
        from pocketgenre.training.models.strategy import place

        return place(strategy)


def _train_all(
    configs: list[TrainingConfig],
    data: Dataset,
    out: Path,
    placement: "Placement",
    tensorboard: bool,
) -> None:
    """Train a run for each configuration, unless it is finished already."""
    runs = []
    for config in configs:
        folder = out / f"{config.model}-{config.protocol}"
        if not folder.exists():
            _train(config, data, folder, placement, tensorboard)
        else:
            run = Run.load(folder)
            if run.config != config or not run.is_of(data):
                raise PocketGenreError(
                    f"{folder} is a run of another configuration or data set; name another --out."
                )
        runs.append(folder)
    print_status(f"Compare them: compare-runs {' '.join(map(str, runs))} --out {out}")


def _train(
    config: TrainingConfig,
    data: Dataset,
    out: Path,
    placement: "Placement",
    tensorboard: bool,
    not_music: Dataset | None = None,
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
            not_music=not_music,
        )
        bar.update(task, completed=config.epochs * config.members * networks)
    if finished is None:
        return
    metrics = finished.metrics()
    print_status(
        f"{out}: {metrics['song_accuracy']:.1%} of {count_of(metrics['songs'], 'song')} correct by"
        f" majority vote, mean recall {metrics['song_mean_recall']:.1%},"
        f" {metrics['segment_accuracy']:.1%} of {count_of(metrics['segments'], 'segment')} correct"
        f" ({PROTOCOLS[config.protocol]})."
    )
    if rest := metrics.get("without_left_out"):
        print_status(
            f"Without the songs left out of the training: {rest['song_accuracy']:.1%} of"
            f" {count_of(rest['songs'], 'song')} correct,"
            f" mean recall {rest['song_mean_recall']:.1%}."
        )


def _epoch_reporter(
    config: TrainingConfig, update: Callable[[str, int], None]
) -> Callable[[str, History], None]:
    """Return a callback that moves the progress bar, or prints a few epochs off a terminal."""
    epochs = config.epochs * config.members

    def report(name: str, history: History) -> None:
        number = int(name.removeprefix("fold-")) - 1 if name.startswith("fold-") else config.folds
        epoch = len(history["loss"])
        metrics = f"loss {history['loss'][-1]:.3f}, accuracy {history['accuracy'][-1]:.1%}"
        update(f"{config.model} {name}: {metrics}", number * epochs + epoch)
        if not stderr.is_terminal and epoch % max(1, epochs // 5) == 0:
            print_status(f"{config.model} {name}: epoch {epoch} of {epochs}, {metrics}")

    return report


def main() -> None:
    """Run the command."""
    run(train_model)


if __name__ == "__main__":
    main()
