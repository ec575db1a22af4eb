"""One line of a scan's results."""

from dataclasses import dataclass
from pathlib import Path

from mobile_demo.vote import Vote


@dataclass(frozen=True)
class ScannedSong:
    """One song of a scan: either a vote or the reason why there is none.

    Attributes
    ----------
    path : relative to the scanned folder
    """

    path: Path
    vote: Vote | None = None
    error: str | None = None
