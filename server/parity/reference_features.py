"""Features as other programs compute them: the front end with every step to choose.

Slow and plain, in float64. The default recipe is ours, to a rounding error.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pocketgenre.features.config import FeatureConfig

Table = NDArray[np.float64]


@dataclass(frozen=True)
class Recipe:
    """How features are computed.

    Attributes
    ----------
    padding : of the signal by half a frame at both ends; ``none``: frames begin at its start
    window : of a frame
    spectrum : ``power`` (squared magnitude) or ``magnitude``
    mel : scale that the bands are equally wide on
    area : whether the bands have equal areas (Slaney's norm) or equal heights
    logarithm : of MFCC ``db`` (10 log10), ``natural`` or ``log10``; of log-mel the last two
    range_of : of MFCC: what the dynamic range is relative to; ``none``: there is no such limit
    orthonormal : of MFCC: whether the DCT is
    lifter : of MFCC: the liftering that is applied, 0 for none
    levelled : of log-mel: whether the segment is brought to one level
    """

    padding: Literal["zeros", "reflect", "edge", "none"] = "zeros"
    window: Literal["periodic", "symmetric", "hamming", "rectangular"] = "periodic"
    spectrum: Literal["power", "magnitude"] = "power"
    mel: Literal["slaney", "htk"] = "slaney"
    area: bool = True
    logarithm: Literal["db", "natural", "log10"] = "db"
    range_of: Literal["segment", "song", "none"] = "segment"
    orthonormal: bool = True
    lifter: int = 0
    levelled: bool = True


OURS = Recipe()
_MUSICNN_GAIN = 10_000.0


def compute(
    samples: NDArray[np.floating],
    feature_config: FeatureConfig,
    recipe: Recipe = OURS,
    song_power: float = 0.0,
) -> Table:
    """A segment's features by a recipe.

    Parameters
    ----------
    samples : float [shape=(n,)]
    song_power : largest mel power of the whole song, for ``range_of="song"``

    Returns
    -------
    float64 [shape=(frames, coefficients)]
    """
    power = mel_power(samples, feature_config, recipe)
    if feature_config.kind == "log-mel":
        level = feature_config.level / max(float(power.mean()), feature_config.amin)
        scaled = np.log1p(power * (level if recipe.levelled else _MUSICNN_GAIN))
        return scaled if recipe.logarithm == "natural" else scaled / np.log(10)
    loudness = np.log10(np.maximum(power, feature_config.amin))
    loudest = max(loudness.max(), np.log10(max(song_power, feature_config.amin)))
    if recipe.range_of != "none":
        reference = loudest if recipe.range_of == "song" else loudness.max()
        loudness = np.maximum(loudness, reference - feature_config.top_db / 10)
    factor = {"db": 10.0, "natural": np.log(10), "log10": 1.0}[recipe.logarithm]
    cepstrum: Table = (factor * loudness) @ _dct(feature_config, recipe).T
    if recipe.lifter:
        orders = np.arange(1, feature_config.n_mfcc + 1)
        cepstrum *= 1 + recipe.lifter / 2 * np.sin(np.pi * orders / recipe.lifter)
    return cepstrum


def mel_power(
    samples: NDArray[np.floating], feature_config: FeatureConfig, recipe: Recipe = OURS
) -> Table:
    """Power (or magnitude) in the mel bands: float64 [shape=(frames, n_mels)]."""
    half = feature_config.n_fft // 2
    signal = np.asarray(samples, np.float64)
    if recipe.padding != "none":
        mode = {"zeros": "constant", "reflect": "reflect", "edge": "edge"}[recipe.padding]
        signal = np.pad(signal, half, mode=mode)  # type: ignore[call-overload]
    frames = np.lib.stride_tricks.sliding_window_view(signal, feature_config.n_fft)
    frames = frames[:: feature_config.hop_length]
    spectrum = np.abs(np.fft.rfft(frames * _window(feature_config.n_fft, recipe), axis=1))
    if recipe.spectrum == "power":
        spectrum = spectrum**2
    bands: Table = spectrum @ _filters(feature_config, recipe).T
    return bands


def _window(n: int, recipe: Recipe) -> Table:
    length = n - 1 if recipe.window == "symmetric" else n
    cosine = np.cos(2 * np.pi * np.arange(n) / length)
    if recipe.window == "rectangular":
        return np.ones(n)
    return 0.54 - 0.46 * cosine if recipe.window == "hamming" else 0.5 - 0.5 * cosine


def _filters(feature_config: FeatureConfig, recipe: Recipe) -> Table:
    nyquist = feature_config.sample_rate / 2
    to_mel, to_hz = (_to_htk, _from_htk) if recipe.mel == "htk" else (_to_slaney, _from_slaney)
    edges = to_hz(np.linspace(0, to_mel(np.array(nyquist)), feature_config.n_mels + 2))
    bins = np.linspace(0, nyquist, 1 + feature_config.n_fft // 2)
    slopes = edges[:, np.newaxis] - bins
    widths = np.diff(edges)[:, np.newaxis]
    triangles = np.maximum(0, np.minimum(-slopes[:-2] / widths[:-1], slopes[2:] / widths[1:]))
    if recipe.area:
        triangles *= 2 / (edges[2:] - edges[:-2])[:, np.newaxis]
    return np.asarray(triangles)


def _to_htk(hz: Table) -> Table:
    return np.asarray(2595 * np.log10(1 + hz / 700))


def _from_htk(mel: Table) -> Table:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))


_STEP = np.log(6.4) / 27  # above 1 kHz, which is mel 15 of Slaney's scale


def _to_slaney(hz: Table) -> Table:
    return np.where(hz < 1000, hz * 3 / 200, 15 + np.log(np.maximum(hz, 1) / 1000) / _STEP)


def _from_slaney(mel: Table) -> Table:
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp(_STEP * (mel - 15)))


def _dct(feature_config: FeatureConfig, recipe: Recipe) -> Table:
    n = feature_config.n_mels
    orders = np.arange(feature_config.n_mfcc)[:, np.newaxis]
    matrix: Table = 2 * np.cos(np.pi / n * orders * (np.arange(n) + 0.5))
    if recipe.orthonormal:
        matrix *= np.sqrt(1 / (2 * n))
        matrix[0] /= np.sqrt(2)
    return matrix
