"""Read and write recipes: the options of a run in a TOML file.

The changes of the segments are in a table ``[augmentation]``; with ``--set``, and in messages, they
are called ``augmentation.mixup`` and so on.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pocketgenre.atomic_write import write_atomic
from pocketgenre.cli.config_file import read_options, require_known
from pocketgenre.errors import PocketGenreError
from pocketgenre.text import printable
from pocketgenre.toml_file import read_toml
from pocketgenre.training.augmentation import TABLE, augmentation_options
from pocketgenre.training.models.trainers import find_trainer
from pocketgenre.training.runs import TrainingConfig

RECIPE_FILE = "recipe.toml"
_LEAVE_OUT_FILE = "leave-out.txt"
_PATHS = ("leave_out", "not_music", "pretrained")


def recipe_options() -> dict[str, str]:
    """Return the parameters of ``train-model`` that a recipe has, by the names in its file."""
    names = [field.name for field in fields(TrainingConfig) if field.name != TABLE]
    return {name.replace("_", "-"): name for name in names}


def read_recipe(file: Path) -> dict[str, Any]:
    """Read a recipe, with the names of options in tables joined by points.

    Raises
    ------
    PocketGenreError
        if the file can't be read.
    """
    return _flattened(read_toml(file, "recipe"))


def read_settings(settings: Iterable[str]) -> dict[str, Any]:
    """Read options that are written as in a recipe, such as ``augmentation.mixup=0.2``.

    A value that is no TOML, such as ``cnn``, is a text.

    Raises
    ------
    PocketGenreError
        if a setting is not of the form ``OPTION=VALUE``.
    """
    table: dict[str, Any] = {}
    for setting in settings:
        name, sign, value = setting.partition("=")
        if not sign or not name.strip():
            raise PocketGenreError(
                f"--set needs OPTION=VALUE, such as epochs=20, not {printable(setting)!r}."
            )
        try:
            table |= _flattened(tomllib.loads(setting))
        except (tomllib.TOMLDecodeError, RecursionError):
            table[name.strip()] = value.strip()
    return table


def check_recipe(command: Any, table: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Check the options of a recipe.

    Parameters
    ----------
    command : click's command ``train-model``
    table : values by the names of the options
    source : file of the recipe, for messages

    Returns
    -------
    dict
        values as texts, by the names of click's parameters; values of the augmentation as they are,
        by their names in a recipe

    Raises
    ------
    PocketGenreError
        if there is an unknown option, or a value of the wrong type.
    """
    options, changes = recipe_options(), augmentation_options()
    require_known(table, [*options, *changes], source)
    of_command = {name: value for name, value in table.items() if name in options}
    of_augmentation = {name: value for name, value in table.items() if name in changes}
    return {**read_options(command, of_command, options, source), **of_augmentation}


def augmentation_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of :class:`~pocketgenre.training.augmentation.Augmentation` in a recipe.

    Parameters
    ----------
    values : result of :func:`check_recipe`
    """
    return {field: values[name] for name, field in augmentation_options().items() if name in values}


def resolve_paths(options: dict[str, Any], recipe: Path) -> dict[str, Any]:
    """Return the options with paths relative to the recipe's folder, not to the current one."""
    return {
        name: str(recipe.parent / value) if name in _PATHS else value
        for name, value in options.items()
    }


def write_recipe(config: TrainingConfig, folder: Path) -> None:
    """Write the options that the network uses, and a file of the songs that are left out.

    Parameters
    ----------
    config : options of the run
    folder : run folder
    """
    unused = find_trainer(config.model).unused_options
    lines = ["# Options of train-model --recipe. Options of the command line override them."]
    for option, name in recipe_options().items():
        value = getattr(config, name)
        if name in unused or (name in _PATHS and not value):
            continue
        if name == "leave_out":
            songs = "".join(f"{song}\n" for song in value)
            write_atomic(folder / _LEAVE_OUT_FILE, songs.encode("utf-8", "surrogateescape"))
            value = _LEAVE_OUT_FILE
        elif name in _PATHS:
            value = str(Path(value).resolve())
        # JSON's strings, numbers and truth values are TOML's, except for this character.
        lines.append(
            f"{option} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", r"\u007f")
        )
    changes = [
        f"{name.removeprefix(f'{TABLE}.')} = {getattr(config.augmentation, field)}"
        for name, field in augmentation_options().items()
        if name not in unused
    ]
    lines += ["", f"[{TABLE}]", *changes]
    # A path that is not UTF-8 can't be written in TOML; reading it back is an error.
    write_atomic(folder / RECIPE_FILE, "\n".join([*lines, ""]).encode("utf-8", "backslashreplace"))


def _flattened(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of nested tables by their names, joined by points."""
    flat: dict[str, Any] = {}
    for name, value in table.items():
        inner = isinstance(value, dict)
        flat |= _flattened(value, f"{prefix}{name}.") if inner else {f"{prefix}{name}": value}
    return flat
