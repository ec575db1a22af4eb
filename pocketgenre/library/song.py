"""A song as the catalogue holds it: what outputs are made from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

State = Literal["labelled", "failed", "vanished"]


@dataclass(frozen=True, eq=False)
class CatalogSong:
    """What is known of one file.

    Attributes
    ----------
    path : absolute; odd bytes of a name that is not UTF-8 are surrogate escapes, as ever in Python
    state : ``labelled``; ``failed``, see ``error``; ``vanished``: it is no longer where it was
    error : why there is no label, one sentence without a full stop; None where there is one
    size : in bytes, when it was listened to
    modified_ns : time of last modification then, nanoseconds since 1970
    model : SHA-256 of the model that listened, in hexadecimal
    seconds_per_segment : of the song; 0 where it is not known, since some segments were picked
    labels : genres in the order of the columns of ``probabilities``; empty where there are none
    probabilities : what the network said of each segment, in the order of the song; None
        where it wasn't labelled. Of a vanished song it is what was said while it was there
    """

    path: Path
    state: State
    error: str | None
    size: int
    modified_ns: int
    model: str
    seconds_per_segment: float
    labels: tuple[str, ...]
    probabilities: NDArray[np.float32] | None
