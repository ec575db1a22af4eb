"""The features that networks are trained on: librosa's, segment by segment."""

from pathlib import Path

import librosa
import numpy as np
from numpy.typing import NDArray

from pocketgenre.audio.decoding import DamagedAudioError, stream_mono
from pocketgenre.audio.segments import TooShortError
from pocketgenre.constants import MIN_SONG_SECONDS
from pocketgenre.features.config import LOG_MEL_CONFIG, MFCC_CONFIG, FeatureConfig

FloatArray = NDArray[np.float32]


def librosa_mfcc(samples: FloatArray, feature_config: FeatureConfig = MFCC_CONFIG) -> FloatArray:
    """``librosa.feature.mfcc`` with the front end's parameters, (frames, coefficients).

    Parameters
    ----------
    samples : float32 [shape=(n,)]
    feature_config : the parameters

    Returns
    -------
    float32 [shape=(1 + n // hop_length, n_mfcc)]
    """
    power = _librosa_mel(samples, feature_config)
    decibel = librosa.power_to_db(power, amin=feature_config.amin, top_db=feature_config.top_db)
    coefficients: FloatArray = librosa.feature.mfcc(S=decibel, n_mfcc=feature_config.n_mfcc)
    return np.ascontiguousarray(coefficients.T, dtype=np.float32)


def librosa_log_mel(
    samples: FloatArray, feature_config: FeatureConfig = LOG_MEL_CONFIG
) -> FloatArray:
    """Mel bands by librosa, brought to one level, (frames, bands).

    Parameters
    ----------
    samples : float32 [shape=(n,)]
    feature_config : the parameters

    Returns
    -------
    float32 [shape=(1 + n // hop_length, n_mels)]
    """
    power = _librosa_mel(samples, feature_config)
    gain = feature_config.level / max(float(power.mean()), feature_config.amin)
    return np.ascontiguousarray(np.log10(1 + gain * power.T), dtype=np.float32)


def librosa_features(
    samples: FloatArray, feature_config: FeatureConfig = MFCC_CONFIG
) -> FloatArray:
    """The features that the front end names, by librosa, (frames, coefficients)."""
    compute = librosa_mfcc if feature_config.kind == "mfcc" else librosa_log_mel
    return compute(samples, feature_config)


def song_spectra(path: Path, feature_config: FeatureConfig = MFCC_CONFIG) -> NDArray[np.float16]:
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
    samples = song_samples(path, feature_config)
    power = _librosa_mel(
        np.resize(samples, max(len(samples), feature_config.segment_samples)), feature_config
    )
    decibels = librosa.power_to_db(power, amin=feature_config.amin, top_db=None)
    return np.ascontiguousarray(decibels.T, dtype=np.float16)


def song_segments(path: Path, feature_config: FeatureConfig = MFCC_CONFIG) -> FloatArray:
    """A song's consecutive segments for training, as :func:`cut_for_training` cuts them.

    Returns
    -------
    float32 [shape=(segments, segment_samples)]

    Raises
    ------
    AudioError
        as :func:`song_samples`.
    """
    return cut_for_training(song_samples(path, feature_config), feature_config)


def song_samples(path: Path, feature_config: FeatureConfig = MFCC_CONFIG) -> FloatArray:
    """All of a song that can be decoded, float32 [shape=(n,)] at the front end's rate.

    Raises
    ------
    AudioError
        it can't be decoded, or is shorter than one second.
    """
    blocks: list[FloatArray] = []
    try:
        blocks.extend(stream_mono(path, feature_config.sample_rate))
    except DamagedAudioError:
        if not blocks:
            raise
    samples = np.concatenate(blocks) if blocks else np.empty(0, np.float32)
    if len(samples) < MIN_SONG_SECONDS * feature_config.sample_rate:
        raise TooShortError(
            f"too short: {len(samples) / feature_config.sample_rate:.2f} s of audio"
        )
    return samples


def cut_for_training(
    samples: FloatArray, feature_config: FeatureConfig = MFCC_CONFIG
) -> FloatArray:
    """Consecutive segments, float32 [shape=(segments, segment_samples)].

    As the device cuts them: a clip shorter than a segment is repeated to fill it, not padded
    with silence. GTZAN's genres differ in how often such clips occur, and a network would learn
    the silence instead of the music.

    Parameters
    ----------
    samples : float32 [shape=(n,)], n >= 1
    feature_config : the length of a segment
    """
    count = max(1, len(samples) // feature_config.segment_samples)
    return np.resize(samples, (count, feature_config.segment_samples))


def song_features(path: Path, feature_config: FeatureConfig = MFCC_CONFIG) -> FloatArray:
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
        [
            librosa_features(segment, feature_config)
            for segment in song_segments(path, feature_config)
        ]
    )


def _librosa_mel(samples: FloatArray, feature_config: FeatureConfig) -> FloatArray:
    power: FloatArray = librosa.feature.melspectrogram(
        y=samples,
        sr=feature_config.sample_rate,
        n_fft=feature_config.n_fft,
        hop_length=feature_config.hop_length,
        n_mels=feature_config.n_mels,
    )
    return power
