"""The MFCC computed in NumPy equal those of librosa."""

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
    features = mfcc(samples, feature_config)
    np.testing.assert_allclose(
        features, librosa_mfcc(samples, feature_config), rtol=rtol, atol=atol
    )


def test_tolerance_is_a_thousandth() -> None:
    assert MFCC.tolerance == (1e-5, 1e-3)


def test_segment_gives_130_frames_of_13_coefficients() -> None:
    features = mfcc(DIFFICULT["music-like"])
    assert features.shape == (130, 13) == MFCC_CONFIG.shape
    assert features.dtype == np.float32


@pytest.mark.parametrize("name", DIFFICULT)
def test_difficult_segments_equal_librosa(name: str) -> None:
    assert_parity(DIFFICULT[name])


def test_reference_is_librosa_with_published_parameters() -> None:
    samples = DIFFICULT["music-like"]
    published = librosa.feature.mfcc(y=samples, sr=22_050, n_mfcc=13, n_fft=2048, hop_length=512)
    np.testing.assert_array_equal(librosa_mfcc(samples), published.T)


def test_real_music_equals_librosa(gtzan) -> None:
    for song in ("blues/blues.00000", "metal/metal.00000", "classical/classical.00003"):
        for segment in song_segments(gtzan / "audio" / f"{song}.ogg"):
            assert_parity(segment)


@pytest.mark.filterwarnings("ignore:n_fft=.* is too large:UserWarning")
@settings(max_examples=25)
@given(
    length=st.integers(1, 70_000),
    gain=st.floats(1e-6, 1.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_length_and_gain_equals_librosa(length: int, gain: float, seed: int) -> None:
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
def test_other_configurations_equal_librosa(feature_config: FeatureConfig) -> None:
    samples = np.random.default_rng(0).normal(scale=0.1, size=feature_config.segment_samples)
    assert_parity(samples.astype(np.float32), feature_config)


def test_features_do_not_depend_on_previous_segment() -> None:
    expected = mfcc(DIFFICULT["noise"]).copy()
    mfcc(DIFFICULT["full-scale square"])
    np.testing.assert_array_equal(mfcc(DIFFICULT["noise"]), expected)


def test_silence_is_minus_100_db_in_every_band() -> None:
    features = mfcc(DIFFICULT["silence"])
    np.testing.assert_allclose(features[:, 0], -100 * np.sqrt(128), rtol=1e-6)
    np.testing.assert_allclose(features[:, 1:], 0.0, atol=1e-6)


def test_filters_and_window_equal_librosa() -> None:
    mel = librosa.filters.mel(sr=22_050, n_fft=2048, n_mels=128)
    np.testing.assert_allclose(mel_matrix(), mel, atol=1e-8)
    np.testing.assert_allclose(
        hann_window(2048), librosa.filters.get_window("hann", 2048), atol=1e-6
    )
    rows = dct_matrix()
    np.testing.assert_allclose(rows @ rows.T, np.eye(13), atol=1e-12)


def chirp() -> np.ndarray:
    """Return one segment of a sine that rises from 100 Hz by 100 Hz per second."""
    t = np.arange(66_150) / 22_050
    return (0.5 * np.sin(2 * np.pi * (100 * t + 50 * t**2))).astype(np.float32)


# For ports to other languages, which have no librosa. Computed by librosa 0.11.0:
# librosa.feature.mfcc(y=chirp(), sr=22050, n_mfcc=13, n_fft=2048, hop_length=512)
GOLDEN = {
    0: [
        -346.7689,
        172.3693,
        75.3375,
        32.4494,
        33.5863,
        29.0465,
        18.5966,
        16.4152,
        14.8538,
        10.384,
        8.9167,
        8.374,
        5.8952,
    ],
    1: [
        -384.4104,
        145.9961,
        86.0002,
        42.2585,
        30.2646,
        30.5261,
        25.5319,
        17.932,
        14.828,
        14.1799,
        11.7094,
        8.6932,
        7.4581,
    ],
    64: [
        -479.5815,
        39.2944,
        36.2298,
        31.3185,
        24.8421,
        17.1694,
        8.7336,
        0.0056,
        -8.5354,
        -16.4305,
        -23.2683,
        -28.7083,
        -32.4995,
    ],
    129: [
        -247.2017,
        206.8813,
        32.0635,
        20.2571,
        3.7073,
        -8.5066,
        -12.8659,
        -18.8888,
        -17.2873,
        -17.1226,
        -12.3411,
        -8.5921,
        -3.4634,
    ],
}


def test_chirp_gives_golden_values() -> None:
    features = mfcc(chirp())
    for frame, coefficients in GOLDEN.items():
        np.testing.assert_allclose(features[frame], coefficients, atol=1e-3)
