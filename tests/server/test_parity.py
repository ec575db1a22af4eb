"""A device's features beside ours: the difference, where it is, and why it is there.

The devices are librosa with other settings, or a caller that feeds it other samples.
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
from pocketgenre.server.parity.reference_features import OURS, Recipe, compute
from tests.server.porting import as_npy, ask, samples_of
from tests.server.serving import Serving

RATE, SIZE = 44_100, MFCC_CONFIG.segment_samples


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine seconds of stereo at 44.1 kHz: three soft ones, and silence in the last segment."""
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


def librosas(samples: np.ndarray, **settings) -> np.ndarray:
    return librosa.feature.mfcc(y=samples, **({"sr": 22_050, "n_mfcc": 13} | settings)).T


def in_parts(samples: np.ndarray, spectrogram: dict, decibel: dict) -> np.ndarray:
    mel = librosa.feature.melspectrogram(y=samples, sr=22_050, **spectrogram)
    return librosa.feature.mfcc(S=librosa.power_to_db(mel, **decibel), n_mfcc=13).T


@pytest.mark.parametrize("feature_config", [MFCC_CONFIG, LOG_MEL_CONFIG], ids=["mfcc", "log-mel"])
def test_the_recipe_that_mistakes_are_made_from_is_ours(song: Path, feature_config) -> None:
    for segment in cut_segments(stream_mono(song, feature_config.sample_rate), feature_config):
        ours = compute_features(segment, feature_config)
        np.testing.assert_allclose(compute(segment, feature_config, OURS), ours, atol=2e-3)


def test_features_that_are_right(server: Serving, song: Path) -> None:
    device = librosas(samples_of(song)[SIZE : 2 * SIZE])
    answer = ask(server, song, as_npy(device), first=1)
    assert answer["same"]
    assert answer["cause"]["code"] == "none"
    assert answer["maximum"] < 0.001
    assert answer["shape"] == answer["expected_shape"] == [1, 130, 13]
    whole = np.stack([mfcc(samples_of(song)[n * SIZE : (n + 1) * SIZE]) for n in range(3)])
    assert ask(server, song, as_npy(whole.astype(np.float64)))["same"]


def test_where_they_differ(server: Serving, song: Path) -> None:
    device = np.stack([mfcc(samples_of(song)[n * SIZE : (n + 1) * SIZE]) for n in range(3)])
    device[2, 77, 5] += 3.0
    device[0, 3, 11] -= 1.0
    answer = ask(server, song, json.dumps({"features": device.tolist()}).encode())
    assert not answer["same"]
    assert answer["maximum"] == pytest.approx(3.0, abs=0.001)
    assert [(f["segment"], f["frame"]) for f in answer["frames"][:2]] == [(2, 77), (0, 3)]
    assert [c["coefficient"] for c in answer["coefficients"][:2]] == [5, 11]
    assert answer["cause"]["code"] == "unknown"
    assert len(answer["tried"]) == 5


def shifted(by: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda y: np.roll(librosas(y), by, axis=0)


def htk_without_norm(y: np.ndarray) -> np.ndarray:
    return in_parts(y, {"htk": True, "norm": None}, {})


DEVICES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "reflect-padding": lambda y: librosas(y, pad_mode="reflect"),
    "edge-padding": lambda y: librosas(y, pad_mode="edge"),
    "no-padding": lambda y: librosas(y, center=False),
    "symmetric-window": lambda y: librosas(y, window=np.hanning(2048)),
    "hamming-window": lambda y: librosas(y, window="hamming"),
    "no-window": lambda y: librosas(y, window="boxcar"),
    "magnitude": lambda y: librosas(y, power=1.0),
    "htk-mel": lambda y: librosas(y, htk=True),
    "htk-mel-without-norm": htk_without_norm,
    "no-mel-norm": lambda y: in_parts(y, {"norm": None}, {}),
    "no-range": lambda y: in_parts(y, {}, {"top_db": None}),
    "dct-norm": lambda y: librosas(y, norm=None),
    "lifter": lambda y: librosas(y, lifter=22),
    "no-coefficient-0": lambda y: librosas(y, n_mfcc=14)[:, 1:],
    "sample-scale": lambda y: librosas(y * 32_768),
    "pre-emphasis": lambda y: librosas(librosa.effects.preemphasis(y, zi=[0.0])),
    "transposed": lambda y: librosas(y).T,
    "shifted-frames": shifted(2),
    "natural-logarithm": lambda y: librosas(y) * np.log(10) / 10,
    "no-decibel": lambda y: librosas(y) / 10,
    "flipped-sign": lambda y: -librosas(y),
}


@pytest.mark.parametrize("mistake", DEVICES)
def test_a_known_mistake_of_one_segment_is_named(server: Serving, song: Path, mistake: str) -> None:
    first = 2 if mistake == "no-range" else 1  # which shows beside silence
    device = DEVICES[mistake](samples_of(song)[first * SIZE : (first + 1) * SIZE])
    answer = ask(server, song, as_npy(device), first=first)
    assert not answer["same"]
    assert answer["cause"]["code"] == mistake, answer["tried"]


