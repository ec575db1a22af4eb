"""Find silent segments by their level."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketgenre.audio.silence import level, silence_threshold
from tests.conftest import tone


@pytest.mark.parametrize(
    ("samples", "decibels"),
    [
        (np.ones(100, np.float32), -200.0),  # an offset is no sound
        (np.zeros(100, np.float32), -200.0),
        (np.float32([1, -1] * 50), 0.0),
        (np.float32([0.01, -0.01] * 50), -40.0),
    ],
)
def test_level_is_in_decibels_of_full_scale(samples: np.ndarray, decibels: float) -> None:
    assert level(samples) == pytest.approx(decibels, abs=1e-3)


def test_level_of_dither_is_silent() -> None:
    rng = np.random.default_rng(0)
    dither = np.rint(rng.uniform(-0.5, 0.5, 66_150) + rng.uniform(-0.5, 0.5, 66_150)) / 32_768
    assert level(dither.astype(np.float32)) < silence_threshold([-100.0])


@given(st.floats(-3, 3))
def test_level_does_not_depend_on_offset(offset: float) -> None:
    samples = tone(440.0, 0.5)[:, 0]
    assert level(samples + np.float32(offset)) == pytest.approx(level(samples), abs=0.01)


def test_threshold_follows_the_loudest_segment() -> None:
    assert silence_threshold([-50.0, -12.0]) == -52.0
    assert silence_threshold([-70.0]) == -80.0
