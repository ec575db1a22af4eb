"""Write synthetic songs in common file formats, for demonstrations and tests.

The songs consist of oscillators and noise, so their predicted genres mean nothing.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

_RATE = 44_100  # Hz


def write_synthetic_library(folder: Path, seconds: float = 15.0) -> list[Path]:
    """Write one song in each of five formats: WAV, FLAC, Ogg Vorbis, MP3, M4A/AAC.

    Parameters
    ----------
    folder : folder of the songs, created if missing
    seconds : length of each song

    Returns
    -------
    list of Path
        The files in the order of writing.
    """
    songs: dict[str, FloatArray] = {
        "Slow pad.wav": _pad(seconds),
        "Four on the floor.flac": _beat(seconds, bpm=122),
        "Distorted riff.ogg": _riff(seconds),
        "Broken beat.mp3": _beat(seconds, bpm=92),
        "Bells.m4a": _bells(seconds),
    }
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, samples in songs.items():
        path = folder / name
        stereo = np.stack([samples, np.roll(samples, 300)], axis=1)
        (write_aac if path.suffix == ".m4a" else write_audio)(path, stereo, _RATE)
        written.append(path)
    return written


def write_audio(
    path: Path,
    samples: FloatArray,
    rate: int,
    format: str | None = None,
    subtype: str | None = None,
) -> None:
    """Write an audio file with libsndfile.

    Parameters
    ----------
    path : file to write
    samples : float32 [shape=(n, channels)]
    rate : sample rate in Hz
    format, subtype : libsndfile's names of the format; by default the file name's ending decides
    """
    with soundfile.SoundFile(
        path, "w", rate, samples.shape[1], format=format, subtype=subtype
    ) as file:
        for start in range(0, len(samples), rate):  # the Vorbis encoder crashes on long blocks
            file.write(samples[start : start + rate])


def write_aac(path: Path, samples: FloatArray, rate: int) -> None:
    """Write AAC in an MP4 container.

    Parameters
    ----------
    path : file to write
    samples : float32 [shape=(n, 1 or 2)]
    rate : sample rate in Hz
    """
    import av  # imports slowly, and only this format needs it

    layout = "mono" if samples.shape[1] == 1 else "stereo"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=rate, layout=layout)
        planes = np.ascontiguousarray(samples.T, dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _pad(seconds: float) -> FloatArray:
    t = _time(seconds)
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * t / 8)
    return _mix(swell * _tone(t, 110 * 2 ** (note / 12), 6) for note in (0, 4, 7, 11))


def _beat(seconds: float, bpm: float) -> FloatArray:
    t = _time(seconds)
    beat = 60 / bpm
    kick = np.exp(-25 * (t % beat)) * np.sin(2 * np.pi * 55 * (t % beat))
    hat = np.exp(-60 * ((t + beat / 2) % beat)) * np.random.default_rng(1).normal(size=len(t))
    bass = (t % beat > beat / 2) * _tone(t, 82.4, 4)
    return _mix([2 * kick, 0.2 * hat, 0.4 * bass])


def _riff(seconds: float) -> FloatArray:
    t = _time(seconds)
    roots = np.array([82.4, 82.4, 98.0, 110.0])[(t / 0.25).astype(int) % 4]
    phase = np.cumsum(roots) / _RATE
    power_chord = np.sin(2 * np.pi * phase) + np.sin(2 * np.pi * 1.5 * phase)
    return _mix([np.tanh(8 * power_chord)])


def _bells(seconds: float) -> FloatArray:
    t = _time(seconds)
    notes = np.array([523.3, 659.3, 784.0, 659.3])[(t / 0.5).astype(int) % 4]
    phase = np.cumsum(notes) / _RATE
    return _mix([np.exp(-5 * (t % 0.5)) * np.sin(2 * np.pi * phase * n) / n for n in (1, 2.76)])


def _time(seconds: float) -> NDArray[np.float64]:
    return np.arange(round(seconds * _RATE)) / _RATE


def _tone(t: NDArray[np.float64], hz: float, harmonics: int) -> NDArray[np.float64]:
    return sum((np.sin(2 * np.pi * hz * n * t) / n for n in range(1, harmonics + 1)), 0 * t)


def _mix(parts: Iterable[NDArray[np.float64]]) -> FloatArray:
    mixed = np.sum(list(parts), axis=0)
    peak = float(np.abs(mixed).max())
    return np.asarray(0.8 * mixed / peak, dtype=np.float32)
