"""Jobs in which nothing is done; handed to real workers."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Nothing:
    """A job."""

    number: int
    seconds: float = 60.0


def nothing() -> Callable[[Nothing], None]:
    """Set up what answers."""
    return _answer


def _answer(job: Nothing) -> None:
    del job
