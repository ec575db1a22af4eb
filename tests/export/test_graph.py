"""The front end in the graph gives librosa's MFCC."""

import numpy as np
import pytest

from export.fixtures import difficult_segments
from export.graph import front_graph
from export.judge import GraphFeatures
from export.operations import op_names
from mobile_demo.frontend import LOG_MEL, STANDARD, FrontEnd
from training.features import librosa_features, librosa_mfcc

FRONT_ENDS = {
    "standard": STANDARD,
    "log-mel": LOG_MEL,
    "short frames": FrontEnd(16_000, 48_000, n_fft=512, hop_length=256, n_mels=40, n_mfcc=20),
    "one hop a half frame": FrontEnd(22_050, 33_000, n_fft=1024, hop_length=512, n_mels=64),
}


def without_standardisation(front_end: FrontEnd) -> bytes:
    zeros = np.zeros(front_end.n_coefficients, np.float32)
    return front_graph("waveform", front_end, zeros, zeros + 1)


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_it_equals_librosa_on_segments_made_to_be_difficult(name: str) -> None:
    front_end = FRONT_ENDS[name]
    in_graph = GraphFeatures(without_standardisation(front_end))
    for what, samples in difficult_segments(front_end).items():
        expected = librosa_features(samples, front_end)
        np.testing.assert_allclose(in_graph(samples), expected, atol=1e-3, rtol=1e-5, err_msg=what)


def test_it_is_of_built_in_operations_and_small() -> None:
    graph = without_standardisation(STANDARD)
    assert "RFFT2D" in op_names(graph)
    assert not {op for op in op_names(graph) if op.startswith("Flex") or op == "CUSTOM"}
    assert len(graph) < 100_000


@pytest.mark.parametrize("kind", ["mfcc", "waveform"])
def test_each_coefficient_is_standardised_on_its_own(kind: str) -> None:
    rng = np.random.default_rng(1)
    mean = np.linspace(-100, 100, 13, dtype=np.float32)
    deviation = np.geomspace(1, 100, 13).astype(np.float32)
    samples = rng.normal(scale=0.1, size=STANDARD.segment_samples).astype(np.float32)
    features = librosa_mfcc(samples)
    given = samples if kind == "waveform" else features
    standardized = GraphFeatures(front_graph(kind, STANDARD, mean, deviation))(given)
    np.testing.assert_allclose(standardized, (features - mean) / deviation, atol=1e-3)
