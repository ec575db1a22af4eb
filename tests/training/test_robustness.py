"""Run ``evaluate-model --robustness``, which evaluates perturbed songs."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.demo.synthetic import write_audio
from pocketgenre.features.config import LOG_MEL_CONFIG, MFCC_CONFIG, FeatureConfig
from pocketgenre.training.data.dataset import Dataset, save_dataset
from pocketgenre.training.data.labelled_songs import LabelledSong
from pocketgenre.training.data.librosa_features import song_features
from pocketgenre.training.errors import DataError
from pocketgenre.training.evaluation.perturbations import (
    PERTURBATIONS,
    attenuate,
    band_limit,
    beginning,
    low_rate_mp3,
    mp3,
    unchanged,
)
from pocketgenre.training.runs import Run
from tests.conftest import invoke, tone
from tests.training.fabricated import fabricate_run

EVALUATE = "pocketgenre.training.cli.evaluate_model"
NAMES = [perturbation.name for perturbation in PERTURBATIONS]


def noise(seconds: float, rate: int = 22_050) -> np.ndarray:
    samples = np.random.default_rng(2).normal(scale=0.1, size=round(seconds * rate))
    return samples.astype(np.float32)


def power(samples: np.ndarray, rate: int, above: float, below: float) -> float:
    """Return the mean power between two frequencies [Hz]."""
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / rate)
    return float(spectrum[(hz >= above) & (hz < below)].mean())


@pytest.mark.parametrize("rate", [22_050, 16_000])
@pytest.mark.parametrize("encode", [mp3, low_rate_mp3])
def test_mp3_is_aligned_but_not_identical(
    encode: Callable[[np.ndarray, int], np.ndarray], rate: int
) -> None:
    samples = tone(440.0, 3.0, rate)[:, 0] + 0.1 * noise(3.0, rate)
    decoded = encode(samples, rate)
    assert decoded.dtype == np.float32
    assert abs(len(decoded) - len(samples)) < 0.2 * rate
    length = min(len(decoded), len(samples))
    assert np.corrcoef(decoded[:length], samples[:length])[0, 1] > 0.9
    assert not np.allclose(decoded[:length], samples[:length], atol=1e-3)


def test_low_rate_mp3_loses_the_highest_frequencies() -> None:
    samples = noise(3.0)
    usual, low_rate = mp3(samples, 22_050), low_rate_mp3(samples, 22_050)
    assert power(low_rate, 22_050, 5_000, 9_000) > 0.5 * power(usual, 22_050, 5_000, 9_000)
    assert power(low_rate, 22_050, 10_500, 10_900) < 1e-3 * power(usual, 22_050, 10_500, 10_900)


def test_band_limit_removes_only_frequencies_above_8_khz() -> None:
    samples = noise(3.0)
    narrow = band_limit(samples, 22_050)
    assert len(narrow) == len(samples)
    assert narrow.dtype == np.float32
    assert power(narrow, 22_050, 8_500, 11_000) < 1e-6 * power(samples, 22_050, 8_500, 11_000)
    kept = power(narrow, 22_050, 100, 7_000) / power(samples, 22_050, 100, 7_000)
    assert kept == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("length", [22_050, 22_051, 50_001, 66_149])
def test_band_limit_keeps_the_length(length: int) -> None:
    assert len(band_limit(noise(3.0)[:length], 22_050)) == length


def test_band_limit_returns_narrow_song_unchanged() -> None:
    samples = noise(2.0, 16_000)
    np.testing.assert_array_equal(band_limit(samples, 16_000), samples)


def test_attenuation_gives_a_tenth_of_the_amplitude() -> None:
    samples = noise(1.0)
    np.testing.assert_allclose(attenuate(samples, 22_050), samples / 10, rtol=1e-6)


def test_beginning_is_at_most_ten_seconds() -> None:
    samples = noise(12.0)
    np.testing.assert_array_equal(beginning(samples, 22_050), samples[:220_500])
    np.testing.assert_array_equal(beginning(samples[:30_000], 22_050), samples[:30_000])


def test_perturbations_never_modify_their_input() -> None:
    assert PERTURBATIONS[0].apply is unchanged
    samples = noise(2.0)
    before = samples.copy()
    for perturbation in PERTURBATIONS:
        perturbation.apply(samples, 22_050)
    np.testing.assert_array_equal(samples, before)


def loud_and_soft(folder: Path, feature_config: FeatureConfig = MFCC_CONFIG) -> Dataset:
    """Prepare songs of 12 s, 6 s and 2 s of two genres that differ only in loudness."""
    songs, parts = [], []
    (folder / "data").mkdir(parents=True)
    for genre, amplitude in (("loud", 3.0), ("soft", 0.003)):
        (folder / "audio" / genre).mkdir(parents=True)
        for number, seconds in enumerate((12.2, 6.5, 2.0)):
            path = Path(genre) / f"{number}.wav"
            samples = amplitude * noise(seconds)[:, np.newaxis]
            write_audio(folder / "audio" / path, samples, 22_050, subtype="FLOAT")
            part = folder / "data" / f"{genre}{number}.npy"
            np.save(part, song_features(folder / "audio" / path, feature_config))
            parts.append(part)
            songs.append(LabelledSong(f"{genre}/{number}", path, genre, group=len(songs)))
    return save_dataset(folder / "data", folder / "audio", feature_config, songs, parts)


def save_loudness_network(file: Path, dataset: Dataset) -> None:
    """Save a network that classifies a segment by the mean of its first coefficient."""
    import keras

    inputs = keras.Input(dataset.feature_config.shape)
    mean = keras.layers.GlobalAveragePooling1D()(inputs)
    outputs = keras.layers.Dense(2, activation="softmax")
    network = keras.Model(inputs, outputs(mean))
    means = dataset.features.mean(axis=1)
    loud, soft = (means[dataset.segment_targets == genre, 0] for genre in (0, 1))
    kernel = np.zeros((dataset.feature_config.n_coefficients, 2))
    slope = 20 / (loud.mean() - soft.mean())
    kernel[0] = slope, -slope
    # The boundary is slightly below the loud songs: attenuated, they are predicted as soft.
    boundary = 0.95 * loud.mean() + 0.05 * soft.mean()
    outputs.set_weights([kernel, np.array([-slope * boundary, slope * boundary])])
    network.save(file)


def loudness_run(folder: Path, dataset: Dataset) -> Run:
    """Save a run with two folds of loudness networks, correct for every unchanged song."""
    probabilities = np.eye(2)[dataset.segment_targets]
    fold = 1 + dataset.segment_songs % 2
    run = fabricate_run(folder, dataset, probabilities.tolist(), fold.tolist())
    for number in (1, 2):
        save_loudness_network(run.folder / f"fold-{number}" / "model.keras", dataset)
    return run


@pytest.mark.slow
def test_every_perturbed_song_is_evaluated_by_its_fold(tmp_path: Path) -> None:
    dataset = loud_and_soft(tmp_path)
    run = loudness_run(tmp_path / "run", dataset)
    result = invoke(EVALUATE, run.folder, "--robustness")
    assert result.returncode == 0, result.stderr
    out = run.folder / "evaluation"
    values = json.loads((out / "robustness.json").read_text())
    assert values["songs"] == 6
    results = {row["condition"]: row for row in values["conditions"]}
    assert list(results) == NAMES
    assert results["as it is"]["song_accuracy"] == 1.0
    assert results["as it is"]["segments"] == 2 * (4 + 2 + 1)
    assert results["beginning"]["segments"] == 2 * (3 + 2 + 1)
    assert results["beginning"]["called_alike"] == 1.0
    quiet = results["quiet"]  # loud and soft songs are all predicted as soft
    assert quiet["song_accuracy"] == quiet["song_mean_recall"] == quiet["called_alike"] == 0.5
    assert quiet["segment_accuracy"] == 0.5
    report = (out / "robustness.md").read_text()
    assert report in result.stdout
    assert "Evaluated on 6 songs: each of the 2 folds' networks on the songs not used" in report
    assert "# Evaluation of run" in result.stdout

    # Each fold has three of the six songs, and a wrong network changes only its own songs.
    invert_network(run.folder / "fold-2" / "model.keras")
    again = invoke(EVALUATE, run.folder, "--robustness", "--out", tmp_path / "again")
    assert again.returncode == 0, again.stderr
    values = json.loads((tmp_path / "again" / "robustness.json").read_text())
    assert values["conditions"][0]["song_accuracy"] == pytest.approx(3 / 6)


def invert_network(file: Path) -> None:
    """Make a network predict the opposite."""
    import keras

    network = keras.models.load_model(file)
    network.layers[-1].set_weights([-w for w in network.layers[-1].get_weights()])
    network.save(file)


@pytest.mark.slow
def test_log_mel_run_without_folds_uses_heldout_songs(
    tmp_path: Path,
) -> None:
    from pocketgenre.training.evaluation.robustness import evaluate_robustness

    dataset = loud_and_soft(tmp_path, LOG_MEL_CONFIG)
    run = fabricate_run(tmp_path / "run", dataset, np.eye(2)[dataset.segment_targets].tolist())
    save_loudness_network(run.folder / "model.keras", dataset)
    segments = np.flatnonzero(np.isin(dataset.segment_songs, [0, 3]))  # one song of each genre
    np.savez(
        run.folder / "heldout.npz",
        fold=np.ones(len(segments), int),
        segment=segments,
        probabilities=np.eye(2)[dataset.segment_targets[segments]],
    )
    evaluated = []
    robustness = evaluate_robustness(run, dataset, lambda: evaluated.append(1))
    assert robustness.songs == len(evaluated) == 2
    by_name = {result.perturbation: result for result in robustness.perturbations}
    assert by_name["as it is"].song_accuracy == 1.0
    assert by_name["narrow"].segment_accuracy == by_name["as it is"].segment_accuracy


@pytest.mark.slow
def test_missing_or_changed_audio_is_an_error(tmp_path: Path) -> None:
    dataset = loud_and_soft(tmp_path)
    run = loudness_run(tmp_path / "run", dataset)
    from pocketgenre.training.evaluation.robustness import evaluate_robustness

    file = dataset.audio / "loud" / "0.wav"
    write_audio(file, noise(4.0)[:, np.newaxis], 22_050)
    with pytest.raises(DataError, match=r"has changed since .* prepare the data set again"):
        evaluate_robustness(run, dataset)
    file.unlink()
    with pytest.raises(DataError, match="The audio of loud/0 has changed since"):
        evaluate_robustness(run, dataset)
    dataset.audio.rename(tmp_path / "moved")
    result = invoke(EVALUATE, run.folder, "--robustness")
    assert result.returncode == 1
    assert "is no longer at" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (run.folder / "evaluation" / "robustness.json").exists()


def test_robustness_needs_heldout_songs(tmp_path: Path) -> None:
    dataset = loud_and_soft(tmp_path)
    probabilities = np.eye(2)[dataset.segment_targets].tolist()
    run = fabricate_run(tmp_path / "leaky", dataset, probabilities, protocol="segments")
    leaky = invoke(EVALUATE, run.folder, "--robustness")
    other = invoke(EVALUATE, run.folder, dataset.folder, "--robustness")
    for result, sentence in (
        (leaky, "trained on parts of the songs to evaluate"),
        (other, "remove DATASET"),
    ):
        assert result.returncode == 1
        assert sentence in result.stderr
        assert "Traceback" not in result.stderr
        assert result.stdout == ""
    assert not (run.folder / "evaluation").exists()
