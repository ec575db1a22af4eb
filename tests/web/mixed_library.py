"""Synthetic songs for the page's tests."""

from pathlib import Path

import numpy as np
import soxr

from pocketgenre.audio.decoding import stream_mono
from pocketgenre.demo.synthetic import write_aac, write_audio, write_synthetic_library
from tests.conftest import tone

FORMATS = ("wav", "mp3", "flac", "ogg", "m4a", "opus")
_SPEEDS = (0.75, 0.84, 0.94, 1.06, 1.19, 1.33)
_RATE = 44_100


def write_mixed_library(folder: Path, seconds: float = 9.0) -> list[Path]:
    """Write 36 songs, six in each format, in two folders; stereo, at 44.1 or 48 kHz."""
    originals = write_synthetic_library(folder / "originals", seconds)
    songs = [np.concatenate(list(stream_mono(path, _RATE))) for path in originals]
    for path in originals:
        path.unlink()
    (folder / "originals").rmdir()
    songs.append(0.5 * songs[0] + 0.5 * songs[3][: len(songs[0])])
    written = []
    for number, song in enumerate(songs):
        for step, speed in enumerate(_SPEEDS):
            file_format = FORMATS[(number + step) % len(FORMATS)]
            rate = 48_000 if file_format == "opus" else _RATE
            mono = soxr.resample(song, _RATE * speed, rate).astype(np.float32)
            stereo = np.stack([mono, np.roll(mono, 200)], axis=1)
            path = folder / f"side {'AB'[step % 2]}" / f"{number} at {speed}.{file_format}"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_song(path, stereo, rate)
            written.append(path)
    return written


def write_album(folder: Path) -> list[Path]:
    """Write four short songs in four formats."""
    folder.mkdir(exist_ok=True)
    files = []
    for number, file_format in enumerate(("wav", "mp3", "ogg", "flac")):
        files.append(folder / f"song {number}.{file_format}")
        write_song(files[-1], tone(220.0 * (1 + number), 6.5, _RATE, 2), _RATE)
    return files


def write_song(path: Path, samples: np.ndarray, rate: int) -> None:
    """Write float32 samples [shape=(n, channels)] in the format of the file name."""
    if path.suffix == ".m4a":
        write_aac(path, samples, rate)
    elif path.suffix == ".opus":
        write_audio(path, samples, rate, format="OGG", subtype="OPUS")
    else:
        write_audio(path, samples, rate)
