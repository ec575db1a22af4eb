"""Save figures in one style: no window, reproducible bytes, readable text."""

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib.style
from matplotlib.figure import Figure

from pocketgenre.atomic_write import write_atomic

GREYS = "gray_r"
"""Colour map for values that start at zero, which is white."""

STYLE = {
    "font.size": 11,
    "axes.titlesize": 12,
    "figure.titlesize": 13,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
    "text.parse_math": False,  # names of songs and genres may contain $
}


@contextmanager
def saved_figure(path: Path, width: float, height: float) -> Iterator[Figure]:
    """Create a figure, and save it as PNG when the block ends.

    The figure uses neither a window nor pyplot's global state, and ignores the user's settings.

    Parameters
    ----------
    path : PNG file
    width, height : size in inches, at 120 pixels per inch

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
    """Set the title of a figure, with warnings that apply to its values below it."""
    width = int(figure.get_figwidth() * 10)  # characters in a line at the title's font size
    lines = [*title.splitlines(), *(f"WARNING: {warning}" for warning in warnings)]
    figure.suptitle("\n".join(textwrap.fill(line, width) for line in lines))
