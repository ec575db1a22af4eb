"""Read a TOML file that anybody may have written."""

import tomllib
from pathlib import Path
from typing import Any

from pocketgenre.errors import PocketGenreError

_MAX_BYTES = 2**20


def read_toml(file: Path, kind: str) -> dict[str, Any]:
    """Read a file of at most 1 MiB; never a pipe or a device, which may have no end.

    Parameters
    ----------
    file : file
    kind : description for errors, such as ``genre map``

    Raises
    ------
    PocketGenreError
        if it can't be read, or is not TOML.
    """
    try:
        if file.exists() and not file.is_file():
            raise ValueError("it is not a file")
        with open(file, "rb") as content:
            text = content.read(_MAX_BYTES + 1)
        if len(text) > _MAX_BYTES:
            raise ValueError("it is larger than 1 MiB")
        return tomllib.loads(text.decode())
    except (OSError, ValueError, RecursionError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise PocketGenreError(f"The {kind} {file} can't be read: {reason}.") from error
