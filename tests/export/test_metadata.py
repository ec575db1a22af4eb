"""What MediaPipe Tasks finds in our files, asked of MediaPipe itself.

``make test`` sets up an environment of its own for it.
"""

import io
import json
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.audio.decoding import stream_mono
from pocketgenre.classifier import Classifier
from pocketgenre.models.pretrained import PRETRAINED_WAVEFORM
from tests.conftest import GENRES, REPOSITORY

PYTHON = REPOSITORY / ".venv" / "mediapipe" / "bin" / "python"
SCRIPT = Path(__file__).with_name("mediapipe_labels.py")
RATE = 22_050

pytestmark = pytest.mark.slow


def test_the_labels_are_in_a_zip_archive_behind_the_model() -> None:
    model = PRETRAINED_WAVEFORM["standard"].read_bytes()
    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        assert archive.namelist() == ["labels.txt"]
        assert archive.read("labels.txt").decode().split() == list(GENRES)


def ask_mediapipe(model: Path, songs: dict[str, np.ndarray], folder: Path) -> dict:
    np.savez(folder / "songs.npz", **songs)
    if not PYTHON.exists():
        pytest.skip("the MediaPipe environment is not set up: make test does it")
    output = subprocess.check_output(
        [PYTHON, SCRIPT, model, folder / "songs.npz"], stderr=subprocess.DEVNULL, timeout=250
    )
    return json.loads(output)


def compare(songs: list[Path], folder: Path) -> None:
    """Same labels for every whole segment of every song, and nearly the same probabilities."""
    classifier = Classifier.load(PRETRAINED_WAVEFORM["standard"])
    samples = {str(n): np.concatenate(list(stream_mono(p, RATE))) for n, p in enumerate(songs)}
    answers = ask_mediapipe(PRETRAINED_WAVEFORM["standard"], samples, folder)
    for name, song in samples.items():
        size = classifier.card.feature_config.segment_samples
        whole = len(song) // size
        if not whole:
            continue
        segments = song[: whole * size].reshape(whole, size)
        ours = classifier.predict(segments)
        theirs = np.array([[row[g] for g in GENRES] for row in answers[name][:whole]])
        np.testing.assert_array_equal(ours.argmax(axis=1), theirs.argmax(axis=1))
        np.testing.assert_allclose(ours, theirs, atol=0.02)


def test_mediapipe_loads_the_waveform_file_and_gives_our_labels(
    library: Path, tmp_path: Path
) -> None:
    compare(sorted(library.iterdir()), tmp_path)


def test_mediapipe_gives_our_labels_for_real_songs(gtzan: Path, tmp_path: Path) -> None:
    songs = [
        song
        for genre in sorted((gtzan / "audio").iterdir())
        for song in sorted(genre.glob("*.ogg"))[:3]
    ]
    compare(songs, tmp_path)
