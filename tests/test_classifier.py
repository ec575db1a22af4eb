"""The shipped model labels songs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.classifier import Classifier
from pocketgenre.demo.synthetic import write_audio
from pocketgenre.errors import AudioError, ModelError
from pocketgenre.features.mfcc import mfcc
from pocketgenre.models.model_card import read_model
from pocketgenre.models.pretrained import PRETRAINED
from tests.conftest import tone, write_tone


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.load(PRETRAINED["standard"])


def test_a_song_gets_a_vote_a_segment(classifier: Classifier, library: Path) -> None:
    for path in library.iterdir():
        vote = classifier.label(path)
        assert vote.segments == 2, path
        assert vote.genre in classifier.card.labels
        assert sum(vote.probabilities.values()) == pytest.approx(1.0, abs=0.05)


def test_features_in_probabilities_out(classifier: Classifier) -> None:
    features = np.stack([mfcc(tone(hz, 3.0)[:, 0]) for hz in (100.0, 1_000.0)])
    probabilities = classifier.predict(features)
    assert probabilities.shape == (2, 10)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=0.02)


def test_a_clip_of_one_second_is_labelled_and_a_shorter_one_is_not(
    classifier: Classifier, tmp_path: Path
) -> None:
    assert classifier.label(write_tone(tmp_path / "1.wav", 1.0)).segments == 1
    with pytest.raises(AudioError, match="too short"):
        classifier.label(write_tone(tmp_path / "0.9.wav", 0.9))


def test_silence_has_no_genre(classifier: Classifier, tmp_path: Path) -> None:
    write_audio(tmp_path / "silence.flac", np.zeros((100_000, 1), np.float32), 22_050)
    with pytest.raises(AudioError, match="only silence"):
        classifier.label(tmp_path / "silence.flac")


def test_a_song_that_breaks_in_the_middle_counts_as_far_as_it_went(
    classifier: Classifier, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (661_500, 1)).astype(np.float32)
    write_audio(tmp_path / "song.flac", noise, 22_050)
    whole = (tmp_path / "song.flac").read_bytes()
    (tmp_path / "song.flac").write_bytes(whole[: len(whole) // 2])
    assert 3 <= classifier.label(tmp_path / "song.flac").segments <= 5


def test_a_card_with_other_labels_than_the_model_has_outputs_is_refused() -> None:
    model, card = read_model(PRETRAINED["standard"])
    with pytest.raises(ModelError, match=r"output has shape \(1, 10\), but its card says \(1, 2\)"):
        Classifier(model, replace(card, labels=("blues", "rock")))


def test_a_card_with_another_front_end_is_refused() -> None:
    model, card = read_model(PRETRAINED["standard"])
    with pytest.raises(ModelError, match="input has shape"):
        Classifier(model, replace(card, feature_config=replace(card.feature_config, n_mfcc=20)))


def test_a_broken_model_is_refused() -> None:
    model, card = read_model(PRETRAINED["standard"])
    with pytest.raises(ModelError, match="cannot run this model"):
        Classifier(model[:64] + bytes(64), card)


def test_real_songs_that_it_was_trained_on_are_mostly_right(
    classifier: Classifier, gtzan: Path
) -> None:
    songs = [f"{genre}.0000{n}" for genre in ("blues", "classical", "metal") for n in range(4)]
    right = sum(
        classifier.label(gtzan / "audio" / song.split(".")[0] / f"{song}.ogg").genre
        == song.split(".")[0]
        for song in songs
    )
    assert right >= 10
