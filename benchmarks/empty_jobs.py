"""Define jobs without work, to measure the cost of the workers."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class EmptyJob:
    """Job without work.

    Attributes
    ----------
    number : number of the job
    timeout : longest time that it may take [s]
    """

    number: int
    timeout: float = 60.0


def empty_setup() -> Callable[[EmptyJob], None]:
    """Return the function that processes a job."""
    return _process


def _process(job: EmptyJob) -> None:
    del job
