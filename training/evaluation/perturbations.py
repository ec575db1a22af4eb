"""What happens to a song on its way to a phone, each change a function of its samples."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from pocketgenre.audio.decoding import stream_mono

FloatArray = NDArray[np.float32]

MP3_BIT_RATE = 64_000  # bits per second
MP3_RATE = 44_100  # Hz
NARROW_RATE = 16_000  # Hz
GAIN_DB = -20.0
BEGINNING_SECONDS = 10.0


@dataclass(frozen=True)
class Condition:
    """A way in which songs are changed before they are judged.

    Attributes
    ----------
    name : in tables and files
    meaning : what is done
    change : from a song's samples and their rate to the samples judged
    """

    name: str
    meaning: str
    change: Callable[[FloatArray, int], FloatArray]


def as_it_is(samples: FloatArray, rate: int) -> FloatArray:  # noqa: ARG001
    """The song itself."""
    return samples


def through_mp3(samples: FloatArray, rate: int) -> FloatArray:
    """Encode as a mono MP3 of 64 kbit/s at 44.1 kHz, as songs mostly are, and decode it."""
    return _mp3(soxr.resample(samples, rate, MP3_RATE, quality="HQ"), MP3_RATE, rate)


def through_low_rate_mp3(samples: FloatArray, rate: int) -> FloatArray:
    """The same at the rate that the samples have, of whose band LAME drops the top."""
    return _mp3(samples, rate, rate)


def _mp3(samples: FloatArray, rate: int, decoded_rate: int) -> FloatArray:
    """Encode by LAME at a constant bit rate, and decode as the scanner does.

    Nothing is done about what the encoder adds at the start or the end beyond what the decoder
    knows from the file's header.
    """
    import av  # slow to import

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "song.mp3"
        with av.open(str(path), "w", format="mp3") as container:
            stream = container.add_stream("libmp3lame", rate=rate, layout="mono")
            stream.bit_rate = MP3_BIT_RATE
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(samples[np.newaxis]), format="fltp", layout="mono"
            )
            frame.sample_rate = rate
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return np.concatenate(list(stream_mono(path, decoded_rate)))


def band_limited(samples: FloatArray, rate: int) -> FloatArray:
    """Keep what a file of 16 kHz can hold, frequencies below 8 kHz, at the same rate and length.

    A song at 16 kHz or less stays as it is.
    """
    if rate <= NARROW_RATE:
        return samples
    narrow = soxr.resample(samples, rate, NARROW_RATE, quality="HQ")
    wide: FloatArray = soxr.resample(narrow, NARROW_RATE, rate, quality="HQ")
    # Twice rounded, the length may be off by a sample.
    return np.pad(wide, (0, max(0, len(samples) - len(wide))))[: len(samples)]


def quieter(samples: FloatArray, rate: int) -> FloatArray:  # noqa: ARG001
    """Turn down by 20 dB."""
    return samples * np.float32(10 ** (GAIN_DB / 20))


def beginning(samples: FloatArray, rate: int) -> FloatArray:
    """The first 10 s of the audio that is there; a shorter song is all of it."""
    return samples[: round(BEGINNING_SECONDS * rate)]


_KBIT = MP3_BIT_RATE // 1000

CONDITIONS = (
    Condition("as it is", "the audio of the data set", as_it_is),
    Condition("MP3", f"mono MP3, {_KBIT} kbit/s at {MP3_RATE / 1000:g} kHz", through_mp3),
    Condition(
        "low-rate MP3",
        f"mono MP3, {_KBIT} kbit/s at the front end's sample rate",
        through_low_rate_mp3,
    ),
    Condition("narrow", f"resampled to {NARROW_RATE // 1000} kHz and back", band_limited),
    Condition("quiet", f"turned down by {-GAIN_DB:g} dB", quieter),
    Condition("beginning", f"the first {BEGINNING_SECONDS:g} s of the song alone", beginning),
)
"""The song as it is first; the others are compared with it."""
