"""Generate edge cases of feature extraction, on which implementations are likely to differ."""

import numpy as np
from numpy.typing import NDArray

from pocketgenre.features.config import MFCC_CONFIG, FeatureConfig

FloatArray = NDArray[np.float32]


def difficult_segments(feature_config: FeatureConfig = MFCC_CONFIG) -> dict[str, FloatArray]:
    """Generate the same named segments every time, float32 [shape=(segment_samples,)] each."""
    size = feature_config.segment_samples
    rng = np.random.default_rng(20_260)
    seconds = np.arange(size) / feature_config.sample_rate
    chord = sum(np.sin(2 * np.pi * f * seconds) / n for n, f in enumerate((220, 277, 330, 1760), 1))
    beat = np.exp(-8 * (seconds % 0.5)) * rng.normal(size=size)
    music = 0.2 * chord * (1 + 0.3 * np.sin(2 * np.pi * 5 * seconds)) + 0.2 * beat
    noise = rng.normal(scale=0.3, size=size)

    half_silent = music.copy()
    half_silent[size // 2 :] = 0.0
    spectrum = np.fft.rfft(noise)
    spectrum[len(spectrum) // 8 :] = 0.0  # exactly zero above 1.4 kHz
    first, last = np.zeros(size), np.zeros(size)
    first[0] = last[-1] = 1.0
    segments = {
        "silence": np.zeros(size),
        "half silence": half_silent,
        "very quiet": music * 1e-5,
        "low-passed": np.fft.irfft(spectrum, size),
        "impulse at the start": first,
        "impulse at the end": last,
        "full-scale square": np.sign(np.sin(2 * np.pi * 441 * seconds)),
        "constant": np.full(size, 0.5),
        "noise": noise,
        "music-like": music,
    }
    return {name: samples.astype(np.float32) for name, samples in segments.items()}
