"""The log-mel bands computed in NumPy equal those of librosa."""

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketgenre.export.edge_cases import difficult_segments
from pocketgenre.features import compute_features
from pocketgenre.features.config import LOG_MEL_CONFIG, MFCC_CONFIG
from pocketgenre.features.log_mel import log_mel
from pocketgenre.training.data.librosa_features import librosa_features, librosa_log_mel

DIFFICULT = difficult_segments(LOG_MEL_CONFIG)


def test_segment_gives_188_frames_of_96_bands() -> None:
    features = log_mel(DIFFICULT["music-like"])
    assert features.shape == (188, 96) == LOG_MEL_CONFIG.shape
    assert features.dtype == np.float32


@pytest.mark.parametrize("name", DIFFICULT)
def test_difficult_segments_equal_librosa(name: str) -> None:
    np.testing.assert_allclose(
        log_mel(DIFFICULT[name]), librosa_log_mel(DIFFICULT[name]), atol=1e-4
    )


def test_reference_is_musicnn_at_one_level() -> None:
    samples = DIFFICULT["music-like"]
    power = librosa.feature.melspectrogram(
        y=samples, sr=16_000, n_fft=512, hop_length=256, n_mels=96
    )
    at_level = LOG_MEL_CONFIG.level * power.T / power.mean()
    np.testing.assert_allclose(librosa_log_mel(samples), np.log10(1 + at_level), atol=1e-6)


@given(st.floats(0.02, 1.0))
def test_features_do_not_depend_on_volume(gain: float) -> None:
    samples = DIFFICULT["music-like"]
    quieter = (gain * samples).astype(np.float32)
    np.testing.assert_allclose(log_mel(quieter), log_mel(samples), atol=1e-3)


def test_near_silence_is_not_amplified() -> None:
    hiss = np.random.default_rng(0).normal(scale=2.0**-15, size=48_000).astype(np.float32)
    assert log_mel(hiss).mean() < 0.5
    assert log_mel(100 * hiss).mean() > 3.0
    assert not log_mel(np.zeros(48_000, np.float32)).any()


@pytest.mark.filterwarnings("ignore:n_fft=.* is too large:UserWarning")
@settings(max_examples=25)
@given(st.integers(1, 50_000), st.floats(1e-6, 1.0), st.integers(0, 2**32 - 1))
def test_any_length_and_gain_equals_librosa(length: int, gain: float, seed: int) -> None:
    samples = np.random.default_rng(seed).uniform(-gain, gain, length).astype(np.float32)
    np.testing.assert_allclose(log_mel(samples), librosa_log_mel(samples), atol=1e-4)


@pytest.mark.parametrize("kind", ["mfcc", "log-mel"])
def test_configuration_selects_the_features(kind: str) -> None:
    feature_config = {"mfcc": MFCC_CONFIG, "log-mel": LOG_MEL_CONFIG}[kind]
    samples = difficult_segments(feature_config)["noise"]
    features = compute_features(samples, feature_config)
    assert features.shape == feature_config.shape
    np.testing.assert_allclose(features, librosa_features(samples, feature_config), atol=1e-3)
