"""The comparison of a device's features names the cause of differences.

The devices are librosa with other settings or with other samples.
"""

import json
from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import pytest

from pocketgenre.audio.decoding import stream_mono
from pocketgenre.audio.segments import cut_segments
from pocketgenre.demo.synthetic import write_audio
from pocketgenre.features import compute_features
from pocketgenre.features.config import LOG_MEL_CONFIG, MFCC_CONFIG
from pocketgenre.features.mfcc import mfcc
from pocketgenre.parity.reference_features import UNCHANGED, FeatureVariant, compute_variant
from tests.parity.devices import compare, decode_song, npy_bytes

RATE, SIZE = 44_100, MFCC_CONFIG.segment_samples


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine seconds of stereo: a quiet segment, a loud one, and one that ends in silence."""
    rng = np.random.default_rng(5)
    t = np.arange(9 * RATE) / RATE
    notes = sum(np.sin(2 * np.pi * hz * t * (1 + 0.1 * (t // 1))) / n
                for n, hz in enumerate((110, 440, 1_760, 5_000), 1))  # fmt: skip
    left = notes * (0.3 + 0.7 * (t % 0.5)) + 0.02 * rng.normal(size=len(t))
    right = np.sin(2 * np.pi * 300 * t) + 0.1 * rng.normal(size=len(t))
    fade = np.where(t < 3, 1e-3, np.where(t < 7.5, 1.0, 0.0))
    samples = 0.2 * np.stack([left, right], axis=1) * fade[:, np.newaxis]
    path = tmp_path_factory.mktemp("parity") / "song.wav"
    write_audio(path, samples.astype(np.float32), RATE, "WAV", "FLOAT")
    return path


def librosa_mfcc(samples: np.ndarray, **settings) -> np.ndarray:
    return librosa.feature.mfcc(y=samples, **({"sr": 22_050, "n_mfcc": 13} | settings)).T


def librosa_mfcc_in_steps(samples: np.ndarray, spectrogram: dict, decibel: dict) -> np.ndarray:
    mel = librosa.feature.melspectrogram(y=samples, sr=22_050, **spectrogram)
    return librosa.feature.mfcc(S=librosa.power_to_db(mel, **decibel), n_mfcc=13).T


@pytest.mark.parametrize("feature_config", [MFCC_CONFIG, LOG_MEL_CONFIG], ids=["mfcc", "log-mel"])
def test_unchanged_variant_equals_library(song: Path, feature_config) -> None:
    for segment in cut_segments(stream_mono(song, feature_config.sample_rate), feature_config):
        ours = compute_features(segment, feature_config)
        np.testing.assert_allclose(
            compute_variant(segment, feature_config, UNCHANGED), ours, atol=2e-3
        )


def test_correct_features_are_the_same(song: Path) -> None:
    device = librosa_mfcc(decode_song(song)[SIZE : 2 * SIZE])
    comparison = compare(song, npy_bytes(device), first=1)
    assert comparison["same"]
    assert comparison["cause"]["code"] == "none"
    assert comparison["maximum"] < 0.001
    assert comparison["shape"] == comparison["expected_shape"] == (1, 130, 13)
    whole = np.stack([mfcc(decode_song(song)[n * SIZE : (n + 1) * SIZE]) for n in range(3)])
    assert compare(song, npy_bytes(whole.astype(np.float64)))["same"]


def test_places_of_differences_are_reported(song: Path) -> None:
    device = np.stack([mfcc(decode_song(song)[n * SIZE : (n + 1) * SIZE]) for n in range(3)])
    device[2, 77, 5] += 3.0
    device[0, 3, 11] -= 1.0
    comparison = compare(song, json.dumps({"features": device.tolist()}).encode())
    assert not comparison["same"]
    assert comparison["maximum"] == pytest.approx(3.0, abs=0.001)
    assert [(f["segment"], f["frame"]) for f in comparison["frames"][:2]] == [(2, 77), (0, 3)]
    assert [c["coefficient"] for c in comparison["coefficients"][:2]] == [5, 11]
    assert comparison["cause"]["code"] == "unknown"
    assert len(comparison["tried"]) == 5


def shifted(by: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda y: np.roll(librosa_mfcc(y), by, axis=0)


def htk_without_norm(y: np.ndarray) -> np.ndarray:
    return librosa_mfcc_in_steps(y, {"htk": True, "norm": None}, {})


DEVICES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "reflect-padding": lambda y: librosa_mfcc(y, pad_mode="reflect"),
    "edge-padding": lambda y: librosa_mfcc(y, pad_mode="edge"),
    "no-padding": lambda y: librosa_mfcc(y, center=False),
    "symmetric-window": lambda y: librosa_mfcc(y, window=np.hanning(2048)),
    "hamming-window": lambda y: librosa_mfcc(y, window="hamming"),
    "no-window": lambda y: librosa_mfcc(y, window="boxcar"),
    "magnitude": lambda y: librosa_mfcc(y, power=1.0),
    "htk-mel": lambda y: librosa_mfcc(y, htk=True),
    "htk-mel-without-norm": htk_without_norm,
    "no-mel-norm": lambda y: librosa_mfcc_in_steps(y, {"norm": None}, {}),
    "no-range": lambda y: librosa_mfcc_in_steps(y, {}, {"top_db": None}),
    "dct-norm": lambda y: librosa_mfcc(y, norm=None),
    "lifter": lambda y: librosa_mfcc(y, lifter=22),
    "no-coefficient-0": lambda y: librosa_mfcc(y, n_mfcc=14)[:, 1:],
    "sample-scale": lambda y: librosa_mfcc(y * 32_768),
    "pre-emphasis": lambda y: librosa_mfcc(librosa.effects.preemphasis(y, zi=[0.0])),
    "transposed": lambda y: librosa_mfcc(y).T,
    "shifted-frames": shifted(2),
    "natural-logarithm": lambda y: librosa_mfcc(y) * np.log(10) / 10,
    "no-decibel": lambda y: librosa_mfcc(y) / 10,
    "flipped-sign": lambda y: -librosa_mfcc(y),
}


@pytest.mark.parametrize("code", DEVICES)
def test_known_cause_is_named(song: Path, code: str) -> None:
    first = 2 if code == "no-range" else 1  # where silence shows the range
    device = DEVICES[code](decode_song(song)[first * SIZE : (first + 1) * SIZE])
    comparison = compare(song, npy_bytes(device), first=first)
    assert not comparison["same"]
    assert comparison["cause"]["code"] == code, comparison["tried"]


def test_range_of_song_is_named(song: Path) -> None:
    samples = decode_song(song)
    mel = [librosa.feature.melspectrogram(y=samples[n * SIZE : (n + 1) * SIZE], sr=22_050)
           for n in range(3)]  # fmt: skip
    decibel = librosa.power_to_db(np.stack(mel))
    device = np.stack([librosa.feature.mfcc(S=S, n_mfcc=13).T for S in decibel])
    assert compare(song, npy_bytes(device))["cause"]["code"] == "range-of-song"


def test_features_cut_from_song_are_named(song: Path) -> None:
    frames = librosa_mfcc(decode_song(song))
    start = round(SIZE / 512)
    comparison = compare(song, npy_bytes(frames[start : start + 130]), first=1)
    assert comparison["cause"]["code"] == "cut-from-song"


def test_last_segment_cut_from_song_is_named(tmp_path: Path) -> None:
    noise = 0.1 * np.random.default_rng(1).normal(size=4 * SIZE).astype(np.float32)
    write_audio(tmp_path / "song.wav", noise[:, np.newaxis], 22_050, "WAV", "FLOAT")
    frames = librosa_mfcc(np.pad(noise, (0, 512)))  # the last segment of a song may lack a frame
    device = [frames[start : start + 130] for start in (round(n * SIZE / 512) for n in (2, 3))]
    comparison = compare(tmp_path / "song.wav", npy_bytes(np.stack(device)), first=2)
    assert comparison["cause"]["code"] == "cut-from-song"


@pytest.mark.parametrize(
    ("to_mono", "code"),
    [
        (lambda x: x[:, 0], "left-channel"),
        (lambda x: x[:, 1], "right-channel"),
        (lambda x: x.sum(axis=1), "channels-added"),
    ],
)
def test_channel_choice_is_named(song: Path, to_mono: Callable, code: str) -> None:
    samples = decode_song(song, to_mono=to_mono)
    comparison = compare(song, npy_bytes(librosa_mfcc(samples[SIZE : 2 * SIZE])), first=1)
    assert comparison["cause"]["code"] == code


def test_missing_resampling_is_named(song: Path) -> None:
    samples = decode_song(song, RATE)
    comparison = compare(song, npy_bytes(librosa_mfcc(samples[SIZE : 2 * SIZE])), first=1)
    assert comparison["cause"]["code"] == "sample-rate"
    assert "44100 Hz" in comparison["cause"]["detail"]


def test_decoder_delay_is_named(song: Path) -> None:
    delay = round(1_105 * 22_050 / 44_100)
    samples = np.concatenate([np.zeros(delay, np.float32), decode_song(song)])
    comparison = compare(song, npy_bytes(librosa_mfcc(samples[SIZE : 2 * SIZE])), first=1)
    assert comparison["cause"]["code"] == "decoder-delay"


def test_cause_is_named_despite_other_decoder(song: Path) -> None:
    rng = np.random.default_rng(0)
    samples = decode_song(song)[SIZE : 2 * SIZE]
    samples = samples + 1e-5 * rng.normal(size=SIZE).astype(np.float32)
    comparison = compare(song, npy_bytes(librosa_mfcc(samples, htk=True)), first=1)
    assert comparison["cause"]["code"] == "htk-mel"
    assert comparison["cause"]["maximum"] > 0.001


LOG_MELS: dict[str, FeatureVariant] = {
    "reflect-padding": FeatureVariant(padding="reflect"),
    "htk-mel": FeatureVariant(mel="htk"),
    "magnitude": FeatureVariant(spectrum="magnitude"),
    "natural-logarithm": FeatureVariant(logarithm="natural"),
    "no-level": FeatureVariant(normalise_level=False),
}


@pytest.mark.parametrize("code", LOG_MELS)
def test_known_cause_in_log_mel_is_named(song: Path, code: str) -> None:
    samples = decode_song(song, 16_000)[48_000:96_000]
    variant = LOG_MELS[code]
    mel = librosa.feature.melspectrogram(
        y=samples,
        sr=16_000,
        n_fft=512,
        hop_length=256,
        n_mels=96,
        htk=variant.mel == "htk",
        power=1.0 if variant.spectrum == "magnitude" else 2.0,
        pad_mode="reflect" if variant.padding == "reflect" else "constant",
    )
    level = LOG_MEL_CONFIG.level / mel.mean() if variant.normalise_level else 10_000
    device = np.log1p(level * mel.T) / (1 if variant.logarithm == "natural" else np.log(10))
    comparison = compare(song, npy_bytes(device), first=1, model="best")
    assert comparison["kind"] == "log-mel"
    assert comparison["cause"]["code"] == code, comparison["tried"]


def test_unexplained_shape_is_unknown(song: Path) -> None:
    comparison = compare(song, npy_bytes(np.zeros((50, 13))))
    assert comparison["maximum"] is None
    assert comparison["cause"]["code"] == "unknown"
    assert "(1, 50, 13)" in comparison["cause"]["detail"]


def test_fortran_order_is_supported(song: Path) -> None:
    device = np.asfortranarray(mfcc(decode_song(song)[:SIZE]))
    assert b"'fortran_order': True" in npy_bytes(device)
    assert compare(song, npy_bytes(device))["same"]
    assert compare(song, npy_bytes(device.astype(">f8")))["same"]


def test_huge_features_have_no_cause(song: Path) -> None:
    for value in (3e38, -3e38):
        comparison = compare(song, npy_bytes(np.full((130, 13), value)))
        assert comparison["cause"]["code"] == "unknown"
        assert np.isfinite([comparison["maximum"], comparison["mean"]]).all()


def test_few_frames_have_no_cause(song: Path) -> None:
    assert compare(song, npy_bytes(np.zeros((1, 13))))["cause"]["code"] == "unknown"
