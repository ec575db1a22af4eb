"""Compute the accuracy by the length of the classified audio."""

from pathlib import Path

import numpy as np
import pytest

from pocketgenre.training.evaluation.length_metrics import LengthMetrics, compute_length_metrics
from tests.training.fabricated import fabricate_dataset


def test_short_and_long_songs_have_own_metrics(tmp_path: Path) -> None:
    data = fabricate_dataset(tmp_path / "data", {"jazz": [8, 6], "rock": [1, 1, 3, 6]})
    segments = np.arange(len(data.segment_songs))
    jazz, rock = [0.9, 0.1], [0.1, 0.9]
    wrong_at_first = [rock, rock, rock] + [jazz] * 5
    probabilities = np.array(
        wrong_at_first + [jazz] * 6 + [rock] + [jazz] + [rock] * 3 + [rock] * 6
    )
    rows = {row.description: row for row in compute_length_metrics(data, segments, probabilities)}
    assert list(rows)[:4] == [
        "all songs",
        "songs of one segment",
        "songs of 2 to 5 segments",
        "songs of 6 or more segments",
    ]
    assert rows["all songs"] == LengthMetrics("all songs", 6, pytest.approx(5 / 6), 0.875)
    assert (rows["songs of one segment"].songs, rows["songs of one segment"].accuracy) == (2, 0.5)
    assert rows["songs of 6 or more segments"].accuracy == 1
    first = rows["songs of 6 or more segments, first 3 segments only"]
    assert (first.songs, first.accuracy) == (3, pytest.approx(2 / 3))
    first = rows["songs of 6 or more segments, first 5 segments only"]
    assert first.accuracy == pytest.approx(2 / 3)
    assert rows["all songs without jazz"].songs == 4  # most songs of jazz are long
    assert rows["all songs without jazz"].accuracy == pytest.approx(3 / 4)
    assert rows["songs of 6 or more segments without jazz"].songs == 1
