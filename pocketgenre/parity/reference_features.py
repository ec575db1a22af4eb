"""Compute reference MFCC and log-mel features, in which every step can be varied.

It is slow and simple, in float64. Without a variation, the features equal the library's up to
rounding.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pocketgenre.features.config import FeatureConfig

Table = NDArray[np.float64]

KINDS_WITH_VARIANTS = ("mfcc", "log-mel")
"""Kinds of features that :func:`compute_variant` implements."""


@dataclass(frozen=True)
class FeatureVariant:
    """Choices in the computation of features; the defaults are those of the library.

    Attributes
    ----------
    padding : values added before and after the signal, half a frame each; ``none`` adds nothing
    window : window function of a frame
    spectrum : ``power`` (squared magnitude) or ``magnitude``
    mel : mel scale
    slaney_norm : True if the mel bands have equal areas, False if they have equal heights
    logarithm : ``db`` (10 log10; MFCC only), ``natural`` or ``log10``
    range_of : signal whose peak limits the dynamic range (MFCC only); ``none`` for no limit
    orthonormal : True if the DCT is orthonormal (MFCC only)
    lifter : liftering parameter, 0 for none (MFCC only)
    normalise_level : True if segments are normalised to one level (log-mel only)
    """

    padding: Literal["zeros", "reflect", "edge", "none"] = "zeros"
    window: Literal["periodic", "symmetric", "hamming", "rectangular"] = "periodic"
    spectrum: Literal["power", "magnitude"] = "power"
    mel: Literal["slaney", "htk"] = "slaney"
    slaney_norm: bool = True
    logarithm: Literal["db", "natural", "log10"] = "db"
    range_of: Literal["segment", "song", "none"] = "segment"
    orthonormal: bool = True
    lifter: int = 0
    normalise_level: bool = True


UNCHANGED = FeatureVariant()
_MUSICNN_GAIN = 10_000.0


def compute_variant(
    samples: NDArray[np.floating],
    feature_config: FeatureConfig,
    variant: FeatureVariant = UNCHANGED,
    song_power: float = 0.0,
) -> Table:
    """Compute the MFCC or log-mel features of a segment.

    Parameters
    ----------
    samples : float [shape=(n,)]
    feature_config : parameters of the features
    variant : choices in the computation
    song_power : largest mel power of the whole song, for ``range_of="song"``

    Returns
    -------
    float64 [shape=(frames, coefficients)]
    """
    power = mel_power(samples, feature_config, variant)
    if feature_config.kind == "log-mel":
        level = feature_config.level / max(float(power.mean()), feature_config.amin)
        gain = level if variant.normalise_level else _MUSICNN_GAIN
        logarithm = np.log1p(power * gain)
        return logarithm if variant.logarithm == "natural" else logarithm / np.log(10)
    logarithm = np.log10(np.maximum(power, feature_config.amin))
    song_peak = max(logarithm.max(), np.log10(max(song_power, feature_config.amin)))
    if variant.range_of != "none":
        peak = song_peak if variant.range_of == "song" else logarithm.max()
        logarithm = np.maximum(logarithm, peak - feature_config.top_db / 10)
    factor = {"db": 10.0, "natural": np.log(10), "log10": 1.0}[variant.logarithm]
    cepstrum: Table = (factor * logarithm) @ _dct(feature_config, variant).T
    if variant.lifter:
        orders = np.arange(1, feature_config.n_mfcc + 1)
        cepstrum *= 1 + variant.lifter / 2 * np.sin(np.pi * orders / variant.lifter)
    return cepstrum


def mel_power(
    samples: NDArray[np.floating],
    feature_config: FeatureConfig,
    variant: FeatureVariant = UNCHANGED,
) -> Table:
    """Compute the power (or magnitude) in the mel bands.

    Returns
    -------
    float64 [shape=(frames, n_mels)]
    """
    half = feature_config.n_fft // 2
    signal = np.asarray(samples, np.float64)
    if variant.padding != "none":
        mode = {"zeros": "constant", "reflect": "reflect", "edge": "edge"}[variant.padding]
        signal = np.pad(signal, half, mode=mode)  # type: ignore[call-overload]
    frames = np.lib.stride_tricks.sliding_window_view(signal, feature_config.n_fft)
    frames = frames[:: feature_config.hop_length]
    spectrum = np.abs(np.fft.rfft(frames * _window(feature_config.n_fft, variant), axis=1))
    if variant.spectrum == "power":
        spectrum = spectrum**2
    bands: Table = spectrum @ _filters(feature_config, variant.mel, variant.slaney_norm).T
    return bands


def _window(n: int, variant: FeatureVariant) -> Table:
    length = n - 1 if variant.window == "symmetric" else n
    cosine = np.cos(2 * np.pi * np.arange(n) / length)
    if variant.window == "rectangular":
        return np.ones(n)
    return 0.54 - 0.46 * cosine if variant.window == "hamming" else 0.5 - 0.5 * cosine


@lru_cache(maxsize=8)
def _filters(
    feature_config: FeatureConfig, mel: Literal["slaney", "htk"], slaney_norm: bool
) -> Table:
    nyquist = feature_config.sample_rate / 2
    to_mel, to_hz = (_to_htk, _from_htk) if mel == "htk" else (_to_slaney, _from_slaney)
    edges = to_hz(np.linspace(0, to_mel(np.array(nyquist)), feature_config.n_mels + 2))
    bins = np.linspace(0, nyquist, 1 + feature_config.n_fft // 2)
    slopes = edges[:, np.newaxis] - bins
    widths = np.diff(edges)[:, np.newaxis]
    triangles = np.maximum(0, np.minimum(-slopes[:-2] / widths[:-1], slopes[2:] / widths[1:]))
    if slaney_norm:
        triangles *= 2 / (edges[2:] - edges[:-2])[:, np.newaxis]
    return np.asarray(triangles)


def _to_htk(hz: Table) -> Table:
    return np.asarray(2595 * np.log10(1 + hz / 700))


def _from_htk(mel: Table) -> Table:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))


_STEP = np.log(6.4) / 27  # logarithmic step above 1 kHz, which is mel 15 on Slaney's scale


def _to_slaney(hz: Table) -> Table:
    return np.where(hz < 1000, hz * 3 / 200, 15 + np.log(np.maximum(hz, 1) / 1000) / _STEP)


def _from_slaney(mel: Table) -> Table:
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp(_STEP * (mel - 15)))


def _dct(feature_config: FeatureConfig, variant: FeatureVariant) -> Table:
    n = feature_config.n_mels
    orders = np.arange(feature_config.n_mfcc)[:, np.newaxis]
    matrix: Table = 2 * np.cos(np.pi / n * orders * (np.arange(n) + 0.5))
    if variant.orthonormal:
        matrix *= np.sqrt(1 / (2 * n))
        matrix[0] /= np.sqrt(2)
    return matrix
