"""Lay out songs as a table that fits the terminal."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pocketgenre.library.library_song import LibrarySong
from pocketgenre.prediction import SongPrediction
from pocketgenre.text import encode_escaped, printable

PARTIAL = " (partial)"
"""Mark of a song that was not classified to its end."""

_FILE_WIDTH = 100
_MIN_NAME_WIDTH = 20  # of the songs' names
_MAX_TEXT_WIDTH = 30  # of titles and artists


@dataclass(frozen=True)
class _Column:
    """A column: how its cells are aligned and filled; the highest rank is left out first."""

    cell: Callable[[LibrarySong], str]
    rank: int
    justify: Literal["left", "right"] = "left"


def votes(prediction: SongPrediction) -> str:
    """Format the votes for the winner: ``3 of 5``."""
    return f"{prediction.votes[prediction.winner]} of {sum(prediction.votes.values())}"


def _of_prediction(text: Callable[[SongPrediction], str]) -> Callable[[LibrarySong], str]:
    return lambda song: text(song.prediction) if song.prediction else "-"


_COLUMNS = {
    "song": _Column(lambda song: printable(song.name.as_posix()), 0),
    "title": _Column(lambda song: song.metadata.title or "", 3),
    "artist": _Column(lambda song: song.metadata.artist or "", 4),
    "album": _Column(lambda song: song.metadata.album or "", 5),
    "year": _Column(lambda song: str(song.metadata.year or ""), 6, "right"),
    "genre": _Column(lambda song: song.genre or "-", 1),
    "confidence": _Column(_of_prediction(lambda p: f"{p.confidence:.0%}"), 2, "right"),
    "votes": _Column(_of_prediction(votes), 7, "right"),
    "margin": _Column(_of_prediction(lambda p: f"{p.margin:+.2f}"), 8, "right"),
}
COLUMN_NAMES = tuple(_COLUMNS)
"""Values of ``--columns``."""

_TEXTS = ("title", "artist", "album")

_DEFAULT = (
    *("song", "title", "artist", "genre"),
    *("confidence", "votes", "margin"),
)


def render_table(songs: Sequence[LibrarySong], columns: Sequence[str], *, to_file: bool) -> bytes:
    """Lay out songs as wide as the terminal.

    Parameters
    ----------
    songs : songs
    columns : columns; by default the usual ones, with title and artist if a song has them. Those
        that leave no room for the songs' names are left out
    to_file : True for a file, which has no colors and a width of 100
    """
    if to_file:
        console = Console(
            width=_FILE_WIDTH, color_system=None, highlight=False, force_terminal=False
        )
    else:
        console = Console(highlight=False)
    with console.capture() as capture:
        console.print(_table(songs, columns, console.width))
    return encode_escaped(capture.get())


def _table(songs: Sequence[LibrarySong], columns: Sequence[str], width: int) -> Table:
    cells = {
        name: [printable(_COLUMNS[name].cell(song)) for song in songs]
        for name in columns or _DEFAULT
    }
    if not columns:
        cells = {name: texts for name, texts in cells.items() if any(texts) or name not in _TEXTS}
    while len(cells) > 2 and _width_of(cells) > width:
        del cells[max(cells, key=lambda name: _COLUMNS[name].rank)]
    table = Table()
    for name in cells:
        column = _COLUMNS[name]
        is_name = name == "song"
        table.add_column(
            name.capitalize(),
            justify=column.justify,
            no_wrap=not is_name,
            overflow="fold" if is_name else "ellipsis",
            max_width=_MAX_TEXT_WIDTH if name in _TEXTS else None,
        )
    for number, song in enumerate(songs):
        table.add_row(*(_cell(song, name, texts[number]) for name, texts in cells.items()))
    return table


def _cell(song: LibrarySong, name: str, text: str) -> Text:
    cell = Text(text)
    if name == "song":
        if song.prediction is None:
            cell.append(f"\n{printable(song.error or '')}", style="red")
        elif song.prediction.is_partial:
            cell.append(PARTIAL, style="yellow")
    return cell


def _width_of(cells: dict[str, list[str]]) -> int:
    """Return the width of a table in which names have the width that they need at least."""
    width = 1
    for name, texts in cells.items():
        longest = max(len(name), *map(len, texts)) if texts else len(name)
        if name == "song":
            longest = min(longest, _MIN_NAME_WIDTH)
        elif name in _TEXTS:
            longest = min(longest, _MAX_TEXT_WIDTH)
        width += longest + 3  # with padding and a line
    return width
