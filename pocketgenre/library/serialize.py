r"""Labelled songs as data: JSON, JSON lines and CSV.

A name that is not UTF-8 keeps its odd bytes as ``\udc80`` to ``\udcff``, Python's surrogate
escapes: ``os.fsencode`` turns such a string back into the file's name.
"""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from pocketgenre.library.labelled import LabelledSong
from pocketgenre.library.timeline import timeline

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def to_json(songs: Iterable[LabelledSong]) -> bytes:
    """A list of objects, one a line, with the fields that ``docs/scan-library.md`` describes."""
    rows = ",\n".join(json.dumps(song_fields(song), ensure_ascii=False) for song in songs)
    return _encode(f"[\n{rows}\n]\n")


def to_json_lines(songs: Iterable[LabelledSong]) -> bytes:
    """An object a line, in ASCII, so that no name can break a line whatever reads it."""
    return "".join(json.dumps(song_fields(song)) + "\n" for song in songs).encode("ascii")


def to_csv(songs: Iterable[LabelledSong], labels: Sequence[str]) -> bytes:
    """One row a song; the votes and the mean probabilities in a column a genre.

    Every text is quoted, and one that a spreadsheet would take for a formula gets ``./`` (a
    path) or an apostrophe (anything else) before it.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(
        ["path", "genre", "confidence", "probability", "margin", "segments"]
        + [f"top{place}{what}" for place in (1, 2, 3) for what in ("", "_probability")]
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
            + [row[field] for field in ("confidence", "probability", "margin", "segments")]
            + [_cell(cell) for cell in top]
            + [None] * (6 - len(top))
            + [votes.get(label) for label in labels]
            + [probabilities.get(label) for label in labels]
            + [_cell(row["error"])]
        )
    return _encode(text.getvalue())


def song_fields(song: LabelledSong, *, with_timeline: bool = True) -> dict[str, Any]:
    """What is written of a song, as JSON has it."""
    label = song.label
    fields: dict[str, Any] = {
        "path": song.name.as_posix(),
        "genre": label.genre if label else None,
        "confidence": round(label.confidence, 4) if label else None,
        "probability": round(label.probability, 4) if label else None,
        "margin": round(label.margin, 4) if label else None,
        "top": (
            [{"genre": genre, "probability": round(p, 4)} for genre, p in label.top]
            if label
            else None
        ),
        "votes": label.votes if label else None,
        "segments": label.segments if label else 0,
        "probabilities": _mean_probabilities(song),
    }
    if with_timeline:
        fields["timeline"] = _timeline(song)
    return {**fields, "error": song.error}


def _mean_probabilities(song: LabelledSong) -> dict[str, float] | None:
    table = song.song.probabilities
    if song.label is None or table is None:
        return None
    means = table.mean(axis=0, dtype=float)
    return {label: round(float(p), 4) for label, p in zip(song.song.labels, means, strict=True)}


def _timeline(song: LabelledSong) -> list[dict[str, Any]] | None:
    parts = timeline(song.song)
    if len(parts) < 2:
        return None
    return [
        {
            "start": round(part.start, 1),
            "end": round(part.end, 1),
            "genre": part.genre,
            "shares": {genre: round(share, 4) for genre, share in part.shares.items()},
        }
        for part in parts
    ]


def _path_cell(path: str) -> str:
    return f"./{path}" if path.startswith(_FORMULA) else path


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")
