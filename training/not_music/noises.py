"""Generate noises, tones and other signals that are not music.

Each function takes a random generator, a number of samples and the sample rate [Hz], and returns
float64 [shape=(n,)] in [-1, 1].
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pocketgenre.training.not_music.audio_files import write_flac

Signal = NDArray[np.float64]
Generator = Callable[[np.random.Generator, int, int], Signal]

QUIET = frozenset({"dc-offset", "dither", "silence-with-click"})
"""Signals whose level is kept, since they are quiet by definition."""

_STEP = 1 / 32768  # of 16-bit samples
_SAMPLE_RATES = (8000, 16_000, 22_050, 44_100)  # Hz
_SEEDS = {"noise-train": 1000, "noise-test": 9000}  # of the first file
_COPIES = {"noise-train": 4, "noise-test": 2}


def coloured(rng: np.random.Generator, n: int, sample_rate: int, slope: float) -> Signal:
    """Return noise whose power is proportional to frequency to the power ``slope``."""
    frequencies = np.maximum(np.fft.rfftfreq(n, 1 / sample_rate), 20.0)
    spectrum = np.fft.rfft(rng.standard_normal(n)) * frequencies ** (slope / 2)
    return _normalized(np.fft.irfft(spectrum, n))


def band(
    rng: np.random.Generator, n: int, sample_rate: int, low: float = 0.0, high: float = 0.0
) -> Signal:
    """Return noise between two frequencies [Hz], which are random by default."""
    if not high:
        low, high = np.sort(rng.uniform(60, sample_rate / 2.5, 2))
    frequencies = np.maximum(np.fft.rfftfreq(n, 1 / sample_rate), 1.0)
    gain = 1 / (1 + (low / frequencies) ** 4) / (1 + (frequencies / high) ** 4)
    return _normalized(np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * gain, n))


def sine(rng: np.random.Generator, n: int, sample_rate: int) -> Signal:
    """Return a sine tone."""
    return _oscillation(rng.choice([100, 440, 1000, rng.uniform(60, 3500)]), n, sample_rate)


def square(rng: np.random.Generator, n: int, sample_rate: int) -> Signal:
    """Return a square wave."""
    signal: Signal = np.sign(_oscillation(rng.uniform(60, 2000), n, sample_rate))
    return signal


def sweep(rng: np.random.Generator, n: int, sample_rate: int) -> Signal:
    """Return a sine tone whose frequency rises or falls."""
    first, last = rng.uniform(20, sample_rate / 2.2, 2)
    return _oscillation(np.geomspace(first, last, n), n, sample_rate)


def siren(rng: np.random.Generator, n: int, sample_rate: int) -> Signal:
    """Return a sine tone whose frequency rises and falls periodically."""
    swing = rng.uniform(100, 400) * _oscillation(rng.uniform(0.1, 4), n, sample_rate)
    return _oscillation(rng.uniform(500, 900) + swing, n, sample_rate)


def beeps(rng: np.random.Generator, n: int, sample_rate: int) -> Signal:
    """Return a tone that is switched on and off, similar to telephone signals."""
    position = np.arange(n) / sample_rate % rng.choice([1.0, 2.0, 4.0])
    tone = _oscillation(rng.choice([425, 950, 1000, 2000]), n, sample_rate)
    return np.where(position < rng.uniform(0.1, 0.6), tone, 0.0)


def dtmf(rng: np.random.Generator, n: int, sample_rate: int) -> Signal:
    """Return dual-tone multi-frequency signalling."""
    signal = np.zeros(n)
    start = int(rng.uniform(0.1, 0.5) * sample_rate)
    while start < n:
        length = min(int(rng.uniform(0.06, 0.3) * sample_rate), n - start)
        tones = (rng.choice([697, 770, 852, 941]), rng.choice([1209, 1336, 1477, 1633]))
        key = sum(_oscillation(tone, length, sample_rate) for tone in tones) / 2
        signal[start : start + length] = key
        start += length + int(rng.choice([0.05, 0.1, 0.5, 1.5]) * sample_rate)
    return signal


def clicks(rng: np.random.Generator, n: int, sample_rate: int) -> Signal:
    """Return clicks, regular or at random times."""
    impulses = np.zeros(n)
    if rng.random() < 0.5:
        impulses[:: int(sample_rate * rng.uniform(0.02, 1.0))] = 1
    else:
        count = 1 + int(n / sample_rate * rng.uniform(1, 60))
        impulses[rng.integers(0, n, count)] = rng.choice([-1, 1])
    decay = np.exp(-np.arange(sample_rate // 100) / (sample_rate * rng.uniform(0.0003, 0.003)))
    return _normalized(np.convolve(impulses, decay)[:n])


def crackle(rng: np.random.Generator, n: int, sample_rate: int) -> Signal:
    """Return clicks of changing level over pink noise, similar to a vinyl record."""
    loud = clicks(rng, n, sample_rate) * _envelope(rng, n, sample_rate, 3)
    return _normalized(loud + 0.03 * coloured(rng, n, sample_rate, -1))


def hum(rng: np.random.Generator, n: int, sample_rate: int) -> Signal:
    """Return the hum of mains electricity with its harmonics, over pink noise."""
    mains = rng.choice([50.0, 60.0])
    partials = [
        rng.uniform(0.1, 1) / k * _oscillation(mains * k, n, sample_rate) for k in range(1, 12)
    ]
    noise = rng.uniform(0, 0.1) * coloured(rng, n, sample_rate, -1)
    return _normalized(_normalized(np.sum(partials, axis=0)) + noise)


def modem(rng: np.random.Generator, n: int, sample_rate: int) -> Signal:
    """Return frequency-shift keying of random bits, similar to a modem."""
    baud = int(rng.choice([300, 1200]))
    pair = np.array(((1270, 1070), (2225, 2025), (1300, 2100))[rng.integers(3)])
    bits = rng.integers(0, 2, n * baud // sample_rate + 2)
    frequencies = pair[bits][np.arange(n) * baud // sample_rate]
    tone = _oscillation(frequencies, n, sample_rate)
    return _normalized(tone + 0.02 * rng.standard_normal(n))


def morse(rng: np.random.Generator, n: int, sample_rate: int) -> Signal:
    """Return random Morse code."""
    unit = int(sample_rate * rng.uniform(0.04, 0.1))
    key: list[int] = []
    while len(key) * unit < n:
        key += [1] * int(rng.choice([1, 3])) + [0] * int(rng.choice([1, 3, 7], p=[0.7, 0.22, 0.08]))
    return np.repeat(key, unit)[:n] * _oscillation(rng.uniform(400, 900), n, sample_rate)


def rain(rng: np.random.Generator, n: int, sample_rate: int) -> Signal:
    """Return band noise of changing level with clicks, similar to rain."""
    noise = band(rng, n, sample_rate, 800, 0.45 * sample_rate)
    level = 0.6 + 0.4 * _envelope(rng, n, sample_rate, 0.5)
    return _normalized(0.5 * noise * level + 0.3 * clicks(rng, n, sample_rate))


def wind(rng: np.random.Generator, n: int, sample_rate: int) -> Signal:
    """Return low band noise of changing level, similar to wind."""
    gusts = _envelope(rng, n, sample_rate, 0.6)
    low = band(rng, n, sample_rate, 80, rng.uniform(300, 900))
    return _normalized(low * gusts + 0.3 * band(rng, n, sample_rate, 400, 1500) * gusts**2)


def dither(rng: np.random.Generator, n: int, sample_rate: int) -> Signal:  # noqa: ARG001
    """Return triangular dither of one 16-bit step."""
    steps: Signal = (rng.integers(-1, 2, n) + rng.integers(-1, 2, n)).astype(np.float64)
    return steps * _STEP


def dc_offset(rng: np.random.Generator, n: int, sample_rate: int) -> Signal:
    """Return a constant offset with dither."""
    return float(rng.uniform(-0.6, 0.6)) + dither(rng, n, sample_rate)


def silence_with_click(rng: np.random.Generator, n: int, sample_rate: int) -> Signal:  # noqa: ARG001
    """Return silence with one non-zero sample."""
    signal = np.zeros(n)
    signal[int(rng.uniform(0.1, 0.9) * n)] = rng.uniform(0.2, 1)
    return signal


NOISES: dict[str, Generator] = {
    "white": partial(coloured, slope=0),
    "pink": partial(coloured, slope=-1),
    "brown": partial(coloured, slope=-2),
    "blue": partial(coloured, slope=1),
    "violet": partial(coloured, slope=2),
    "band": band,
    "sine": sine,
    "square": square,
    "sweep": sweep,
    "siren": siren,
    "beeps": beeps,
    "dtmf": dtmf,
    "clicks": clicks,
    "crackle": crackle,
    "hum": hum,
    "modem": modem,
    "morse": morse,
    "rain": rain,
    "wind": wind,
    "dither": dither,
    "dc-offset": dc_offset,
    "silence-with-click": silence_with_click,
}
"""Generators by the name of the noise."""


def write_noises(source: str, folder: Path) -> None:
    """Write noises of 10 to 30 s, attenuated by 1 to 30 dB, at different sample rates.

    Parameters
    ----------
    source : ``noise-train`` or ``noise-test``, which differ in seeds and number of files
    folder : folder for the files; files that exist are not written again
    """
    for number, (name, generate) in enumerate(NOISES.items()):
        for copy in range(_COPIES[source]):
            path = folder / f"{name}-{copy}.flac"
            if path.exists():
                continue
            rng = np.random.default_rng(_SEEDS[source] + 10 * number + copy)
            sample_rate = int(rng.choice(_SAMPLE_RATES, p=[0.1, 0.2, 0.3, 0.4]))
            signal = generate(rng, int(rng.uniform(10, 30) * sample_rate), sample_rate)
            if name not in QUIET:
                signal = signal * 10 ** (-rng.uniform(1, 30) / 20)
            write_flac(path, signal.astype(np.float32), sample_rate)


def _oscillation(frequency: ArrayLike, n: int, sample_rate: int) -> Signal:
    """Return a sine of a constant frequency [Hz], or of one frequency for each sample."""
    phase = np.cumsum(np.broadcast_to(np.asarray(frequency, np.float64), n)) / sample_rate
    signal: Signal = np.sin(2 * np.pi * phase)
    return signal


def _envelope(rng: np.random.Generator, n: int, sample_rate: int, density: float) -> Signal:
    """Return a random level in [0, 1], linear between about ``density`` points per second."""
    points = max(4, int(n / sample_rate * density) + 2)
    return np.interp(np.linspace(0, points - 1, n), np.arange(points), rng.random(points))


def _normalized(signal: Signal) -> Signal:
    return signal / max(float(np.abs(signal).max()), 1e-12)
