"""Power in librosa's mel bands, in NumPy alone: what all kinds of features begin with."""

import threading
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mobile_demo.fourier import PowerSpectrum
from mobile_demo.frontend import STANDARD, FrontEnd

FloatArray = NDArray[np.float32]

# Slaney's Auditory Toolbox (1998): linear below 1 kHz, logarithmic above.
_HZ_PER_MEL = 200.0 / 3
_LOG_START_HZ = 1_000.0
_LOG_START_MEL = _LOG_START_HZ / _HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27.0

_BANDS_PER_PRODUCT = 16


def mel_power(samples: FloatArray, front_end: FrontEnd = STANDARD) -> FloatArray:
    """``librosa.feature.melspectrogram``.

    Parameters
    ----------
    samples : float32 [shape=(n,)], n >= 1

    Returns
    -------
    float32 [shape=(n_mels, 1 + n // hop_length)]
        overwritten by this thread's next call
    """
    return _this_threads_plan(front_end, len(samples)).mel_power(samples)


@lru_cache(maxsize=8)
def mel_matrix(front_end: FrontEnd = STANDARD) -> FloatArray:
    """Slaney-normalised triangular mel filters, as ``librosa.filters.mel``.

    Returns
    -------
    float32 [shape=(n_mels, 1 + n_fft // 2)], read-only
    """
    nyquist = front_end.sample_rate / 2
    bins_hz = np.linspace(0.0, nyquist, 1 + front_end.n_fft // 2)
    mels = np.linspace(_hz_to_mel(0.0), _hz_to_mel(nyquist), front_end.n_mels + 2)
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
def banded_mel_matrix(front_end: FrontEnd = STANDARD) -> list[tuple[slice, FloatArray]]:
    """:func:`mel_matrix` cut into groups of bands, each with only the bins that it hears.

    Returns
    -------
    list of (bins, float32 [shape=(bands, bins)]), the lowest bands first
    """
    matrix = mel_matrix(front_end)
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
    """Constants and work space for segments of one length, for one thread."""

    def __init__(self, front_end: FrontEnd, n_samples: int) -> None:
        hop = front_end.hop_length
        self._pad = front_end.n_fft // 2
        self._hops_per_frame = front_end.n_fft // hop
        n_frames = 1 + n_samples // hop
        self._padded = np.zeros((n_frames - 1 + self._hops_per_frame, hop), np.float32)
        self._hops = np.empty(self._padded.shape[::-1], np.float32)
        self._first = np.empty((hop, n_frames), np.float32)
        self._second = np.empty((hop, n_frames), np.float32)
        self._window = hann_window(front_end.n_fft).reshape(self._hops_per_frame, hop, 1)
        self._power_spectrum = PowerSpectrum(front_end.n_fft, n_frames)
        self._filters = banded_mel_matrix(front_end)
        self._mel = np.empty((front_end.n_mels, n_frames), np.float32)

    def mel_power(self, samples: FloatArray) -> FloatArray:
        """Mel power, float32 [shape=(n_mels, n_frames)]; overwritten by the next call."""
        n_frames = self._mel.shape[1]
        # The last frame may end before the last sample; what is beyond it is not looked at.
        room = self._padded.size - self._pad
        self._padded.ravel()[self._pad : self._pad + len(samples)] = samples[:room]
        self._hops[:] = self._padded.T
        # Hop by hop of a frame's two halves, which fit the cache where whole frames don't.
        half = self._hops_per_frame // 2
        spectrum = self._power_spectrum
        sums = spectrum.sums.reshape(half, -1, n_frames)
        differences = spectrum.differences.reshape(half, -1, n_frames)
        for i in range(half):
            self._weight(i, self._first)
            self._weight(i + half, self._second)
            np.add(self._first, self._second, out=sums[i])
            np.subtract(self._first, self._second, out=differences[i])
        power = spectrum.of_halves()
        first = 0
        for bins, weights in self._filters:
            np.matmul(weights, power[bins], out=self._mel[first : first + len(weights)])
            first += len(weights)
        return self._mel

    def _weight(self, i: int, out: FloatArray) -> None:
        """The i-th hop of all frames, under its part of the window."""
        np.multiply(self._hops[:, i : i + out.shape[1]], self._window[i], out=out)


_plans = threading.local()


def _this_threads_plan(front_end: FrontEnd, n_samples: int) -> _Plan:
    key = (front_end, n_samples)
    if getattr(_plans, "key", None) != key:
        _plans.key, _plans.plan = key, _Plan(front_end, n_samples)
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
