"""The comparison of features that are neither MFCC nor log-mel."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.demo.synthetic import write_audio
from pocketgenre.features import config
from pocketgenre.features.config import FeatureConfig, FeatureKind
from tests.parity.devices import compare_by, decode_song, npy_bytes

CONFIG = FeatureConfig(n_mels=20, kind="root-spectrum")
SIZE, RATE = CONFIG.segment_samples, 44_100


def root_spectrum(samples: np.ndarray, feature_config: FeatureConfig = CONFIG) -> np.ndarray:
    """Compute the square root of the magnitude of the lowest frequencies."""
    padded = np.pad(samples, feature_config.n_fft // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, feature_config.n_fft)[
        :: feature_config.hop_length
    ]
    magnitude = np.abs(np.fft.rfft(frames * np.hanning(feature_config.n_fft)))
    return np.sqrt(magnitude[:, : feature_config.n_mels]).astype(np.float32)


KIND = FeatureKind("root-spectrum", CONFIG, root_spectrum, reference="")


@pytest.fixture(autouse=True)
def root_spectrum_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(config._BUILT_IN, "root-spectrum", f"{__name__}:KIND")


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(7)
    notes = np.sin(2 * np.pi * 110 * (np.arange(9 * RATE) / RATE) ** 1.3)
    stereo = np.stack([notes, 0.3 * rng.normal(size=9 * RATE)], axis=1).astype(np.float32)
    path = tmp_path_factory.mktemp("kinds") / "song.wav"
    write_audio(path, 0.2 * stereo, RATE, "WAV", "FLOAT")
    return path


def second_segment(song: Path, rate: int = CONFIG.sample_rate, **options) -> np.ndarray:
    return decode_song(song, rate, **options)[SIZE : 2 * SIZE]


DEVICES: dict[str, Callable[[Path], np.ndarray]] = {
    "none": lambda song: root_spectrum(second_segment(song)),
    "transposed": lambda song: root_spectrum(second_segment(song)).T,
    "flipped-sign": lambda song: -root_spectrum(second_segment(song)),
    "shifted-frames": lambda song: np.roll(root_spectrum(second_segment(song)), 2, axis=0),
    "sample-scale": lambda song: root_spectrum(second_segment(song) * 32_768),
    "left-channel": lambda song: root_spectrum(second_segment(song, to_mono=lambda x: x[:, 0])),
    "right-channel": lambda song: root_spectrum(second_segment(song, to_mono=lambda x: x[:, 1])),
    "channels-added": lambda song: root_spectrum(2 * second_segment(song)),
    "sample-rate": lambda song: root_spectrum(second_segment(song, RATE)),
    "decoder-delay": lambda song: root_spectrum(decode_song(song)[SIZE - 576 : 2 * SIZE - 576]),
    "unknown": lambda song: root_spectrum(second_segment(song)) ** 2,
}


@pytest.mark.parametrize("code", DEVICES)
def test_cause_in_other_kind_is_named(song: Path, code: str) -> None:
    comparison = compare_by(song, npy_bytes(DEVICES[code](song)), CONFIG, first=1)
    assert comparison["kind"] == "root-spectrum"
    assert comparison["cause"]["code"] == code, comparison["tried"]
    assert comparison["same"] == (code == "none")
    assert not {cause["code"] for cause in comparison["tried"]} & {"htk-mel", "lifter", "no-level"}
