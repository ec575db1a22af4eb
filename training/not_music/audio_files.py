"""Read the audio files of packages, and write excerpts as FLAC."""

from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from pocketgenre.atomic_write import open_atomic
from pocketgenre.errors import AudioError

FloatArray = NDArray[np.float32]

EXCERPT_SECONDS = 24.0
"""Largest length of a mix, and of a recording for training [s]: eight segments."""

HEADERLESS = frozenset({".g722", ".gsm", ".raw"})
"""Suffixes of files without a header. They are converted, since libsndfile can't detect them."""

_G722_BYTES_PER_SECOND = 8000  # 64 kbit/s
_GSM_BYTES_PER_SECOND = 1650  # 33 bytes for each 20 ms
_GSM_RATE = 8000  # Hz


def read_duration(file: Path, raw_rate: int = 0) -> float:
    """Return the length of a file [s]; 0 if the file can't be read.

    Parameters
    ----------
    file : audio file
    raw_rate : sample rate of ``.raw`` files (16 bits, mono) [Hz]
    """
    bytes_per_second = {
        ".g722": _G722_BYTES_PER_SECOND,
        ".gsm": _GSM_BYTES_PER_SECOND,
        ".raw": 2 * raw_rate,
    }.get(file.suffix.lower())
    if bytes_per_second is not None:
        return file.stat().st_size / bytes_per_second if bytes_per_second else 0.0
    try:
        info = soundfile.info(file)
    except soundfile.SoundFileError:
        return 0.0
    return float(info.frames / info.samplerate)


def read_middle(file: Path, seconds: float | None, raw_rate: int = 0) -> tuple[FloatArray, int]:
    """Read the middle of a file, and mix it down to mono.

    Parameters
    ----------
    file : audio file
    seconds : length of the excerpt [s]; None for the whole file
    raw_rate : sample rate of ``.raw`` files [Hz]

    Returns
    -------
    samples : float32 [shape=(n,)]
    sample_rate : sample rate of the file [Hz]

    Raises
    ------
    AudioError
        if the file can't be decoded.
    """
    suffix = file.suffix.lower()
    if suffix == ".g722":
        samples, rate = _decode_g722(file)
        start, count = _middle(len(samples), rate, seconds)
        return samples[start : start + count], rate
    options = {}
    if suffix == ".gsm":
        options = {"subtype": "GSM610", "samplerate": _GSM_RATE}
    elif suffix == ".raw":
        options = {"subtype": "PCM_16", "samplerate": raw_rate, "endian": "LITTLE"}
    if options:
        options |= {"format": "RAW", "channels": 1}
    try:
        with soundfile.SoundFile(file, **options) as sound:
            start, count = _middle(sound.frames, sound.samplerate, seconds)
            if sound.seekable():
                sound.seek(start)
            else:  # libsndfile can't seek in GSM 6.10
                sound.read(start, dtype="float32")
            block: FloatArray = sound.read(count, dtype="float32", always_2d=True)
            return block.mean(axis=1), sound.samplerate
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise AudioError(f"{file} can't be decoded: {error}") from error


def write_flac(path: Path, samples: FloatArray, rate: int) -> None:
    """Write mono samples as 16-bit FLAC, atomically.

    Parameters
    ----------
    path : file to write; its folder is created
    samples : float32 [shape=(n,)], clipped to [-1, 1]
    rate : sample rate [Hz]
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_atomic(path) as file:
        soundfile.write(file, np.clip(samples, -1, 1), rate, format="FLAC", subtype="PCM_16")


def resample(samples: FloatArray, rate: int, target: int) -> FloatArray:
    """Convert samples from one sample rate to another.

    Parameters
    ----------
    samples : float32 [shape=(n,)]
    rate, target : sample rates of ``samples`` and of the result [Hz]
    """
    return np.asarray(soxr.resample(samples, rate, target), np.float32)


def _middle(frames: int, rate: int, seconds: float | None) -> tuple[int, int]:
    """Return the first sample and the number of samples of the middle part."""
    count = frames if seconds is None else min(frames, round(seconds * rate))
    return (frames - count) // 2, count


def _decode_g722(file: Path) -> tuple[FloatArray, int]:
    import av

    try:
        with av.open(str(file), format="g722") as container:
            frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
            rate = int(container.streams.audio[0].rate)
    except (av.FFmpegError, IndexError) as error:
        raise AudioError(f"{file} can't be decoded: {error}") from error
    if not frames:
        raise AudioError(f"{file} can't be decoded: it holds no audio")
    samples = np.concatenate([frame.reshape(-1) for frame in frames])
    return samples.astype(np.float32) / np.float32(2**15), rate
