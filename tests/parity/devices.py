"""Compute features as a device does, and compare them with the reference."""

import io
from dataclasses import asdict
from pathlib import Path

import numpy as np

from pocketgenre.audio.decoding import stream_mono
from pocketgenre.audio.segments import cut_segments
from pocketgenre.features.config import FeatureConfig
from pocketgenre.models.model_card import read_model
from pocketgenre.models.pretrained import MODELS_BY_NAME
from pocketgenre.parity.comparison import compare_features
from pocketgenre.parity.feature_files import decode_features


def decode_song(path: Path, sample_rate: int = 22_050, **options) -> np.ndarray:
    return np.concatenate(list(stream_mono(path, sample_rate, **options)))


def npy_bytes(table: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, table)
    return file.getvalue()


def compare(song: Path, content: bytes, first: int = 0, model: str = "standard") -> dict:
    """Return the comparison of a file of features."""
    return compare_by(song, content, read_model(MODELS_BY_NAME[model])[1].feature_config, first)


def compare_by(song: Path, content: bytes, feature_config: FeatureConfig, first: int) -> dict:
    features = decode_features(content, feature_config)
    segments = cut_segments(stream_mono(song, feature_config.sample_rate), feature_config)
    return asdict(compare_features(features, song, segments, feature_config, first))
