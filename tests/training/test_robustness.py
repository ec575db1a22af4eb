"""``evaluate-model --robustness``: songs as phones have them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.demo.synthetic import write_audio
from pocketgenre.features.config import LOG_MEL_CONFIG, MFCC_CONFIG, FeatureConfig
from pocketgenre.training.data.dataset import Dataset, save_dataset
from pocketgenre.training.data.librosa_features import song_features
from pocketgenre.training.data.songs import DataError, LabelledSong
from pocketgenre.training.evaluation.perturbations import (
    CONDITIONS,
    as_it_is,
    band_limited,
    beginning,
    quieter,
    through_low_rate_mp3,
    through_mp3,
)
from pocketgenre.training.runs import Run
from tests.conftest import Command, tone
from tests.training.fabricated import fabricate_run

EVALUATE = "pocketgenre.training.cli.evaluate_model"
NAMES = [condition.name for condition in CONDITIONS]


def noise(seconds: float, rate: int = 22_050) -> np.ndarray:
    samples = np.random.default_rng(2).normal(scale=0.1, size=round(seconds * rate))
    return samples.astype(np.float32)


def power(samples: np.ndarray, rate: int, above: float, below: float) -> float:
    """Mean power between two frequencies."""
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / rate)
    return float(spectrum[(hz >= above) & (hz < below)].mean())


@pytest.mark.parametrize("rate", [22_050, 16_000])
@pytest.mark.parametrize("change", [through_mp3, through_low_rate_mp3])
def test_an_mp3_sounds_alike_at_the_same_place_and_is_not_the_same(
    change: Callable[[np.ndarray, int], np.ndarray], rate: int
) -> None:
    samples = tone(440.0, 3.0, rate)[:, 0] + 0.1 * noise(3.0, rate)
    decoded = change(samples, rate)
    assert decoded.dtype == np.float32
    assert abs(len(decoded) - len(samples)) < 0.2 * rate
    both = min(len(decoded), len(samples))
    assert np.corrcoef(decoded[:both], samples[:both])[0, 1] > 0.9
    assert not np.allclose(decoded[:both], samples[:both], atol=1e-3)


def test_an_mp3_of_a_low_rate_loses_the_top_of_the_band() -> None:
    samples = noise(3.0)
    usual, low_rate = through_mp3(samples, 22_050), through_low_rate_mp3(samples, 22_050)
    assert power(low_rate, 22_050, 5_000, 9_000) > 0.5 * power(usual, 22_050, 5_000, 9_000)
    assert power(low_rate, 22_050, 10_500, 10_900) < 1e-3 * power(usual, 22_050, 10_500, 10_900)


def test_a_narrow_band_loses_what_a_16_khz_file_cannot_hold_and_nothing_else() -> None:
    samples = noise(3.0)
    narrow = band_limited(samples, 22_050)
    assert len(narrow) == len(samples)
    assert narrow.dtype == np.float32
    assert power(narrow, 22_050, 8_500, 11_000) < 1e-6 * power(samples, 22_050, 8_500, 11_000)
    kept = power(narrow, 22_050, 100, 7_000) / power(samples, 22_050, 100, 7_000)
    assert kept == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("length", [22_050, 22_051, 50_001, 66_149])
def test_a_narrow_band_keeps_any_length(length: int) -> None:
    assert len(band_limited(noise(3.0)[:length], 22_050)) == length


def test_a_song_that_is_narrow_already_stays_as_it_is() -> None:
    samples = noise(2.0, 16_000)
    np.testing.assert_array_equal(band_limited(samples, 16_000), samples)


def test_20_db_less_are_a_tenth_of_the_amplitude() -> None:
    samples = noise(1.0)
    np.testing.assert_allclose(quieter(samples, 22_050), samples / 10, rtol=1e-6)


def test_the_beginning_is_the_first_ten_seconds_or_all_of_a_shorter_song() -> None:
    samples = noise(12.0)
    np.testing.assert_array_equal(beginning(samples, 22_050), samples[:220_500])
    np.testing.assert_array_equal(beginning(samples[:30_000], 22_050), samples[:30_000])


def test_the_song_as_it_is_comes_first_and_no_change_touches_the_samples_given() -> None:
    assert CONDITIONS[0].change is as_it_is
    samples = noise(2.0)
    before = samples.copy()
    for condition in CONDITIONS:
        condition.change(samples, 22_050)
    np.testing.assert_array_equal(samples, before)


def loud_and_soft(folder: Path, feature_config: FeatureConfig = MFCC_CONFIG) -> Dataset:
    """Two genres that loudness alone tells apart, with the audio: 12 s, 6 s and a 2 s clip."""
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


def save_loudness_meter(file: Path, dataset: Dataset) -> None:
    """A network that calls a segment by the mean of its first coefficient."""
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
    # The border lies a little below the loud songs: turned down, they are called soft.
    border = 0.95 * loud.mean() + 0.05 * soft.mean()
    outputs.set_weights([kernel, np.array([-slope * border, slope * border])])
    network.save(file)


def meter_run(folder: Path, dataset: Dataset) -> Run:
    """Two folds of such networks, which are right about every song as it is."""
    said = np.eye(2)[dataset.segment_targets]
    fold = 1 + dataset.segment_songs % 2
    run = fabricate_run(folder, dataset, said.tolist(), fold.tolist())
    for number in (1, 2):
        save_loudness_meter(run.folder / f"fold-{number}" / "model.keras", dataset)
    return run


@pytest.mark.slow
def test_every_song_is_judged_under_each_condition_by_the_network_that_has_not_heard_it(
    tmp_path: Path, run_command: Command
) -> None:
    dataset = loud_and_soft(tmp_path)
    run = meter_run(tmp_path / "run", dataset)
    result = run_command(EVALUATE, run.folder, "--robustness")
    assert result.returncode == 0, result.stderr
    out = run.folder / "evaluation"
    values = json.loads((out / "robustness.json").read_text())
    assert values["songs"] == 6
    figures = {row["condition"]: row for row in values["conditions"]}
    assert list(figures) == NAMES
    assert figures["as it is"]["song_accuracy"] == 1.0
    assert figures["as it is"]["segments"] == 2 * (4 + 2 + 1)
    assert figures["beginning"]["segments"] == 2 * (3 + 2 + 1)
    assert figures["beginning"]["called_alike"] == 1.0
    quiet = figures["quiet"]  # the loud ones are called soft, the soft ones still are
    assert quiet["song_accuracy"] == quiet["song_mean_recall"] == quiet["called_alike"] == 0.5
    assert quiet["segment_accuracy"] == 0.5
    page = (out / "robustness.md").read_text()
    assert page in result.stdout
    assert "Judged on 6 songs: 2 folds' networks, each on those that it was not trained on" in page
    assert "# Evaluation of run" in result.stdout

    # Each fold judges three of the six songs, and a network that errs is seen in its own alone.
    save_contrary(run.folder / "fold-2" / "model.keras")
    again = run_command(EVALUATE, run.folder, "--robustness", "--out", tmp_path / "again")
    assert again.returncode == 0, again.stderr
    values = json.loads((tmp_path / "again" / "robustness.json").read_text())
    assert values["conditions"][0]["song_accuracy"] == pytest.approx(3 / 6)


def save_contrary(file: Path) -> None:
    """Make a network say the opposite."""
    import keras

    network = keras.models.load_model(file)
    network.layers[-1].set_weights([-w for w in network.layers[-1].get_weights()])
    network.save(file)


@pytest.mark.slow
def test_a_run_without_folds_and_of_log_mel_features_is_judged_on_its_judged_part(
    tmp_path: Path,
) -> None:
    from pocketgenre.training.evaluation.robustness import judge_robustness

    dataset = loud_and_soft(tmp_path, LOG_MEL_CONFIG)
    run = fabricate_run(tmp_path / "run", dataset, np.eye(2)[dataset.segment_targets].tolist())
    save_loudness_meter(run.folder / "model.keras", dataset)
    judged = np.flatnonzero(np.isin(dataset.segment_songs, [0, 3]))  # one song of each genre
    np.savez(
        run.folder / "heldout.npz",
        fold=np.ones(len(judged), int),
        segment=judged,
        probabilities=np.eye(2)[dataset.segment_targets[judged]],
    )
    seen = []
    robustness = judge_robustness(run, dataset, lambda: seen.append(1))
    assert robustness.songs == len(seen) == 2
    by_name = {figures.condition: figures for figures in robustness.conditions}
    assert by_name["as it is"].song_accuracy == 1.0
    assert by_name["narrow"].segment_accuracy == by_name["as it is"].segment_accuracy


@pytest.mark.slow
def test_audio_that_is_gone_or_has_changed_is_answered_in_one_sentence(
    tmp_path: Path, run_command: Command
) -> None:
    dataset = loud_and_soft(tmp_path)
    run = meter_run(tmp_path / "run", dataset)
    from pocketgenre.training.evaluation.robustness import judge_robustness

    file = dataset.audio / "loud" / "0.wav"
    write_audio(file, noise(4.0)[:, np.newaxis], 22_050)
    with pytest.raises(DataError, match="has changed since"):
        judge_robustness(run, dataset)
    file.unlink()
    with pytest.raises(DataError, match="The audio of loud/0 is no longer what"):
        judge_robustness(run, dataset)
    dataset.audio.rename(tmp_path / "moved")
    result = run_command(EVALUATE, run.folder, "--robustness")
    assert result.returncode == 1
    assert "is not at" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (run.folder / "evaluation" / "robustness.json").exists()


def test_songs_that_the_networks_have_heard_prove_nothing(
    tmp_path: Path, run_command: Command
) -> None:
    dataset = loud_and_soft(tmp_path)
    said = np.eye(2)[dataset.segment_targets].tolist()
    run = fabricate_run(tmp_path / "leaky", dataset, said, protocol="segments")
    leaky = run_command(EVALUATE, run.folder, "--robustness")
    other = run_command(EVALUATE, run.folder, dataset.folder, "--robustness")
    for result, sentence in (
        (leaky, "have heard parts of the songs they judge"),
        (other, "name no DATASET"),
    ):
        assert result.returncode == 1
        assert sentence in result.stderr
        assert "Traceback" not in result.stderr
        assert result.stdout == ""
    assert not (run.folder / "evaluation").exists()
