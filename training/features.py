"""The features that networks are trained on: librosa's, segment by segment."""

from pathlib import Path

import librosa
import numpy as np
from numpy.typing import NDArray

from mobile_demo.decoding import DamagedAudioError, stream_mono
from mobile_demo.frontend import LOG_MEL, STANDARD, FrontEnd
from mobile_demo.segments import SHORTEST_SECONDS, TooShortError

FloatArray = NDArray[np.float32]


def librosa_mfcc(samples: FloatArray, front_end: FrontEnd = STANDARD) -> FloatArray:
    """``librosa.feature.mfcc`` with the front end's parameters, (frames, coefficients).

    Parameters
    ----------
    samples : float32 [shape=(n,)]
    front_end : the parameters

    Returns
    -------
    float32 [shape=(1 + n // hop_length, n_mfcc)]
    """
    power = _librosa_mel(samples, front_end)
    decibel = librosa.power_to_db(power, amin=front_end.amin, top_db=front_end.top_db)
    coefficients: FloatArray = librosa.feature.mfcc(S=decibel, n_mfcc=front_end.n_mfcc)
    return np.ascontiguousarray(coefficients.T, dtype=np.float32)


def librosa_log_mel(samples: FloatArray, front_end: FrontEnd = LOG_MEL) -> FloatArray:
    """Mel bands by librosa, brought to one level, (frames, bands).

    Parameters
    ----------
    samples : float32 [shape=(n,)]
    front_end : the parameters

    Returns
    -------
    float32 [shape=(1 + n // hop_length, n_mels)]
    """
    power = _librosa_mel(samples, front_end)
    gain = front_end.level / max(float(power.mean()), front_end.amin)
    return np.ascontiguousarray(np.log10(1 + gain * power.T), dtype=np.float32)


def librosa_features(samples: FloatArray, front_end: FrontEnd = STANDARD) -> FloatArray:
    """The features that the front end names, by librosa, (frames, coefficients)."""
    compute = librosa_mfcc if front_end.features == "mfcc" else librosa_log_mel
    return compute(samples, front_end)


def song_spectra(path: Path, front_end: FrontEnd = STANDARD) -> NDArray[np.float16]:
    """Mel power of a whole song in decibels, nothing cut off below.

    A clip shorter than a segment is repeated, as in :func:`song_segments`.

    Returns
    -------
    float16 [shape=(frames, n_mels)]

    Raises
    ------
    AudioError
        as :func:`song_segments`.
    """
    samples = song_samples(path, front_end)
    power = _librosa_mel(
        np.resize(samples, max(len(samples), front_end.segment_samples)), front_end
    )
    decibels = librosa.power_to_db(power, amin=front_end.amin, top_db=None)
    return np.ascontiguousarray(decibels.T, dtype=np.float16)


def song_segments(path: Path, front_end: FrontEnd = STANDARD) -> FloatArray:
    """A song's consecutive segments for training, as :func:`cut_for_training` cuts them.

    Returns
    -------
    float32 [shape=(segments, segment_samples)]

    Raises
    ------
    AudioError
        as :func:`song_samples`.
    """
    return cut_for_training(song_samples(path, front_end), front_end)


def song_samples(path: Path, front_end: FrontEnd = STANDARD) -> FloatArray:
    """All of a song that can be decoded, float32 [shape=(n,)] at the front end's rate.

    Raises
    ------
    AudioError
        it can't be decoded, or is shorter than one second.
    """
    blocks: list[FloatArray] = []
    try:
        blocks.extend(stream_mono(path, front_end.sample_rate))
    except DamagedAudioError:
        if not blocks:
            raise
    samples = np.concatenate(blocks) if blocks else np.empty(0, np.float32)
    if len(samples) < SHORTEST_SECONDS * front_end.sample_rate:
        raise TooShortError(f"too short: {len(samples) / front_end.sample_rate:.2f} s of audio")
    return samples


def cut_for_training(samples: FloatArray, front_end: FrontEnd = STANDARD) -> FloatArray:
    """Consecutive segments, float32 [shape=(segments, segment_samples)].

    As the device cuts them: a clip shorter than a segment is repeated to fill it, not padded
    with silence. GTZAN's genres differ in how often such clips occur, and a network would learn
    the silence instead of the music.

    Parameters
    ----------
    samples : float32 [shape=(n,)], n >= 1
    front_end : the length of a segment
    """
    count = max(1, len(samples) // front_end.segment_samples)
    return np.resize(samples, (count, front_end.segment_samples))


def song_features(path: Path, front_end: FrontEnd = STANDARD) -> FloatArray:
    """Segments of a song as librosa's features.

    Returns
    -------
    float32 [shape=(segments, frames, coefficients)]

    Raises
    ------
    AudioError
        as :func:`song_segments`.
    """
    return np.stack(
        [librosa_features(segment, front_end) for segment in song_segments(path, front_end)]
    )


def _librosa_mel(samples: FloatArray, front_end: FrontEnd) -> FloatArray:
    power: FloatArray = librosa.feature.melspectrogram(
        y=samples,
        sr=front_end.sample_rate,
        n_fft=front_end.n_fft,
        hop_length=front_end.hop_length,
        n_mels=front_end.n_mels,
    )
    return power
