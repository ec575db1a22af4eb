"""librosa's MFCC in NumPy alone.

Conventions: samples are mono float32 in [-1, 1]; features are (frames,
coefficients), the transpose of librosa's. The result equals
``librosa.feature.mfcc(y=samples, sr=22050, n_mfcc=13, n_fft=2048, hop_length=512).T``
of librosa 0.11 within 1e-3.

The dynamic range (``top_db``) is relative to the loudest band of what is passed
in: features of a segment are computed from that segment alone. A slice of a whole
song's MFCC is something else.
"""

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


def mfcc(samples: FloatArray, front_end: FrontEnd = STANDARD) -> FloatArray:
    """Mel-frequency cepstral coefficients of one segment.

    Parameters
    ----------
    samples : float32 [shape=(n,)], n >= 1
        mono audio at ``front_end.sample_rate``; usually one segment.

    Returns
    -------
    float32 [shape=(1 + n // hop_length, n_mfcc)]
        DCT-II (orthonormal) over the mel bands in dB; (130, 13) for a 3 s segment.
    """
    log_mel = power_to_db(_this_threads_plan(front_end, len(samples)).mel_power(samples), front_end)
    # In float64: the bands of a silent frame are all -100 dB, and their float32
    # sums would leave rounding errors where librosa has zeros.
    cepstrum: NDArray[np.float64] = dct_matrix(front_end) @ log_mel.astype(np.float64)
    return cepstrum.T.astype(np.float32)


def power_to_db(power: FloatArray, front_end: FrontEnd = STANDARD) -> FloatArray:
    """Power in dB (re 1.0), clamped to ``top_db`` below the largest value given.

    Parameters
    ----------
    power : float32 [shape=(...)], >= 0

    Returns
    -------
    float32 [shape=(...)]
    """
    decibel: FloatArray = np.log10(np.maximum(power, np.float32(front_end.amin)))
    decibel *= np.float32(10.0)
    np.maximum(decibel, decibel.max() - np.float32(front_end.top_db), out=decibel)
    return decibel


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


@lru_cache(maxsize=8)
def dct_matrix(front_end: FrontEnd = STANDARD) -> NDArray[np.float64]:
    """Orthonormal DCT-II from mel bands to coefficients.

    Returns
    -------
    float64 [shape=(n_mfcc, n_mels)], read-only
    """
    n = front_end.n_mels
    bands = np.arange(n) + 0.5
    coefficients = np.arange(front_end.n_mfcc)[:, np.newaxis]
    matrix: NDArray[np.float64] = np.sqrt(2.0 / n) * np.cos(np.pi / n * coefficients * bands)
    matrix[0] /= np.sqrt(2.0)
    matrix.flags.writeable = False
    return matrix


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
        self._frames = np.empty((self._hops_per_frame, hop, n_frames), np.float32)
        self._window = hann_window(front_end.n_fft).reshape(self._hops_per_frame, hop, 1)
        self._power_spectrum = PowerSpectrum(front_end.n_fft, n_frames)
        self._filters = banded_mel_matrix(front_end)
        self._mel = np.empty((front_end.n_mels, n_frames), np.float32)

    def mel_power(self, samples: FloatArray) -> FloatArray:
        """Mel power, float32 [shape=(n_mels, n_frames)]; overwritten by the next call."""
        n_frames = self._frames.shape[2]
        # The last frame may end before the last sample; what is beyond it is not looked at.
        room = self._padded.size - self._pad
        self._padded.ravel()[self._pad : self._pad + len(samples)] = samples[:room]
        self._hops[:] = self._padded.T
        for i in range(self._hops_per_frame):
            hops = self._hops[:, i : i + n_frames]
            np.multiply(hops, self._window[i], out=self._frames[i])
        power = self._power_spectrum(self._frames.reshape(-1, n_frames))
        first = 0
        for bins, weights in self._filters:
            np.matmul(weights, power[bins], out=self._mel[first : first + len(weights)])
            first += len(weights)
        return self._mel


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
