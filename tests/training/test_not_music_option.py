"""Weight recordings for the label ``not-music``, and refuse unsuitable data sets and networks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.constants import NOT_MUSIC
from pocketgenre.features.config import MFCC_CONFIG
from pocketgenre.training.data.not_music import (
    MUSIC,
    load_not_music,
    not_music_segments,
    recording_weights,
)
from pocketgenre.training.errors import DataError
from tests.training.commands import TRAIN, refuse
from tests.training.fabricated import fabricate_dataset


def test_songs_of_a_group_share_a_weight(tmp_path: Path) -> None:
    data = fabricate_dataset(tmp_path / "data", {MUSIC: [4, 1], NOT_MUSIC: [1, 3, 9]})
    one_voice = tuple(replace(s, group=9) if s.genre == NOT_MUSIC else s for s in data.songs[:4])
    data = replace(data, songs=(*one_voice, data.songs[4]))
    assert not_music_segments(data).sum() == 13
    weights = recording_weights(data)
    songs = np.split(weights, np.cumsum(data.segment_counts)[:-1])
    assert songs[0] == pytest.approx([1 / 2] * 4)
    assert songs[1] == pytest.approx([1])
    assert np.concatenate(songs[2:4]) == pytest.approx([1 / 2] * 4)  # four segments of one group
    assert songs[4] == pytest.approx([1 / 3] * 9)


def test_unsuitable_datasets_are_refused(tmp_path: Path) -> None:
    songs = fabricate_dataset(tmp_path / "songs", {"jazz": [1], "rock": [1]})
    other = fabricate_dataset(tmp_path / "other", {MUSIC: [1], NOT_MUSIC: [1]})
    load_not_music(other.folder, songs)
    with pytest.raises(DataError, match="must have the genres music and not-music, not jazz, rock"):
        load_not_music(songs.folder, songs)
    with pytest.raises(DataError, match="contains the genre not-music already"):
        load_not_music(other.folder, other)
    short = replace(MFCC_CONFIG, segment_samples=22_050)
    fabricate_dataset(tmp_path / "short", {MUSIC: [1], NOT_MUSIC: [1]}, config=short)
    with pytest.raises(DataError, match="different parameters"):
        load_not_music(tmp_path / "short", songs)


def test_published_networks_refuse_the_option(tmp_path: Path) -> None:
    songs = fabricate_dataset(tmp_path / "songs", {"jazz": [1], "rock": [1]})
    message = refuse(
        TRAIN, songs.folder, "--model", "cnn", "--not-music", "x", "--out", tmp_path / "run"
    )
    assert "cnn takes no --not-music" in message
