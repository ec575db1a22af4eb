r"""A scan's results as data: JSON and CSV.

A name that is not UTF-8 keeps its odd bytes as ``\udc80`` to ``\udcff``, Python's surrogate
escapes: ``os.fsencode`` turns such a string back into the file's name.
"""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from mobile_demo.library import ScannedSong


def to_json(songs: Sequence[ScannedSong]) -> bytes:
    """A list of objects: path, genre, confidence, votes, segments, probabilities, error."""
    rows = [_to_dict(song) for song in songs]
    return _encode(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")


def to_csv(songs: Sequence[ScannedSong], labels: Sequence[str]) -> bytes:
    """One row a song; the votes and the mean probabilities in a column a genre."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["path", "genre", "confidence", "segments"]
        + [f"votes_{label}" for label in labels]
        + [f"probability_{label}" for label in labels]
        + ["error"]
    )
    for song in songs:
        row = _to_dict(song)
        votes, probabilities = row["votes"] or {}, row["probabilities"] or {}
        writer.writerow(
            [row["path"], row["genre"], row["confidence"], row["segments"]]
            + [votes.get(label) for label in labels]
            + [probabilities.get(label) for label in labels]
            + [row["error"]]
        )
    return _encode(text.getvalue())


def _to_dict(song: ScannedSong) -> dict[str, Any]:
    vote = song.vote
    return {
        "path": song.path.as_posix(),
        "genre": vote.genre if vote else None,
        "confidence": round(vote.confidence, 4) if vote else None,
        "votes": vote.votes if vote else None,
        "segments": vote.segments if vote else 0,
        "probabilities": (
            {label: round(p, 4) for label, p in vote.probabilities.items()} if vote else None
        ),
        "error": song.error,
    }


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")
