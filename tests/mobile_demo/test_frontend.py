"""The front end's parameters travel in a card and are checked when they come back."""

import pytest

from mobile_demo.errors import ModelError
from mobile_demo.frontend import STANDARD, FrontEnd


def test_the_standard_is_gtzans() -> None:
    assert STANDARD.to_dict() == {
        "sample_rate": 22_050,
        "segment_samples": 66_150,
        "n_fft": 2_048,
        "hop_length": 512,
        "n_mels": 128,
        "n_mfcc": 13,
        "amin": 1e-10,
        "top_db": 80.0,
    }
    assert STANDARD.segment_seconds == 3.0


def test_it_survives_a_round_trip() -> None:
    front_end = FrontEnd(n_mfcc=20)
    assert FrontEnd.from_dict(front_end.to_dict()) == front_end


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
    ],
)
def test_impossible_parameters_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ModelError):
        FrontEnd.from_dict({**STANDARD.to_dict(), **change})


@pytest.mark.parametrize("values", [None, [], {}, "x"])
def test_what_is_not_a_front_end_is_refused(values: object) -> None:
    with pytest.raises(ModelError):
        FrontEnd.from_dict(values)
