"""Store feature configurations in model cards, and check those that are read."""

import pytest

from pocketgenre.errors import ModelError
from pocketgenre.features.config import LOG_MEL_CONFIG, MFCC_CONFIG, FeatureConfig


def test_mfcc_defaults_are_those_of_gtzan() -> None:
    assert MFCC_CONFIG.to_dict() == {
        "sample_rate": 22_050,
        "segment_samples": 66_150,
        "n_fft": 2_048,
        "hop_length": 512,
        "n_mels": 128,
        "n_mfcc": 13,
        "amin": 1e-10,
        "top_db": 80.0,
        "features": "mfcc",
    }
    assert MFCC_CONFIG.segment_seconds == 3.0


def test_log_mel_defaults_are_those_of_musicnn() -> None:
    assert LOG_MEL_CONFIG.to_dict() == {
        "sample_rate": 16_000,
        "segment_samples": 48_000,
        "n_fft": 512,
        "hop_length": 256,
        "n_mels": 96,
        "amin": 1e-5,
        "level": 3_000.0,
        "features": "log-mel",
    }
    assert LOG_MEL_CONFIG.shape == (188, 96)


@pytest.mark.parametrize("feature_config", [FeatureConfig(n_mfcc=20), MFCC_CONFIG, LOG_MEL_CONFIG])
def test_configuration_survives_a_round_trip(feature_config: FeatureConfig) -> None:
    assert FeatureConfig.from_dict(feature_config.to_dict()) == feature_config


def test_configuration_without_a_kind_is_mfcc() -> None:
    values = MFCC_CONFIG.to_dict()
    del values["features"]
    assert FeatureConfig.from_dict(values) == MFCC_CONFIG


@pytest.mark.parametrize(
    "change",
    [
        {"n_fft": 2_000},
        {"hop_length": 500},
        {"n_mfcc": 129},
        {"sample_rate": 0},
        {"sample_rate": -1},
        {"segment_samples": 10**9},
        {"n_fft": "2048"},
        {"n_fft": True},
        {"top_db": float("nan")},
        {"unknown": 1},
        {"features": "chroma"},
        {"features": "log-mel"},
        {"features": None},
    ],
)
def test_impossible_parameters_are_rejected(change: dict[str, object]) -> None:
    with pytest.raises(ModelError):
        FeatureConfig.from_dict({**MFCC_CONFIG.to_dict(), **change})


@pytest.mark.parametrize("values", [None, [], {}, "x"])
def test_invalid_configuration_is_rejected(values: object) -> None:
    with pytest.raises(ModelError):
        FeatureConfig.from_dict(values)
