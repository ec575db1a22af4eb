"""Save figures in one style: no window, reproducible bytes, readable text."""

import io
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import matplotlib.style
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, fontManager, get_font
from matplotlib.text import Text

from pocketgenre.atomic_write import write_atomic
from pocketgenre.cli.console import print_status

GREYS = "gray_r"
"""Colour map for values that start at zero, which is white."""

_LONGEST_NAME = 24  # characters

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
        _choose_fonts(figure)
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=120, metadata={"Software": None})
    write_atomic(path, content.getvalue())


def shortened(name: str) -> str:
    """Shorten a name that would take the place of the axes."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _choose_fonts(figure: Figure) -> None:
    """Let the figure use an installed font for characters that the default font lacks."""
    texts = figure.findobj(Text)
    needed = frozenset("".join(text.get_text() for text in texts)) - {"\n"}
    fonts = _fonts_for(needed)
    for text in texts:
        text.set_fontfamily(["DejaVu Sans", *fonts])


@cache
def _fonts_for(characters: frozenset[str]) -> tuple[str, ...]:
    """Return installed fonts for the characters that DejaVu Sans lacks; report what all lack."""
    missing = {c for c in characters if ord(c) not in _charmap(findfont("DejaVu Sans"))}
    fonts = []
    for font in fontManager.ttflist:
        if missing and "Last Resort" not in font.name:
            found = {c for c in missing if ord(c) in _charmap(font.fname)}
            fonts += [font.name] if found else []
            missing -= found
    if missing:
        _report_missing("".join(sorted(missing)))
    return tuple(fonts)


@cache
def _charmap(file: str) -> frozenset[int]:
    return frozenset(get_font(file).get_charmap())


@cache
def _report_missing(characters: str) -> None:
    """Report characters without a font once, in place of Matplotlib's warning for each of them."""
    warnings.filterwarnings("ignore", message="Glyph .* missing from font")
    print_status(
        f"No installed font has the characters {characters[:20]}, which are boxes in the pictures;"
        " install one, such as Noto Sans CJK."
    )


def add_title(figure: Figure, title: str, cautions: Sequence[str] = ()) -> None:
    """Set the title of a figure, with cautions that apply to its values below it."""
    width = int(figure.get_figwidth() * 10)  # characters in a line at the title's font size
    lines = [*title.splitlines(), *(f"WARNING: {caution}" for caution in cautions)]
    figure.suptitle("\n".join(textwrap.fill(line, width) for line in lines))
