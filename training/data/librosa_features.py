"""Compute the features that networks are trained on, with librosa.

:func:`librosa_mfcc` and :func:`librosa_log_mel` are the references of the built-in feature kinds;
a :class:`~pocketgenre.features.config.FeatureKind` names its reference function.
"""

from pathlib import Path

import librosa
import numpy as np
from numpy.typing import NDArray

from pocketgenre.audio.decoding import DamagedAudioError, open_stream
from pocketgenre.audio.segments import too_short
from pocketgenre.audio.silence import level
from pocketgenre.constants import MIN_SONG_SECONDS, SILENCE_DECIBELS
from pocketgenre.errors import AudioError
from pocketgenre.features.config import (
    LOG_MEL_CONFIG,
    MFCC_CONFIG,
    FeatureConfig,
    feature_kind,
)

FloatArray = NDArray[np.float32]


def librosa_mfcc(samples: FloatArray, feature_config: FeatureConfig = MFCC_CONFIG) -> FloatArray:
    """Compute MFCC with ``librosa.feature.mfcc``.

    Parameters
    ----------
    samples : float32 [shape=(n,)]
    feature_config : feature parameters

    Returns
    -------
    float32 [shape=(1 + n // hop_length, n_mfcc)]
    """
    power = _mel_power(samples, feature_config)
    decibels = librosa.power_to_db(power, amin=feature_config.amin, top_db=feature_config.top_db)
    coefficients: FloatArray = librosa.feature.mfcc(S=decibels, n_mfcc=feature_config.n_mfcc)
    return np.ascontiguousarray(coefficients.T, dtype=np.float32)


def librosa_log_mel(
    samples: FloatArray, feature_config: FeatureConfig = LOG_MEL_CONFIG
) -> FloatArray:
    """Compute the logarithm of mel bands that are scaled to a common level, with librosa.

    Parameters
    ----------
    samples : float32 [shape=(n,)]
    feature_config : feature parameters

    Returns
    -------
    float32 [shape=(1 + n // hop_length, n_mels)]
    """
    power = _mel_power(samples, feature_config)
    gain = feature_config.level / max(float(power.mean()), feature_config.amin)
    return np.ascontiguousarray(np.log10(1 + gain * power.T), dtype=np.float32)


def librosa_features(
    samples: FloatArray, feature_config: FeatureConfig = MFCC_CONFIG
) -> FloatArray:
    """Compute the features of the configured kind with the kind's reference function.

    Parameters
    ----------
    samples : float32 [shape=(n,)]
    feature_config : feature parameters

    Returns
    -------
    float32 [shape=(1 + n // hop_length, coefficients)]
    """
    return feature_kind(feature_config.kind).load_reference()(samples, feature_config)


def song_features(path: Path, feature_config: FeatureConfig = MFCC_CONFIG) -> FloatArray:
    """Decode a song to train on, and compute the features of its segments.

    Returns
    -------
    float32 [shape=(segments, frames, coefficients)]

    Raises
    ------
    AudioError
        if the song cannot be decoded to its end, is shorter than one second, or is silent.
    """
    compute = feature_kind(feature_config.kind).load_reference()
    samples, damage = _decode(path, feature_config)
    if damage is not None:
        raise DamagedAudioError(damage)
    segments = split_into_segments(samples, feature_config)
    if max(map(level, segments)) < SILENCE_DECIBELS:
        raise AudioError("it holds only silence")
    return np.stack([compute(segment, feature_config) for segment in segments])


def song_spectra(path: Path, feature_config: FeatureConfig = MFCC_CONFIG) -> NDArray[np.float16]:
    """Decode a song and compute the mel spectrum of its whole length in decibels.

    The dynamic range is not limited. A song shorter than a segment is repeated to fill it, as in
    :func:`song_segments`.

    Returns
    -------
    float16 [shape=(frames, n_mels)]

    Raises
    ------
    AudioError
        if the song cannot be decoded, or is shorter than one second.
    """
    samples = song_samples(path, feature_config)
    power = _mel_power(
        np.resize(samples, max(len(samples), feature_config.segment_samples)), feature_config
    )
    decibels = librosa.power_to_db(power, amin=feature_config.amin, top_db=None)
    return np.ascontiguousarray(decibels.T, dtype=np.float16)


def song_segments(path: Path, feature_config: FeatureConfig = MFCC_CONFIG) -> FloatArray:
    """Decode a song and split it, as :func:`split_into_segments` does.

    Returns
    -------
    float32 [shape=(segments, segment_samples)]

    Raises
    ------
    AudioError
        if the song cannot be decoded, or is shorter than one second.
    """
    return split_into_segments(song_samples(path, feature_config), feature_config)


def song_samples(path: Path, feature_config: FeatureConfig = MFCC_CONFIG) -> FloatArray:
    """Decode a song, or the part of a damaged file before the damage.

    Returns
    -------
    float32 [shape=(n,)], mono at the configured sample rate

    Raises
    ------
    AudioError
        if the song cannot be decoded, or is shorter than one second.
    """
    return _decode(path, feature_config)[0]


def _decode(path: Path, feature_config: FeatureConfig) -> tuple[FloatArray, str | None]:
    """Return the samples of a song, and the reason why they are not the whole song."""
    blocks: list[FloatArray] = []
    with open_stream(path, feature_config.sample_rate) as song:
        try:
            blocks.extend(song.blocks)
        except DamagedAudioError:
            if not blocks:
                raise
    samples = np.concatenate(blocks) if blocks else np.empty(0, np.float32)
    if len(samples) < MIN_SONG_SECONDS * feature_config.sample_rate:
        raise too_short(len(samples) / feature_config.sample_rate)
    return samples, song.damage


def split_into_segments(
    samples: FloatArray, feature_config: FeatureConfig = MFCC_CONFIG
) -> FloatArray:
    """Split samples into consecutive segments, as on the device.

    A song shorter than a segment is repeated to fill it. It is not padded with silence: GTZAN's
    genres differ in their number of short clips, and a network would learn the silence in place
    of the music.

    Parameters
    ----------
    samples : float32 [shape=(n,)], n >= 1
    feature_config : feature parameters

    Returns
    -------
    float32 [shape=(segments, segment_samples)]
    """
    count = max(1, len(samples) // feature_config.segment_samples)
    return np.resize(samples, (count, feature_config.segment_samples))


def _mel_power(samples: FloatArray, feature_config: FeatureConfig) -> FloatArray:
    power: FloatArray = librosa.feature.melspectrogram(
        y=samples,
        sr=feature_config.sample_rate,
        n_fft=feature_config.n_fft,
        hop_length=feature_config.hop_length,
        n_mels=feature_config.n_mels,
    )
    return power
