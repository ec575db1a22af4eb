"""Songs for the page: oscillators and noise, at several speeds, in the formats that phones hold."""

from pathlib import Path

import numpy as np
import soxr

from pocketgenre.audio.decoding import stream_mono
from pocketgenre.demo.synthetic import write_aac, write_audio, write_synthetic_library

FORMATS = ("wav", "mp3", "flac", "ogg", "m4a", "opus")
_SPEEDS = (0.75, 0.84, 0.94, 1.06, 1.19, 1.33)
_RATE = 44_100


def write_mixed_library(folder: Path, seconds: float = 9.0) -> list[Path]:
    """36 songs, six in each of six formats, in two folders; stereo, at 44.1 or 48 kHz."""
    originals = write_synthetic_library(folder / "originals", seconds)
    sounds = [np.concatenate(list(stream_mono(path, _RATE))) for path in originals]
    for path in originals:
        path.unlink()
    (folder / "originals").rmdir()
    sounds.append(0.5 * sounds[0] + 0.5 * sounds[3][: len(sounds[0])])
    written = []
    for number, sound in enumerate(sounds):
        for step, speed in enumerate(_SPEEDS):
            kind = FORMATS[(number + step) % len(FORMATS)]
            rate = 48_000 if kind == "opus" else _RATE
            played = soxr.resample(sound, _RATE * speed, rate).astype(np.float32)
            stereo = np.stack([played, np.roll(played, 200)], axis=1)
            path = folder / f"side {'AB'[step % 2]}" / f"{number} at {speed}.{kind}"
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, stereo, rate)
            written.append(path)
    return written


def write(path: Path, samples: np.ndarray, rate: int) -> None:
    """Write float32 (n, channels) in the format of the name."""
    if path.suffix == ".m4a":
        write_aac(path, samples, rate)
    elif path.suffix == ".opus":
        write_audio(path, samples, rate, format="OGG", subtype="OPUS")
    else:
        write_audio(path, samples, rate)
