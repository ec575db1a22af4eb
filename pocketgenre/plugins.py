"""What other packages add to the commands, found when it is asked for.

The phone's side imports nothing of the rooms that are built on it, and is installed without what
they need. They register what they add as an entry point instead, a name in the metadata of the
installed package: so imports go one way, and nobody pays for Dask who doesn't use it.
"""

from typing import Any

from pocketgenre.errors import PocketGenreError

STORES = "pocketgenre.stores"
"""Entry points that are called with an address and keep files there."""


def load_plugin(group: str, name: str, option: str) -> Any:
    """Load what is registered under a name.

    Parameters
    ----------
    group : of entry points
    name : in it
    option : that asks for it, for the error

    Raises
    ------
    PocketGenreError
        it is not there, or lacks a package.
    """
    from importlib.metadata import entry_points  # for those who plug nothing in: 0.02 s

    advice = "install them by: pip install 'pocketgenre[cluster]'."
    for entry in entry_points(group=group, name=name):
        try:
            return entry.load()
        except ModuleNotFoundError as error:
            raise PocketGenreError(
                f"{option} needs packages that are not here ({error.name}); {advice}"
            ) from error
    raise PocketGenreError(f"{option} needs packages that are not here; {advice}")
