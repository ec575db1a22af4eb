"""Features that are none: refused before anything is made of them."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import write_tone
from tests.server.porting import as_npy, refuse
from tests.server.serving import Serving


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tone(tmp_path_factory.mktemp("hostile") / "song.wav", 9.0)


def with_shape(shape: str, numbers: int = 5) -> bytes:
    """So many numbers and a header that has them of another shape."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(8 * numbers)


class Harm:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("/tmp/harmed-by-a-pickle"),))


@pytest.mark.parametrize(
    "features",
    {
        "pickle": as_npy(np.array([[Harm()]], dtype=object)),
        "bare pickle": pickle.dumps(Harm()),
        "header of a terabyte": as_npy(np.zeros((2, 2))).replace(b"(2, 2)", b"(9**9,"[:6]),
        "more than it holds": as_npy(np.zeros((2, 2)))[:-8],
        "strings": as_npy(np.array([["a", "b"]])),
        "complex": as_npy(np.ones((2, 2), complex)),
        "not numbers": as_npy(np.full((130, 13), np.nan)),
        "four axes": as_npy(np.zeros((1, 1, 130, 13))),
        "nothing": as_npy(np.zeros((0, 13))),
        "lengths below zero": with_shape("(-1, -5)"),
        "three of them": with_shape("(-1, -1, 5)"),
        "one that is unknown": with_shape("(-1, 5)"),
        "nothing of a huge length": with_shape(f"(0, {10**30})", 0),
        "nothing of a large length": with_shape(f"(0, {2**62})", 0),
        "a truth for a length": with_shape("(True, 1, 5)"),
        "ragged": b"[[1, 2], [3]]",
        "deep": b"[" * 100_000,
        "a word": b'"features"',
        "an object": b'{"feature": [[1]]}',
        "infinite": b"[[1e999, 2]]",
        "audio": b"RIFF" + bytes(1_000),
        "empty": b"",
        "magic alone": b"\x93NUMPY",
        "too many segments": as_npy(np.zeros((900, 188, 96), np.int8)),
    }.items(),
    ids=lambda item: item[0],
)
def test_features_that_are_none_are_refused(
    server: Serving, song: Path, features: tuple[str, bytes]
) -> None:
    assert refuse(server, song, features[1])
    assert not Path("/tmp/harmed-by-a-pickle").exists()
