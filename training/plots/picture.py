"""One way to make a picture: no window, the same bytes each time, text that can be read."""

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib.style
from matplotlib.figure import Figure

from pocketgenre.atomic_write import write_atomic

GREYS = "gray_r"
"""Colour map of what has a beginning at zero: nothing is white."""

STYLE = {
    "font.size": 11,
    "axes.titlesize": 12,
    "figure.titlesize": 13,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
    "text.parse_math": False,  # a song or a genre may be named $
}


@contextmanager
def picture(path: Path, width: float, height: float) -> Iterator[Figure]:
    """Draw a picture, which is written as PNG when all is drawn.

    The figure is Agg's own (no window, no global state), whatever the person's settings.

    Parameters
    ----------
    path : the file
    width, height : in inches of 120 pixels

    Yields
    ------
    the figure to draw on
    """
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=120, metadata={"Software": None})
    write_atomic(path, content.getvalue())


def add_title(figure: Figure, title: str, warnings: Sequence[str] = ()) -> None:
    """Set a title over the whole, with what must be said beside the figures below it."""
    width = int(figure.get_figwidth() * 10)  # letters of the title's size to a line
    lines = [*title.splitlines(), *(f"WARNING: {warning}" for warning in warnings)]
    figure.suptitle("\n".join(textwrap.fill(line, width) for line in lines))
