"""Power in librosa's mel bands, in NumPy alone: what all kinds of features begin with."""

import threading
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pocketgenre.features.config import MFCC_CONFIG, FeatureConfig

FloatArray = NDArray[np.float32]

# Slaney's Auditory Toolbox (1998): linear below 1 kHz, logarithmic above.
_HZ_PER_MEL = 200.0 / 3
_LOG_START_HZ = 1_000.0
_LOG_START_MEL = _LOG_START_HZ / _HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27.0

_BANDS_PER_PRODUCT = 16

_RFFT_TAKES_OUT = np.lib.NumpyVersion(np.__version__) >= "2.0.0"

# Half of a segment's 130: their spectrum fits the processor's cache, where that of all does not.
_FRAMES_AT_A_TIME = 65


def mel_power(samples: FloatArray, feature_config: FeatureConfig = MFCC_CONFIG) -> FloatArray:
    """``librosa.feature.melspectrogram``.

    Parameters
    ----------
    samples : float32 [shape=(n,)], n >= 1

    Returns
    -------
    float32 [shape=(n_mels, 1 + n // hop_length)]
        overwritten by this thread's next call
    """
    return _this_threads_plan(feature_config, len(samples)).mel_power(samples)


@lru_cache(maxsize=8)
def mel_matrix(feature_config: FeatureConfig = MFCC_CONFIG) -> FloatArray:
    """Slaney-normalised triangular mel filters, as ``librosa.filters.mel``.

    Returns
    -------
    float32 [shape=(n_mels, 1 + n_fft // 2)], read-only
    """
    nyquist = feature_config.sample_rate / 2
    bins_hz = np.linspace(0.0, nyquist, 1 + feature_config.n_fft // 2)
    mels = np.linspace(_hz_to_mel(0.0), _hz_to_mel(nyquist), feature_config.n_mels + 2)
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
    feature_config: FeatureConfig = MFCC_CONFIG,
) -> list[tuple[slice, FloatArray]]:
    """:func:`mel_matrix` cut into groups of bands, each with only the bins that it hears.

    Returns
    -------
    list of (bins, float32 [shape=(bands, bins)]), the lowest bands first
    """
    matrix = mel_matrix(feature_config)
    groups = []
    for start in range(0, len(matrix), _BANDS_PER_PRODUCT):
        bands = matrix[start : start + _BANDS_PER_PRODUCT]
        heard = np.flatnonzero(bands.any(axis=0))
        bins = slice(int(heard[0]), int(heard[-1]) + 1) if len(heard) else slice(0, 1)
        groups.append((bins, np.ascontiguousarray(bands[:, bins])))
    return groups


def hann_window(n_fft: int) -> FloatArray:
    """Periodic Hann window, float32 [shape=(n_fft,)] (a symmetric one is 0.3 off)."""
    phase = 2.0 * np.pi * np.arange(n_fft) / n_fft
    return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)


class _Plan:
    """Constants and work space for segments of one length, for one thread.

    To allocate a few MB anew for each segment would cost more than the arithmetic.
    """

    def __init__(self, feature_config: FeatureConfig, n_samples: int) -> None:
        n_fft, hop = feature_config.n_fft, feature_config.hop_length
        n_frames = 1 + n_samples // hop
        at_a_time = min(_FRAMES_AT_A_TIME, n_frames)
        self._pad = n_fft // 2
        self._padded = np.zeros((n_frames - 1) * hop + n_fft, np.float32)
        frames = sliding_window_view(self._padded, n_fft)[::hop]
        # The last group looks again at some frames of the one before rather than be smaller.
        firsts = [min(i, n_frames - at_a_time) for i in range(0, n_frames, at_a_time)]
        self._mel = np.empty((feature_config.n_mels, n_frames), np.float32)
        groups = [slice(first, first + at_a_time) for first in firsts]
        self._groups = [(frames[group], self._mel[:, group]) for group in groups]
        self._window = hann_window(n_fft).astype(np.float64)
        self._filters = banded_mel_matrix(feature_config)
        # In float64, since NumPy's FFT computes in nothing less.
        self._windowed = np.empty((at_a_time, n_fft), np.float64)
        self._spectrum = np.empty((at_a_time, 1 + n_fft // 2), np.complex128)
        self._parts = np.empty((*self._spectrum.shape, 2), np.float32)
        self._power = np.empty(self._spectrum.shape, np.float32)

    def mel_power(self, samples: FloatArray) -> FloatArray:
        """Mel power, float32 [shape=(n_mels, n_frames)]; overwritten by the next call."""
        # The last frame may end before the last sample; what is beyond it is not looked at.
        room = len(self._padded) - self._pad
        self._padded[self._pad : self._pad + len(samples)] = samples[:room]
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
    if _RFFT_TAKES_OUT:
        np.fft.rfft(frames, out=spectrum)
    else:
        spectrum[:] = np.fft.rfft(frames)


_plans = threading.local()


def _this_threads_plan(feature_config: FeatureConfig, n_samples: int) -> _Plan:
    key = (feature_config, n_samples)
    if getattr(_plans, "key", None) != key:
        _plans.key, _plans.plan = key, _Plan(feature_config, n_samples)
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
