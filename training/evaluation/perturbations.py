"""Perturb a song's audio as it may be on a phone: compressed, band-limited, quiet or short."""

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
class Perturbation:
    """A change of the audio before prediction.

    Attributes
    ----------
    name : name in tables and files
    description : short description of the change
    apply : function of a song's samples and their sample rate that returns the changed samples
    """

    name: str
    description: str
    apply: Callable[[FloatArray, int], FloatArray]


def unchanged(samples: FloatArray, rate: int) -> FloatArray:  # noqa: ARG001
    """Return the samples unchanged."""
    return samples


def mp3(samples: FloatArray, rate: int) -> FloatArray:
    """Encode as a mono MP3 with 64 kbit/s at 44.1 kHz, the usual rate, and decode it."""
    return _encode_and_decode(
        soxr.resample(samples, rate, MP3_RATE, quality="HQ"), MP3_RATE, decoded_rate=rate
    )


def low_rate_mp3(samples: FloatArray, rate: int) -> FloatArray:
    """Encode as a mono MP3 at the given sample rate, where LAME cuts the top of the band."""
    return _encode_and_decode(samples, rate, decoded_rate=rate)


def _encode_and_decode(samples: FloatArray, rate: int, decoded_rate: int) -> FloatArray:
    """Encode by LAME at a constant bit rate, and decode as the scanner does.

    The encoder's delay and padding are removed only if the decoder reads them from the file's
    header.
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


def band_limit(samples: FloatArray, rate: int) -> FloatArray:
    """Remove frequencies above 8 kHz by resampling to 16 kHz and back; keep the length.

    Samples at 16 kHz or less are returned unchanged.
    """
    if rate <= NARROW_RATE:
        return samples
    narrow = soxr.resample(samples, rate, NARROW_RATE, quality="HQ")
    wide: FloatArray = soxr.resample(narrow, NARROW_RATE, rate, quality="HQ")
    # Resampling twice may change the length by one sample.
    return np.pad(wide, (0, max(0, len(samples) - len(wide))))[: len(samples)]


def attenuate(samples: FloatArray, rate: int) -> FloatArray:  # noqa: ARG001
    """Lower the level by 20 dB."""
    return samples * np.float32(10 ** (GAIN_DB / 20))


def beginning(samples: FloatArray, rate: int) -> FloatArray:
    """Return the first 10 s, or all of a shorter song."""
    return samples[: round(BEGINNING_SECONDS * rate)]


_KBIT = MP3_BIT_RATE // 1000

PERTURBATIONS = (
    Perturbation("as it is", "none", unchanged),
    Perturbation("MP3", f"mono MP3, {_KBIT} kbit/s at {MP3_RATE / 1000:g} kHz", mp3),
    Perturbation(
        "low-rate MP3", f"mono MP3, {_KBIT} kbit/s at the features' sample rate", low_rate_mp3
    ),
    Perturbation("narrow", f"resampled to {NARROW_RATE // 1000} kHz and back", band_limit),
    Perturbation("quiet", f"attenuated by {-GAIN_DB:g} dB", attenuate),
    Perturbation("beginning", f"first {BEGINNING_SECONDS:g} s only", beginning),
)
"""The unchanged song comes first; the others are compared with it."""
