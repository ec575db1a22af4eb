"""Load optional parts by entry point or by dotted name.

The core does not import the packages built on it, and is installed without their dependencies.
These packages register an entry point instead, so that imports point one way.
"""

from importlib import import_module
from typing import Any

from pocketgenre.errors import PocketGenreError

STORES = "pocketgenre.stores"
"""Entry points that take an address and store files there."""

_EXTRA = "cluster"


def load_plugin(group: str, name: str, option: str) -> Any:
    """Load an entry point.

    Parameters
    ----------
    group : group of entry points
    name : name in the group
    option : option of the command that needs it, for the message

    Raises
    ------
    PocketGenreError
        if it is not installed, or a package that it needs is missing.
    """
    from importlib.metadata import entry_points  # takes 20 ms, needed with plug-ins only

    advice = f"install the extra {_EXTRA}, from a checkout: pip install '.[{_EXTRA}]'."
    for entry in entry_points(group=group, name=name):
        try:
            return entry.load()
        except ModuleNotFoundError as error:
            raise PocketGenreError(
                f"{option} needs the package {error.name}, which is not installed; {advice}"
            ) from error
    raise PocketGenreError(f"{option} needs packages that are not installed; {advice}")


def load_object(dotted_name: str) -> Any:
    """Import an object by its dotted name, ``module:attribute``."""
    module, _, attribute = dotted_name.partition(":")
    return getattr(import_module(module), attribute)
