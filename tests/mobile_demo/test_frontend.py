"""The front end's parameters travel in a card and are checked when they come back."""

import pytest

from mobile_demo.errors import ModelError
from mobile_demo.frontend import FRONT_ENDS, LOG_MEL, STANDARD, FrontEnd


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
        "features": "mfcc",
    }
    assert STANDARD.segment_seconds == 3.0


def test_log_mel_is_musicnns() -> None:
    assert LOG_MEL.to_dict() == {
        "sample_rate": 16_000,
        "segment_samples": 48_000,
        "n_fft": 512,
        "hop_length": 256,
        "n_mels": 96,
        "amin": 1e-5,
        "level": 3_000.0,
        "features": "log-mel",
    }
    assert LOG_MEL.shape == (188, 96)


@pytest.mark.parametrize("front_end", [FrontEnd(n_mfcc=20), *FRONT_ENDS.values()])
def test_it_survives_a_round_trip(front_end: FrontEnd) -> None:
    assert FrontEnd.from_dict(front_end.to_dict()) == front_end


def test_without_a_kind_it_is_of_the_time_when_there_was_mfcc_alone() -> None:
    values = STANDARD.to_dict()
    del values["features"]
    assert FrontEnd.from_dict(values) == STANDARD


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
        {"features": "chroma"},
        {"features": "log-mel"},
        {"features": None},
    ],
)
def test_impossible_parameters_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ModelError):
        FrontEnd.from_dict({**STANDARD.to_dict(), **change})


@pytest.mark.parametrize("values", [None, [], {}, "x"])
def test_what_is_not_a_front_end_is_refused(values: object) -> None:
    with pytest.raises(ModelError):
        FrontEnd.from_dict(values)
