"""Test that the graphs compute librosa's features."""

from dataclasses import replace

import numpy as np
import pytest

from pocketgenre.errors import ModelError
from pocketgenre.export.edge_cases import difficult_segments
from pocketgenre.export.feature_graph import FeatureGraph, input_graph
from pocketgenre.export.operations import op_names
from pocketgenre.export.variants import all_variants
from pocketgenre.features.config import LOG_MEL_CONFIG, MFCC_CONFIG, FeatureConfig, feature_kind
from pocketgenre.models.interpreter import create_interpreter
from pocketgenre.training.data.librosa_features import librosa_mfcc

FEATURE_CONFIGS = {
    "standard": MFCC_CONFIG,
    "log-mel": LOG_MEL_CONFIG,
    "short frames": FeatureConfig(16_000, 48_000, n_fft=512, hop_length=256, n_mels=40, n_mfcc=20),
    "one hop a half frame": FeatureConfig(22_050, 33_000, n_fft=1024, hop_length=512, n_mels=64),
}


@pytest.mark.parametrize("name", FEATURE_CONFIGS)
def test_graph_equals_librosa_on_difficult_segments(name: str) -> None:
    config = FEATURE_CONFIGS[name]
    kind = feature_kind(config.kind)
    compute_reference, (rtol, atol) = kind.load_reference(), kind.tolerance
    assert rtol <= 1e-5
    assert atol <= 1e-3
    feature_graph = FeatureGraph(config)
    for segment, samples in difficult_segments(config).items():
        expected = compute_reference(samples, config)
        np.testing.assert_allclose(feature_graph(samples), expected, rtol, atol, err_msg=segment)


def test_mfcc_graph_is_small_with_builtin_operations() -> None:
    zeros = np.zeros(13, np.float32)
    graph = input_graph("waveform", MFCC_CONFIG, zeros, zeros + 1)
    assert "RFFT2D" in op_names(graph)
    assert not {op for op in op_names(graph) if op.startswith("Flex") or op == "CUSTOM"}
    assert len(graph) < 100_000


@pytest.mark.parametrize("kind", ["mfcc", "waveform"])
def test_each_coefficient_is_standardised(kind: str) -> None:
    rng = np.random.default_rng(1)
    mean = np.linspace(-100, 100, 13, dtype=np.float32)
    deviation = np.geomspace(1, 100, 13).astype(np.float32)
    samples = rng.normal(scale=0.1, size=MFCC_CONFIG.segment_samples).astype(np.float32)
    features = librosa_mfcc(samples)
    interpreter = create_interpreter(input_graph(kind, MFCC_CONFIG, mean, deviation))
    inputs = samples if kind == "waveform" else features
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs[np.newaxis])
    interpreter.invoke()
    standardized = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
    np.testing.assert_allclose(standardized, (features - mean) / deviation, atol=1e-3)


def test_kind_without_graph_has_no_waveform_variants(monkeypatch: pytest.MonkeyPatch) -> None:
    without_graph = replace(feature_kind("log-mel"), graph=None)
    monkeypatch.setattr("pocketgenre.features.log_mel.LOG_MEL", without_graph)
    feature_kind.cache_clear()
    assert {variant.input for variant in all_variants("log-mel")} == {"log-mel"}
    with pytest.raises(ModelError, match="log-mel cannot be computed inside a model"):
        FeatureGraph(LOG_MEL_CONFIG)
    monkeypatch.undo()
    feature_kind.cache_clear()