def test_a_range_that_begins_at_the_songs_peak(server: Serving, song: Path) -> None:
    samples = samples_of(song)
    mel = [librosa.feature.melspectrogram(y=samples[n * SIZE : (n + 1) * SIZE], sr=22_050)
           for n in range(3)]  # fmt: skip
    decibel = librosa.power_to_db(np.stack(mel))
    device = np.stack([librosa.feature.mfcc(S=S, n_mfcc=13).T for S in decibel])
    assert ask(server, song, as_npy(device))["cause"]["code"] == "range-of-song"


def test_features_cut_from_those_of_the_song(server: Serving, song: Path) -> None:
    frames = librosas(samples_of(song))
    start = round(SIZE / 512)
    answer = ask(server, song, as_npy(frames[start : start + 130]), first=1)
    assert answer["cause"]["code"] == "cut-from-song"


def test_features_cut_from_those_of_a_song_up_to_its_last_segment(
    server: Serving, tmp_path: Path
) -> None:
    noise = 0.1 * np.random.default_rng(1).normal(size=4 * SIZE).astype(np.float32)
    write_audio(tmp_path / "song.wav", noise[:, np.newaxis], 22_050, "WAV", "FLOAT")
    frames = librosas(np.pad(noise, (0, 512)))  # a song's last segment may lack a frame
    device = [frames[start : start + 130] for start in (round(n * SIZE / 512) for n in (2, 3))]
    answer = ask(server, tmp_path / "song.wav", as_npy(np.stack(device)), first=2)
    assert answer["cause"]["code"] == "cut-from-song"


@pytest.mark.parametrize(
    ("channels", "mistake"),
    [
        (lambda x: x[:, 0], "left-channel"),
        (lambda x: x[:, 1], "right-channel"),
        (lambda x: x.sum(axis=1), "channels-added"),
    ],
)
def test_channels_that_are_not_averaged(
    server: Serving, song: Path, channels: Callable, mistake: str
) -> None:
    samples = samples_of(song, to_mono=channels)
    answer = ask(server, song, as_npy(librosas(samples[SIZE : 2 * SIZE])), first=1)
    assert answer["cause"]["code"] == mistake


def test_samples_that_were_not_resampled(server: Serving, song: Path) -> None:
    samples = samples_of(song, RATE)
    answer = ask(server, song, as_npy(librosas(samples[SIZE : 2 * SIZE])), first=1)
    assert answer["cause"]["code"] == "sample-rate"
    assert "44100 Hz" in answer["cause"]["detail"]


def test_a_decoder_that_leaves_its_delay(server: Serving, song: Path) -> None:
    delay = round(1_105 * 22_050 / 44_100)
    samples = np.concatenate([np.zeros(delay, np.float32), samples_of(song)])
    answer = ask(server, song, as_npy(librosas(samples[SIZE : 2 * SIZE])), first=1)
    assert answer["cause"]["code"] == "decoder-delay"


def test_a_mistake_is_named_though_the_decoder_differs_too(server: Serving, song: Path) -> None:
    rng = np.random.default_rng(0)
    samples = samples_of(song)[SIZE : 2 * SIZE]
    samples = samples + 1e-5 * rng.normal(size=SIZE).astype(np.float32)
    answer = ask(server, song, as_npy(librosas(samples, htk=True)), first=1)
    assert answer["cause"]["code"] == "htk-mel"
    assert answer["cause"]["maximum"] > 0.001


LOG_MELS: dict[str, Recipe] = {
    "reflect-padding": Recipe(padding="reflect"),
    "htk-mel": Recipe(mel="htk"),
    "magnitude": Recipe(spectrum="magnitude"),
    "natural-logarithm": Recipe(logarithm="natural"),
    "no-level": Recipe(levelled=False),
}


@pytest.mark.parametrize("mistake", LOG_MELS)
def test_mistakes_with_mel_bands_are_named(server: Serving, song: Path, mistake: str) -> None:
    samples = samples_of(song, 16_000)[48_000:96_000]
    recipe = LOG_MELS[mistake]
    mel = librosa.feature.melspectrogram(
        y=samples,
        sr=16_000,
        n_fft=512,
        hop_length=256,
        n_mels=96,
        htk=recipe.mel == "htk",
        power=1.0 if recipe.spectrum == "magnitude" else 2.0,
        pad_mode="reflect" if recipe.padding == "reflect" else "constant",
    )
    level = LOG_MEL_CONFIG.level / mel.mean() if recipe.levelled else 10_000
    device = np.log1p(level * mel.T) / (1 if recipe.logarithm == "natural" else np.log(10))
    answer = ask(server, song, as_npy(device), first=1, model="best")
    assert answer["kind"] == "log-mel"
    assert answer["cause"]["code"] == mistake, answer["tried"]


def test_a_table_of_a_shape_that_nothing_explains(server: Serving, song: Path) -> None:
    answer = ask(server, song, as_npy(np.zeros((50, 13))))
    assert answer["maximum"] is None
    assert answer["cause"]["code"] == "unknown"
    assert "(1, 50, 13)" in answer["cause"]["detail"]


def test_a_table_that_is_stored_by_column_is_read_as_one_by_row(
    server: Serving, song: Path
) -> None:
    device = np.asfortranarray(mfcc(samples_of(song)[:SIZE]))
    assert b"'fortran_order': True" in as_npy(device)
    assert ask(server, song, as_npy(device))["same"]
    assert ask(server, song, as_npy(device.astype(">f8")))["same"]
