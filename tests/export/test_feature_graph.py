"""The front end in the graph gives librosa's MFCC."""

import numpy as np
import pytest

from pocketgenre.export.edge_cases import difficult_segments
from pocketgenre.export.evaluate_files import GraphFeatures
from pocketgenre.export.feature_graph import front_graph
from pocketgenre.export.operations import op_names
from pocketgenre.features.config import LOG_MEL_CONFIG, MFCC_CONFIG, FeatureConfig
from pocketgenre.training.data.librosa_features import librosa_features, librosa_mfcc

FEATURE_CONFIGS = {
    "standard": MFCC_CONFIG,
    "log-mel": LOG_MEL_CONFIG,
    "short frames": FeatureConfig(16_000, 48_000, n_fft=512, hop_length=256, n_mels=40, n_mfcc=20),
    "one hop a half frame": FeatureConfig(22_050, 33_000, n_fft=1024, hop_length=512, n_mels=64),
}


def without_standardisation(feature_config: FeatureConfig) -> bytes:
    zeros = np.zeros(feature_config.n_coefficients, np.float32)
    return front_graph("waveform", feature_config, zeros, zeros + 1)


@pytest.mark.parametrize("name", FEATURE_CONFIGS)
def test_it_equals_librosa_on_segments_made_to_be_difficult(name: str) -> None:
    feature_config = FEATURE_CONFIGS[name]
    in_graph = GraphFeatures(without_standardisation(feature_config))
    for what, samples in difficult_segments(feature_config).items():
        expected = librosa_features(samples, feature_config)
        np.testing.assert_allclose(in_graph(samples), expected, atol=1e-3, rtol=1e-5, err_msg=what)


def test_it_is_of_built_in_operations_and_small() -> None:
    graph = without_standardisation(MFCC_CONFIG)
    assert "RFFT2D" in op_names(graph)
    assert not {op for op in op_names(graph) if op.startswith("Flex") or op == "CUSTOM"}
    assert len(graph) < 100_000


@pytest.mark.parametrize("kind", ["mfcc", "waveform"])
def test_each_coefficient_is_standardised_on_its_own(kind: str) -> None:
    rng = np.random.default_rng(1)
    mean = np.linspace(-100, 100, 13, dtype=np.float32)
    deviation = np.geomspace(1, 100, 13).astype(np.float32)
    samples = rng.normal(scale=0.1, size=MFCC_CONFIG.segment_samples).astype(np.float32)
    features = librosa_mfcc(samples)
    given = samples if kind == "waveform" else features
    standardized = GraphFeatures(front_graph(kind, MFCC_CONFIG, mean, deviation))(given)
    np.testing.assert_allclose(standardized, (features - mean) / deviation, atol=1e-3)
