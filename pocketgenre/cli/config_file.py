"""Read defaults of options from configuration files, which use the options' names.

The user's file has a table for each command. A file in a music folder has options of scan-library
that write nothing, since a folder may come from somebody else.
"""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import platformdirs

from pocketgenre.errors import PocketGenreError
from pocketgenre.text import printable
from pocketgenre.toml_file import read_toml

_FOLDER_FILE = "pocketgenre.toml"

_FOLDER_OPTIONS = {
    *("by", "columns", "exclude", "min-confidence", "min-margin", "min-seconds", "no-follow"),
    *("segments", "vote"),
}


def user_config_file() -> Path:
    """Return the path of the user's configuration file."""
    return platformdirs.user_config_path("pocketgenre") / "config.toml"


def read_defaults(command: Any, name: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Read the defaults of a command's options; the user's file overrides those of folders.

    Parameters
    ----------
    command : command
    name : name of the command, such as ``scan-library``
    arguments : arguments of the command line, which name the music folders

    Returns
    -------
    dict
        values by the names of click's parameters

    Raises
    ------
    PocketGenreError
        if a file can't be read, or has an unknown option.
    """
    options = {
        option.removeprefix("--"): parameter.name or ""
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--")
    }
    user_file = user_config_file()
    table = _read(user_file).get(name, {})
    if not isinstance(table, dict):
        raise PocketGenreError(f"{user_file}: [{name}] must be a table of options.")
    defaults: dict[str, Any] = {}
    for folder in _folders(command, arguments):
        file = folder / _FOLDER_FILE
        allowed = {option: options[option] for option in _FOLDER_OPTIONS & set(options)}
        defaults |= read_options(command, _read(file), allowed, str(file))
    # Last, so that somebody else's folder can't undo what the user has excluded.
    return defaults | read_options(command, table, options, str(user_file))


def read_options(
    command: Any, table: dict[str, Any], options: dict[str, str], source: str
) -> dict[str, Any]:
    """Return the values of a command's options in a table.

    Parameters
    ----------
    command : command
    table : values by the names of the options
    options : names of click's parameters, by the names that the table may have
    source : file of the table, for messages

    Returns
    -------
    dict
        values by the names of click's parameters, as texts, so that click checks them

    Raises
    ------
    PocketGenreError
        if the table has an unknown option, or a value of the wrong type.
    """
    require_known(table, options, source)
    multiple = {parameter.name for parameter in command.params if parameter.multiple}
    parameters: dict[str, Any] = {}
    for option, value in table.items():
        name = options[option]
        items = value if isinstance(value, list) and name in multiple else [value]
        if any(isinstance(item, list | dict) for item in items):
            raise PocketGenreError(f"{source}: {printable(option)} must be a text or a number.")
        # Texts, as on the command line: 3.5 is not an integer.
        texts = [str(item) for item in items]
        parameters[name] = texts if name in multiple else texts[0]
    return parameters


def require_known(table: Iterable[str], options: Iterable[str], source: str) -> None:
    """Refuse a table with an unknown option, and name the most similar one.

    Raises
    ------
    PocketGenreError
        if an option is unknown.
    """
    for option in table:
        if option not in options:
            similar = difflib.get_close_matches(option, list(options), 1)
            hint = f"did you mean {similar[0]}?" if similar else "remove it."
            raise PocketGenreError(
                f"{source}: {printable(option)} is no option that can be set there; {hint}"
            )


def _folders(command: Any, arguments: Sequence[str]) -> list[Path]:
    if not any(parameter.name == "folders" for parameter in command.params):
        return []
    context = command.make_context(None, list(arguments), resilient_parsing=True)
    return [Path(folder) for folder in context.params.get("folders") or ()]


def _read(file: Path) -> dict[str, Any]:
    return read_toml(file, "configuration") if file.exists() else {}
