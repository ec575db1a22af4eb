"""Read model cards, and check that they match their models."""

import json
from pathlib import Path

import pytest

from pocketgenre.errors import ModelError
from pocketgenre.features.config import MFCC_CONFIG
from pocketgenre.models.model_card import ModelCard, card_path, read_model
from pocketgenre.models.pretrained import PRETRAINED
from tests.conftest import GENRES


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Copy a pretrained model with its card."""
    path = tmp_path / "model.tflite"
    path.write_bytes(PRETRAINED["standard"].read_bytes())
    card_path(path).write_bytes(card_path(PRETRAINED["standard"]).read_bytes())
    return path


def test_pretrained_model_has_a_complete_card() -> None:
    _, card = read_model(PRETRAINED["standard"])
    assert card.labels == GENRES
    assert card.feature_config == MFCC_CONFIG
    assert {"data", "command", "protocol", "seed", "versions"} <= set(card.training)
    assert 0.3 < card.accuracy["song_accuracy_tflite"] < 1
    assert card.licence == "Apache-2.0"


def test_card_survives_a_round_trip(model: Path) -> None:
    _, card = read_model(model)
    assert ModelCard.from_json(card.to_json()) == card


def test_model_without_card_is_rejected(model: Path) -> None:
    card_path(model).unlink()
    with pytest.raises(ModelError, match="no model card at"):
        read_model(model)


def test_card_of_another_file_is_rejected(model: Path) -> None:
    model.write_bytes(model.read_bytes() + b"\0")
    with pytest.raises(ModelError, match="describes another file"):
        read_model(model)


def test_file_that_is_not_tflite_is_rejected(model: Path) -> None:
    model.write_text("not a model at all")
    with pytest.raises(ModelError, match="not a TFLite model"):
        read_model(model)


@pytest.mark.parametrize(
    "change",
    [
        {"labels": []},
        {"labels": ["rock", "rock"]},
        {"labels": "rock"},
        {"labels": None},
        {"labels": [1, 2]},
        {"labels": ["\x1b[31mred"]},
        {"front_end": {}},
        {"format": 99},
        {"training": 3},
        {"standardization": {"mean": "x"}},
    ],
)
def test_malformed_card_is_rejected_by_name(model: Path, change: dict) -> None:
    values = json.loads(card_path(model).read_text())
    card_path(model).write_text(json.dumps({**values, **change}))
    with pytest.raises(ModelError, match=r"model\.json"):
        read_model(model)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000])
def test_card_that_is_not_json_is_rejected(model: Path, text: str) -> None:
    card_path(model).write_text(text)
    with pytest.raises(ModelError, match="card is not"):
        read_model(model)
