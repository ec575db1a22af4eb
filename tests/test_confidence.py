"""Compute the probability that a label is correct from votes and probabilities."""

import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketgenre.confidence import ConfidenceModel, SongEvidence
from pocketgenre.errors import ModelError
from pocketgenre.models.model_card import ModelCard, read_model
from pocketgenre.models.pretrained import PRETRAINED

MODEL = ConfidenceModel(-1.0, SongEvidence(0.3, 0.7, 2.0, 0.5), min_confidence=0.75)
UNIT = st.floats(0, 1)


def confidence(probability: float, share: float, margin: float, votes: int) -> float:
    return MODEL.confidence(SongEvidence.of(probability, share, margin, votes))


def test_confidence_is_a_logistic_regression() -> None:
    # log-odds of 0.5 are 0, and the logarithm of one vote is 0
    assert confidence(0.5, 1.0, 0.3, 1) == pytest.approx(0.5744425)  # of -1 + 0.7 + 0.6


@given(UNIT, UNIT, st.floats(-1, 1), st.integers(1, 10_000))
def test_confidence_is_between_zero_and_one(
    probability: float, share: float, margin: float, votes: int
) -> None:
    assert 0 < confidence(probability, share, margin, votes) < 1


def test_certain_probability_is_bounded() -> None:
    assert confidence(1.0, 1.0, 1.0, 1) < 0.99


def test_more_than_ten_segments_raise_no_confidence() -> None:
    assert confidence(0.5, 0.8, 0.2, 3) < confidence(0.5, 0.8, 0.2, 10)
    assert confidence(0.5, 0.8, 0.2, 10) == confidence(0.5, 0.8, 0.2, 400)


def test_card_stores_the_confidence() -> None:
    _, card = read_model(PRETRAINED["standard"])
    assert ModelCard.from_json(replace(card, confidence=MODEL).to_json()).confidence == MODEL


@pytest.mark.parametrize(
    "change",
    [
        {"intercept": "much"},
        {"intercept": float("nan")},
        {"weights": {}},
        {"weights": None},
        {"min_confidence": 1.5},
    ],
)
def test_card_with_invalid_confidence_is_rejected(change: dict) -> None:
    _, card = read_model(PRETRAINED["standard"])
    values = json.loads(card.to_json()) | {"confidence": asdict(MODEL) | change}
    with pytest.raises(ModelError, match="incomplete or malformed"):
        ModelCard.from_json(json.dumps(values))
