"""Damage the JSON of a backup of the phone page."""

from collections.abc import Callable
from typing import Any

Damage = Callable[[dict[str, Any]], object]


def set_field(**values: object) -> Damage:
    """Replace fields of the backup."""
    return lambda content: content.update(values)


def set_song(**values: object) -> Damage:
    """Replace fields of the first song."""
    return lambda content: content["songs"][0].update(values)
