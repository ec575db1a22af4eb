"""Compute the mel power spectrum in NumPy, equal to librosa's."""

import threading
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pocketgenre.features.config import MFCC_CONFIG, FeatureConfig

FloatArray = NDArray[np.float32]

# Mel scale of Slaney's Auditory Toolbox (1998): linear below 1 kHz, logarithmic above.
_HZ_PER_MEL = 200.0 / 3
_LOG_START_HZ = 1_000.0
_LOG_START_MEL = _LOG_START_HZ / _HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27.0

_BANDS_PER_PRODUCT = 16

_RFFT_HAS_OUT = np.lib.NumpyVersion(np.__version__) >= "2.0.0"

# Half of the 130 frames of a segment: their spectrum fits the processor's cache.
_FRAMES_PER_GROUP = 65


def mel_power(samples: FloatArray, config: FeatureConfig = MFCC_CONFIG) -> FloatArray:
    """Compute the mel power spectrum, equal to ``librosa.feature.melspectrogram``.

    Parameters
    ----------
    samples : float32 [shape=(n,)], n >= 1
        mono audio at the sample rate of the configuration

    Returns
    -------
    float32 [shape=(n_mels, 1 + n // hop_length)]
        a buffer that the next call in this thread overwrites
    """
    return _thread_plan(config, len(samples)).mel_power(samples)


@lru_cache(maxsize=8)
def mel_matrix(config: FeatureConfig = MFCC_CONFIG) -> FloatArray:
    """Return the triangular mel filters with Slaney normalisation, as ``librosa.filters.mel``.

    Returns
    -------
    float32 [shape=(n_mels, 1 + n_fft // 2)], read-only
    """
    nyquist = config.sample_rate / 2
    bins_hz = np.linspace(0.0, nyquist, 1 + config.n_fft // 2)
    mels = np.linspace(_hz_to_mel(0.0), _hz_to_mel(nyquist), config.n_mels + 2)
    edges = np.array([_mel_to_hz(mel) for mel in mels])
    widths = np.diff(edges)
    slopes = edges[:, np.newaxis] - bins_hz
    rising = -slopes[:-2] / widths[:-1, np.newaxis]
    falling = slopes[2:] / widths[1:, np.newaxis]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    triangles *= (2.0 / (edges[2:] - edges[:-2]))[:, np.newaxis]
    matrix = triangles.astype(np.float32)
    matrix.flags.writeable = False
    return matrix


@lru_cache(maxsize=8)
def banded_mel_matrix(
    config: FeatureConfig = MFCC_CONFIG,
) -> list[tuple[slice, FloatArray]]:
    """Split :func:`mel_matrix` into groups of bands, keeping only each group's non-zero FFT bins.

    Returns
    -------
    list of (bins, float32 [shape=(bands, bins)]), the lowest bands first
    """
    matrix = mel_matrix(config)
    groups = []
    for start in range(0, len(matrix), _BANDS_PER_PRODUCT):
        bands = matrix[start : start + _BANDS_PER_PRODUCT]
        nonzero = np.flatnonzero(bands.any(axis=0))
        bins = slice(int(nonzero[0]), int(nonzero[-1]) + 1) if len(nonzero) else slice(0, 1)
        groups.append((bins, np.ascontiguousarray(bands[:, bins])))
    return groups


def hann_window(n_fft: int) -> FloatArray:
    """Return the periodic Hann window, float32 [shape=(n_fft,)]."""
    phase = 2.0 * np.pi * np.arange(n_fft) / n_fft
    return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)


class _Plan:
    """Hold constants and buffers for signals of one length, used by one thread.

    Allocating a few MB for each segment would take longer than the arithmetic.
    """

    def __init__(self, config: FeatureConfig, n_samples: int) -> None:
        n_fft, hop = config.n_fft, config.hop_length
        n_frames = 1 + n_samples // hop
        group_size = min(_FRAMES_PER_GROUP, n_frames)
        self._pad = n_fft // 2
        self._padded = np.zeros((n_frames - 1) * hop + n_fft, np.float32)
        frames = sliding_window_view(self._padded, n_fft)[::hop]
        # The last group overlaps the one before it, so that all groups have the same size.
        firsts = [min(i, n_frames - group_size) for i in range(0, n_frames, group_size)]
        self._mel = np.empty((config.n_mels, n_frames), np.float32)
        groups = [slice(first, first + group_size) for first in firsts]
        self._groups = [(frames[group], self._mel[:, group]) for group in groups]
        self._window = hann_window(n_fft).astype(np.float64)
        self._filters = banded_mel_matrix(config)
        # In float64: NumPy's FFT of float32 frames is four times as slow.
        self._windowed = np.empty((group_size, n_fft), np.float64)
        self._spectrum = np.empty((group_size, 1 + n_fft // 2), np.complex128)
        self._parts = np.empty((*self._spectrum.shape, 2), np.float32)
        self._power = np.empty(self._spectrum.shape, np.float32)

    def mel_power(self, samples: FloatArray) -> FloatArray:
        """Compute the mel power, float32 [shape=(n_mels, n_frames)]."""
        # Samples after the end of the last frame are ignored.
        capacity = len(self._padded) - self._pad
        self._padded[self._pad : self._pad + len(samples)] = samples[:capacity]
        for frames, mel in self._groups:
            np.multiply(frames, self._window, out=self._windowed)
            _rfft(self._windowed, self._spectrum)
            self._parts[:] = self._spectrum.view(np.float64).reshape(self._parts.shape)
            np.square(self._parts, out=self._parts)
            np.add(self._parts[..., 0], self._parts[..., 1], out=self._power)
            first = 0
            for bins, weights in self._filters:
                bands = mel[first : first + len(weights)]
                np.matmul(weights, self._power[:, bins].T, out=bands)
                first += len(weights)
        return self._mel


def _rfft(frames: NDArray[np.float64], spectrum: NDArray[np.complex128]) -> None:
    if _RFFT_HAS_OUT:
        np.fft.rfft(frames, out=spectrum)
    else:
        spectrum[:] = np.fft.rfft(frames)


_plans = threading.local()


def _thread_plan(config: FeatureConfig, n_samples: int) -> _Plan:
    key = (config, n_samples)
    if getattr(_plans, "key", None) != key:
        _plans.key, _plans.plan = key, _Plan(config, n_samples)
    plan: _Plan = _plans.plan
    return plan


def _hz_to_mel(hz: float) -> float:
    if hz < _LOG_START_HZ:
        return hz / _HZ_PER_MEL
    return float(_LOG_START_MEL + np.log(hz / _LOG_START_HZ) / _LOG_STEP)


def _mel_to_hz(mel: float) -> float:
    if mel < _LOG_START_MEL:
        return mel * _HZ_PER_MEL
    return float(_LOG_START_HZ * np.exp(_LOG_STEP * (mel - _LOG_START_MEL)))
