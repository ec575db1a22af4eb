"""The command ``check-features`` compares a file of features with a song."""

import json
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.features.mfcc import mfcc
from tests.conftest import invoke, write_tone
from tests.parity.devices import decode_song

COMMAND = "pocketgenre.parity.cli"
SIZE = 66_150


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tone(tmp_path_factory.mktemp("check") / "song.flac", 9.0)


@pytest.fixture
def features(song: Path, tmp_path: Path) -> Path:
    """Features of the second segment."""
    np.save(tmp_path / "device.npy", mfcc(decode_song(song)[SIZE : 2 * SIZE]))
    return tmp_path / "device.npy"


def test_same_features_give_status_0(song: Path, features: Path) -> None:
    result = invoke(COMMAND, features, song, "--model", "standard", "--first", 1)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("Cause: none. The features are the same.")
    assert result.stderr == ""


def test_different_features_give_status_1(song: Path, features: Path) -> None:
    np.save(features, -np.load(features))
    result = invoke(COMMAND, features, song, "--model", "standard", "--first", 1)
    assert result.returncode == 1
    assert result.stdout.startswith("Cause: flipped-sign. ")


def test_json_has_all_fields(song: Path, features: Path) -> None:
    options = ("--model", "standard", "--first", 1, "--format", "json")
    result = invoke(COMMAND, features, song, *options)
    content = json.loads(result.stdout)
    assert content["same"]
    assert content["shape"] == content["expected_shape"] == [1, 130, 13]


def test_error_names_the_file(song: Path, features: Path) -> None:
    features.write_text("[[true]]")
    result = invoke(COMMAND, features, song)
    assert result.returncode == 1
    assert result.stderr == (
        f"Error: {features}: the features are neither a .npy file nor a JSON array of numbers.\n"
    )
    wrong = invoke(COMMAND, song, song, "--model", "standard")
    assert wrong.stderr.startswith(f"Error: {song}: the features are")


def test_segment_after_the_end_is_an_error(song: Path, features: Path) -> None:
    result = invoke(COMMAND, features, song, "--model", "standard", "--first", 9)
    assert result.returncode == 1
    assert result.stderr == (
        f"Error: {song}: the song has no segment 9; segments are counted from 0.\n"
    )
