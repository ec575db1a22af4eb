"""Classify genres with Google's YAMNet: its ten genre outputs and a majority vote."""

import csv
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from pocketgenre.audio.decoding import stream_mono
from pocketgenre.models.interpreter import create_interpreter

FOLDER = Path(__file__).parents[2] / "shared" / "models"
MODEL = FOLDER / "yamnet.tflite"
SAMPLE_RATE = 16_000
WINDOW = 15_600  # samples
OUTPUTS = {
    "blues": 246,
    "classical": 232,
    "country": 224,
    "disco": 231,
    "hiphop": 212,
    "jazz": 230,
    "metal": 215,
    "pop": 211,
    "reggae": 223,
    "rock": 214,
}
"""Index of YAMNet's output for each genre."""


class YAMNet:
    """YAMNet on LiteRT, one thread."""

    def __init__(self) -> None:
        self._interpreter = create_interpreter(MODEL.read_bytes())
        details = self._interpreter.get_input_details()[0]
        self._input, self._shape = details["index"], tuple(details["shape"])
        self._output = self._interpreter.get_output_details()[0]["index"]

    def scores(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the scores of the ten genres for each window, float32 [shape=(windows, 10)].

        Parameters
        ----------
        samples : as for :meth:`all_scores`
        """
        scores: NDArray[np.float32] = self.all_scores(samples)[:, list(OUTPUTS.values())]
        return scores

    def all_scores(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute all scores for each window.

        Parameters
        ----------
        samples : float32 [shape=(n,)]
            mono audio at 16 kHz; a shorter last window is left out, unless it is the only one

        Returns
        -------
        float32 [shape=(windows, 521)]
        """
        padded = np.pad(samples, (0, max(0, WINDOW - len(samples))))
        rows = []
        for start in range(0, len(padded) - WINDOW + 1, WINDOW):
            window = padded[start : start + WINDOW]
            self._interpreter.set_tensor(self._input, window.reshape(self._shape))
            self._interpreter.invoke()
            rows.append(self._interpreter.get_tensor(self._output).reshape(-1))
        return np.stack(rows)

    def classify(self, path: Path) -> str:
        """Predict the genre of a song by a majority vote of its windows."""
        samples = np.concatenate(list(stream_mono(path, SAMPLE_RATE)))
        votes = np.bincount(self.scores(samples).argmax(axis=1), minlength=len(OUTPUTS))
        return list(OUTPUTS)[int(votes.argmax())]


def song_accuracy(gtzan: Path) -> float:
    """Compute YAMNet's accuracy on the songs of a GTZAN folder (``index.csv``, ``audio/``)."""
    yamnet = YAMNet()
    with open(gtzan / "index.csv", newline="", encoding="utf-8") as file:
        songs = list(csv.DictReader(file))
    correct = [yamnet.classify(gtzan / song["path"]) == song["genre"] for song in songs]
    return float(np.mean(correct))


def to_16k(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Resample to YAMNet's sample rate."""
    resampled: NDArray[np.float32] = soxr.resample(samples, rate, SAMPLE_RATE)
    return resampled
