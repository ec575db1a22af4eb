"""Render a scan as one HTML file that works offline on any phone.

The songs are embedded as JSON, and the page's script renders them as text while the page is
scrolled. The content security policy allows only the hashes of the one script and the one style
sheet, so that a song's name can't run code or load anything.
"""

import base64
import hashlib
import html
import json
import re
from collections.abc import Callable, Iterable, Sequence
from importlib import resources
from typing import Any

import numpy as np

from pocketgenre.constants import MAX_WINDOWS, NOT_MUSIC, UNCERTAIN
from pocketgenre.library.library_song import LibrarySong
from pocketgenre.text import printable
from pocketgenre.timeline import window_bounds, window_means

_ENCODING = np.frombuffer(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", np.uint8
)
"""Characters that encode a probability in steps of 1/63."""


def make_report(
    songs: Iterable[LibrarySong],
    labels: Sequence[str],
    title: str,
    name_of: Callable[[str], str] = str,
) -> bytes:
    """Render the page: songs by genre with confidence and timeline, and failures with reasons.

    Uncertain songs come first; songs without music have a group of their own.

    Parameters
    ----------
    songs : songs in the order of the list
    labels : every genre of the songs' models
    title : title, for example the name of the folder
    name_of : function that returns the name of a genre; genres of one name are one group
    """
    names = tuple(dict.fromkeys(map(name_of, labels)))
    columns = {label: names.index(name_of(label)) for label in labels}
    data = {
        "title": printable(title),
        "genres": list(map(printable, names)),
        "not_music": columns.get(NOT_MUSIC, -1),
        "songs": [_row(song, columns, len(names)) for song in songs],
    }
    page = resources.files("pocketgenre.library").joinpath("html_report.html").read_text("utf-8")
    filled = {
        "title": html.escape(printable(title)),
        "data": _script_safe(json.dumps(data, separators=(",", ":"))),
        "policy": (
            f"default-src 'none'; script-src {_digest(page, 'script')};"
            f" style-src {_digest(page, 'style')}; base-uri 'none'; form-action 'none'"
        ),
        "script": "",  # marks the beginning of the script
        "style": "",
    }
    # In one pass, since the values may hold text that looks like a placeholder.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: filled[match[1]], page).encode("utf-8")


def _row(song: LibrarySong, columns: dict[str, int], genres: int) -> list[Any]:
    """Return the values of a song, which the page's script reads in this order.

    Returns
    -------
    list
        name, group, confidence, top labels, seconds, probabilities by window, error; then for a
        song with a prediction its winner, 0 or the decoded and the whole duration of a song that
        was not classified to its end, and its year if the tags have one
    """
    name = printable(song.name.as_posix())
    error = printable(song.error) if song.error else None
    prediction = song.prediction
    if prediction is None:
        return [name, genres + 1, 0, [], 0, "", error or "it could not be classified"]
    group = genres if prediction.genre == UNCERTAIN else columns[prediction.genre]
    top = [[columns[genre], round(p, 2)] for genre, p in prediction.top]
    table, seconds = prediction.segment_probabilities, prediction.seconds_per_segment
    bounds = window_bounds(len(table), seconds, MAX_WINDOWS)
    means = np.zeros((len(bounds) - 1, genres), np.float32)
    for genre, column in zip(prediction.labels, window_means(table, bounds).T, strict=True):
        means[:, columns[genre]] += column
    steps = np.rint(63 * means.clip(0, 1)).astype(np.uint8)
    encoded = _ENCODING[steps].tobytes().decode("ascii")
    length = round(len(table) * seconds)
    winner = columns[prediction.winner]
    partial = (
        [_rounded(prediction.analyzed_seconds), _rounded(prediction.duration_seconds)]
        if prediction.is_partial
        else 0
    )
    values = [round(prediction.confidence, 3), top, length, encoded, error, winner, partial]
    year = [song.metadata.year] if song.metadata.year else []
    return [name, group, *values, *year]


def _rounded(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)


def _script_safe(text: str) -> str:
    """Escape JSON so that a string can't end the script element or begin a comment."""
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _digest(page: str, tag: str) -> str:
    content = page.partition(f"<{tag}>{{{{{tag}}}}}")[2].partition(f"</{tag}>")[0]
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return f"'sha256-{digest}'"
