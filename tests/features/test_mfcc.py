"""The NumPy MFCC is librosa's."""

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketgenre.export.edge_cases import difficult_segments
from pocketgenre.features.config import MFCC_CONFIG, FeatureConfig
from pocketgenre.features.mel import hann_window, mel_matrix
from pocketgenre.features.mfcc import MFCC, dct_matrix, mfcc
from pocketgenre.training.data.librosa_features import librosa_mfcc, song_segments

DIFFICULT = difficult_segments()


def assert_parity(samples: np.ndarray, feature_config: FeatureConfig = MFCC_CONFIG) -> None:
    rtol, atol = MFCC.tolerance
    np.testing.assert_allclose(
        mfcc(samples, feature_config), librosa_mfcc(samples, feature_config), rtol, atol
    )


def test_a_segment_of_three_seconds_gives_130_frames_of_13_coefficients() -> None:
    features = mfcc(DIFFICULT["music-like"])
    assert features.shape == (130, 13) == MFCC_CONFIG.shape
    assert features.dtype == np.float32


@pytest.mark.parametrize("name", DIFFICULT)
def test_difficult_segments_equal_librosas(name: str) -> None:
    assert_parity(DIFFICULT[name])


def test_librosas_own_mfcc_with_the_parameters_spelled_out_is_the_reference() -> None:
    samples = DIFFICULT["music-like"]
    published = librosa.feature.mfcc(y=samples, sr=22_050, n_mfcc=13, n_fft=2048, hop_length=512)
    np.testing.assert_array_equal(librosa_mfcc(samples), published.T)


def test_real_music_equals_librosas(gtzan) -> None:
    for song in ("blues/blues.00000", "metal/metal.00000", "classical/classical.00003"):
        for segment in song_segments(gtzan / "audio" / f"{song}.ogg"):
            assert_parity(segment)


@settings(max_examples=25, deadline=None)
@given(
    length=st.integers(1, 70_000),
    gain=st.floats(1e-6, 1.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_length_and_gain_equals_librosas(length: int, gain: float, seed: int) -> None:
    samples = gain * np.random.default_rng(seed).uniform(-1, 1, length).astype(np.float32)
    features = mfcc(samples.astype(np.float32))
    assert features.shape == (1 + length // 512, 13)
    assert_parity(samples.astype(np.float32))


@pytest.mark.parametrize(
    "feature_config",
    [
        FeatureConfig(
            sample_rate=16_000, segment_samples=47_872, n_fft=512, hop_length=256, n_mels=96
        ),
        FeatureConfig(n_mfcc=40),
        FeatureConfig(n_fft=1024, hop_length=256, n_mels=64, n_mfcc=20),
    ],
)
def test_other_front_ends_equal_librosas(feature_config: FeatureConfig) -> None:
    samples = np.random.default_rng(0).normal(scale=0.1, size=feature_config.segment_samples)
    assert_parity(samples.astype(np.float32), feature_config)


def test_features_of_one_segment_do_not_depend_on_the_segment_before() -> None:
    alone = mfcc(DIFFICULT["noise"]).copy()
    mfcc(DIFFICULT["full-scale square"])
    np.testing.assert_array_equal(mfcc(DIFFICULT["noise"]), alone)


def test_silence_is_minus_100_db_in_every_band() -> None:
    features = mfcc(DIFFICULT["silence"])
    np.testing.assert_allclose(features[:, 0], -100 * np.sqrt(128), rtol=1e-6)
    np.testing.assert_allclose(features[:, 1:], 0.0, atol=1e-6)


def test_tables_equal_librosas_and_scipys() -> None:
    mel = librosa.filters.mel(sr=22_050, n_fft=2048, n_mels=128)
    np.testing.assert_allclose(mel_matrix(), mel, atol=1e-8)
    np.testing.assert_allclose(
        hann_window(2048), librosa.filters.get_window("hann", 2048), atol=1e-6
    )
    rows = dct_matrix()
    np.testing.assert_allclose(rows @ rows.T, np.eye(13), atol=1e-12)
