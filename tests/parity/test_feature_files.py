"""Invalid and hostile features are refused before they are decoded."""

import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.features.config import LOG_MEL_CONFIG
from pocketgenre.parity.feature_files import FeaturesError, decode_features
from tests.parity.devices import npy_bytes

CREATED_BY_PICKLE = Path("/tmp/created-by-a-pickle")


def npy_with_shape(shape: str, count: int = 5) -> bytes:
    """Return a file of ``count`` numbers whose header has another shape."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(8 * count)


class HarmfulPickle:
    def __reduce__(self) -> tuple:
        return (Path.touch, (CREATED_BY_PICKLE,))


HOSTILE = {
    "pickle": npy_bytes(np.array([[HarmfulPickle()]], dtype=object)),
    "bare pickle": pickle.dumps(HarmfulPickle()),
    "header of a terabyte": npy_bytes(np.zeros((2, 2))).replace(b"(2, 2)", b"(9**9,"[:6]),
    "truncated data": npy_bytes(np.zeros((2, 2)))[:-8],
    "strings": npy_bytes(np.array([["a", "b"]])),
    "complex": npy_bytes(np.ones((2, 2), complex)),
    "not finite": npy_bytes(np.full((130, 13), np.nan)),
    "four axes": npy_bytes(np.zeros((1, 1, 130, 13))),
    "no frames": npy_bytes(np.zeros((0, 13))),
    "negative lengths": npy_with_shape("(-1, -5)"),
    "three negative lengths": npy_with_shape("(-1, -1, 5)"),
    "unknown length": npy_with_shape("(-1, 5)"),
    "empty with huge length": npy_with_shape(f"(0, {10**30})", 0),
    "empty with large length": npy_with_shape(f"(0, {2**62})", 0),
    "boolean length": npy_with_shape("(True, 1, 5)"),
    "ragged": b"[[1, 2], [3]]",
    "deeply nested": b"[" * 100_000,
    "string": b'"features"',
    "object without features": b'{"feature": [[1]]}',
    "infinite": b"[[1e999, 2]]",
    "audio": b"RIFF" + bytes(1_000),
    "empty": b"",
    "magic number only": b"\x93NUMPY",
    "out of the range of float32": npy_bytes(np.full((130, 13), 1e300)),
    "strings in JSON": b'[["1", "2"], ["3", "4"]]',
    "a string among numbers": b'[[1, 2], [3, "4"]]',
    "booleans in JSON": b"[[true, 1.5], [2, 3]]",
    "null among numbers": b"[[null, 1.5], [2, 3]]",
    "lists of two depths": b"[[[1], 2], [3, 4]]",
    "too many segments": npy_bytes(np.zeros((900, 188, 96), np.int8)),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_features_are_refused(content: bytes) -> None:
    with pytest.raises(FeaturesError, match=r"features|npy"):
        decode_features(content, LOG_MEL_CONFIG)
    assert not CREATED_BY_PICKLE.exists()


@pytest.mark.parametrize(
    "content",
    [b"[" + b"[]," * 10_000_000 + b"[]]", b"[" * 30_000_000, b'{"a":{},' * 4_000_000],
    ids=["lists", "brackets", "objects"],
)
def test_large_json_is_refused_before_parsing(content: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(FeaturesError, match="more features than can"):
            decode_features(content, LOG_MEL_CONFIG)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
