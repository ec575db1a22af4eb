"""Write the options of a run as a recipe, which ``train-model --recipe`` reads."""

import json
from dataclasses import fields
from pathlib import Path

from pocketgenre.atomic_write import write_atomic
from pocketgenre.training.models.trainers import find_trainer
from pocketgenre.training.runs import TrainingConfig

RECIPE_FILE = "recipe.toml"
_LEAVE_OUT_FILE = "leave-out.txt"
_PATHS = ("leave_out", "not_music", "pretrained")


def recipe_options() -> dict[str, str]:
    """Return the parameters of ``train-model`` that a recipe has, by the names in its file."""
    return {field.name.replace("_", "-"): field.name for field in fields(TrainingConfig)}


def resolve_paths(options: dict[str, str], recipe: Path) -> dict[str, str]:
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
    # A path that is not UTF-8 can't be written in TOML; reading it back is an error.
    write_atomic(folder / RECIPE_FILE, "\n".join([*lines, ""]).encode("utf-8", "backslashreplace"))
