"""The power spectrum by matrix products is the Fourier transform's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobile_demo.fourier import PowerSpectrum


@pytest.mark.parametrize("n_fft", [16, 32, 64, 128, 256, 512, 1024, 2048, 4096])
def test_equals_numpys_fft_for_every_power_of_two(n_fft: int) -> None:
    frames = np.random.default_rng(n_fft).normal(size=(n_fft, 5)).astype(np.float32)
    expected = np.abs(np.fft.rfft(frames.astype(np.float64), axis=0)) ** 2
    power = PowerSpectrum(n_fft, 5)(frames)
    np.testing.assert_allclose(power, expected, rtol=2e-4, atol=1e-4 * expected.mean())


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(1e-3, 1e3))
def test_energy_is_kept(seed: int, scale: float) -> None:
    frames = (scale * np.random.default_rng(seed).normal(size=(256, 3))).astype(np.float32)
    power = PowerSpectrum(256, 3)(frames).astype(np.float64)
    both_sides = power.sum(axis=0) + power[1:-1].sum(axis=0)  # Parseval
    np.testing.assert_allclose(both_sides / 256, np.square(frames).sum(axis=0), rtol=1e-4)
