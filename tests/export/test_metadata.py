"""Test that MediaPipe Tasks reads the metadata of the pretrained files.

``make test`` sets up a separate environment with MediaPipe.
"""

import io
import json
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.audio.decoding import stream_mono
from pocketgenre.models.pretrained import PRETRAINED_WAVEFORM
from pocketgenre.models.tflite_model import TFLiteModel
from tests.conftest import GENRES, REPOSITORY

PYTHON = REPOSITORY / ".venv" / "mediapipe" / "bin" / "python"
SCRIPT = Path(__file__).with_name("mediapipe_labels.py")
SAMPLE_RATE = 22_050

pytestmark = pytest.mark.slow


def test_labels_are_in_an_appended_zip_archive() -> None:
    model = PRETRAINED_WAVEFORM["standard"].read_bytes()
    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        assert archive.namelist() == ["labels.txt"]
        assert archive.read("labels.txt").decode().split() == list(GENRES)


def classify_with_mediapipe(model: Path, songs: dict[str, np.ndarray], folder: Path) -> dict:
    """Return the probabilities by genre of each segment of each song."""
    np.savez(folder / "songs.npz", **songs)
    if not PYTHON.exists():
        pytest.skip("the MediaPipe environment is missing; make test creates it")
    output = subprocess.check_output(
        [PYTHON, SCRIPT, model, folder / "songs.npz"], stderr=subprocess.DEVNULL, timeout=250
    )
    return json.loads(output)


def assert_same_predictions(songs: list[Path], folder: Path) -> None:
    """Compare labels and probabilities of all whole segments with those of MediaPipe."""
    model = TFLiteModel.load(PRETRAINED_WAVEFORM["standard"])
    size = model.card.feature_config.segment_samples
    samples = {
        str(n): np.concatenate(list(stream_mono(path, SAMPLE_RATE))) for n, path in enumerate(songs)
    }
    mediapipe = classify_with_mediapipe(PRETRAINED_WAVEFORM["standard"], samples, folder)
    for name, song in samples.items():
        count = len(song) // size
        if not count:
            continue
        predicted = model.predict(song[: count * size].reshape(count, size))
        expected = np.array([[row[genre] for genre in GENRES] for row in mediapipe[name][:count]])
        np.testing.assert_array_equal(predicted.argmax(axis=1), expected.argmax(axis=1))
        np.testing.assert_allclose(predicted, expected, atol=0.02)


def test_mediapipe_predicts_the_same_labels(library: Path, tmp_path: Path) -> None:
    assert_same_predictions(sorted(library.iterdir()), tmp_path)


def test_mediapipe_predicts_the_same_for_gtzan(gtzan: Path, tmp_path: Path) -> None:
    songs = [
        song
        for genre in sorted((gtzan / "audio").iterdir())
        for song in sorted(genre.glob("*.ogg"))[:3]
    ]
    assert_same_predictions(songs, tmp_path)
