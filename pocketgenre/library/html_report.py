"""One HTML file that shows a scan on any phone, offline.

The songs are data in a script that is no script; the page's own script draws them as they are
scrolled to, text as text. A content security policy names the digests of the one script and the
one style sheet, so that nothing else runs and nothing is fetched whatever a song is called.
"""

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any

import numpy as np

from pocketgenre.library.label import UNCERTAIN
from pocketgenre.library.labelled import LabelledSong
from pocketgenre.library.timeline import window_bounds, window_shares
from pocketgenre.text import printable

_MOST_WINDOWS = 48
_CODE = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", np.uint8)
"""A share in steps of 1/63, a character each."""


def make_report(songs: Iterable[LabelledSong], labels: Sequence[str], title: str) -> bytes:
    """The page: songs by genre, how sure that is, how each goes on, what failed and why.

    Parameters
    ----------
    songs : in the order in which they are to be listed
    labels : every genre that the songs' models know
    title : what was scanned, the folder's name say
    """
    places = {label: place for place, label in enumerate(labels)}
    data = {
        "title": printable(title),
        "genres": [printable(label) for label in labels],
        "songs": [_row(song, places) for song in songs],
    }
    page = resources.files("pocketgenre.library").joinpath("html_report.html").read_text("utf-8")
    filled = {
        "title": html.escape(printable(title)),
        "data": _script_safe(json.dumps(data, separators=(",", ":"))),
        "policy": (
            f"default-src 'none'; script-src {_digest(page, 'script')};"
            f" style-src {_digest(page, 'style')}; base-uri 'none'; form-action 'none'"
        ),
        "script": "",  # where the script and the style begin
        "style": "",
    }
    # In one pass: what is filled in may hold what looks like a place to fill.
    return re.sub(r"\{\{(\w+)\}\}", lambda place: filled[place[1]], page).encode("utf-8")


def _row(song: LabelledSong, places: dict[str, int]) -> list[Any]:
    """Name, group, confidence, top three, seconds, shares in each window, error."""
    name = printable(song.name.as_posix())
    label, table = song.label, song.song.probabilities
    error = printable(song.error) if song.error else None
    if label is None or table is None:
        return [name, len(places) + 1, 0, [], 0, "", error or "it could not be labelled"]
    group = len(places) if label.genre == UNCERTAIN else places[label.genre]
    top = [[places[genre], round(p, 2)] for genre, p in label.top]
    bounds = window_bounds(len(table), song.song.seconds_per_segment, _MOST_WINDOWS)
    shares = np.zeros((len(bounds) - 1, len(places)), np.float32)
    shares[:, [places[genre] for genre in song.song.labels]] = window_shares(table, bounds)
    steps = np.rint(63 * shares.clip(0, 1)).astype(np.uint8)
    seconds = round(len(table) * song.song.seconds_per_segment)
    coded = _CODE[steps].tobytes().decode("ascii")
    return [name, group, round(label.confidence, 3), top, seconds, coded, error]


def _script_safe(text: str) -> str:
    """JSON whose strings can't end the script that it stands in, nor begin a comment."""
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _digest(page: str, tag: str) -> str:
    content = page.partition(f"<{tag}>{{{{{tag}}}}}")[2].partition(f"</{tag}>")[0]
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return f"'sha256-{digest}'"
