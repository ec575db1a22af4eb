r"""Serialize songs as JSON, JSON lines and CSV.

A name that is not UTF-8 keeps the invalid bytes as ``\udc80`` to ``\udcff``, Python's surrogate
escapes: ``os.fsencode`` turns such a string back into the file's name.
"""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from pocketgenre.library.library_song import LibrarySong
from pocketgenre.text import encode_escaped

_FIELDS = (
    *("genre", "confidence", "vote_share", "probability", "margin", "top", "votes", "segments"),
    *("probabilities", "analyzed_seconds", "duration_seconds", "partial", "timeline"),
)
_NUMBERS = (
    *("confidence", "vote_share", "probability", "margin", "segments"),
    *("analyzed_seconds", "duration_seconds", "partial"),
)
_FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def to_json(songs: Iterable[LibrarySong]) -> bytes:
    """Serialize as a list of objects, one per line; ``docs/scan-library.md`` lists the fields."""
    rows = ",\n".join(json.dumps(song_fields(song), ensure_ascii=False) for song in songs)
    return encode_escaped(f"[\n{rows}\n]\n")


def to_json_lines(songs: Iterable[LibrarySong]) -> bytes:
    """Serialize as one object per line, in ASCII, so that no name can break a line."""
    return "".join(json.dumps(song_fields(song)) + "\n" for song in songs).encode("ascii")


def to_csv(songs: Iterable[LibrarySong], labels: Sequence[str]) -> bytes:
    """Serialize as one row per song, with votes and mean probabilities in a column per genre.

    Every text is quoted. A text that a spreadsheet would read as a formula is prefixed by ``./``
    (a path) or an apostrophe (anything else).
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(
        ["path", "genre", *_NUMBERS]
        + [f"top{rank}{field}" for rank in (1, 2, 3) for field in ("", "_probability")]
        + [f"votes_{label}" for label in labels]
        + [f"probability_{label}" for label in labels]
        + ["error"]
    )
    for song in songs:
        row = song_fields(song, with_timeline=False)
        votes, probabilities = row["votes"] or {}, row["probabilities"] or {}
        top = [cell for entry in row["top"] or [] for cell in entry.values()]
        writer.writerow(
            [_path_cell(row["path"]), _cell(row["genre"])]
            + [row[field] for field in _NUMBERS]
            + [_cell(cell) for cell in top]
            + [None] * (6 - len(top))
            + [votes.get(label) for label in labels]
            + [probabilities.get(label) for label in labels]
            + [_cell(row["error"])]
        )
    return encode_escaped(text.getvalue())


def song_fields(song: LibrarySong, *, with_timeline: bool = True) -> dict[str, Any]:
    """Return the fields of a song as JSON types."""
    if song.prediction:
        fields = song.prediction.to_dict(with_timeline=with_timeline) | {"genre": song.genre}
    else:
        fields = no_prediction()
        if not with_timeline:
            del fields["timeline"]
    return {"path": song.name.as_posix(), **fields, "error": song.error}


def no_prediction() -> dict[str, Any]:
    """Return the fields of a song without a prediction: 0 segments, and None for the others."""
    return {**dict.fromkeys(_FIELDS), "segments": 0}


def _path_cell(path: str) -> str:
    return f"./{path}" if path.startswith(_FORMULA_PREFIXES) else path


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_PREFIXES) else value
