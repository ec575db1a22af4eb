"""Invalid and hostile features are refused before they are decoded."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import write_tone
from tests.server.parity_requests import npy_bytes, post_features
from tests.server.servers import Server

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
    "too many segments": npy_bytes(np.zeros((900, 188, 96), np.int8)),
}


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tone(tmp_path_factory.mktemp("hostile") / "song.wav", 9.0)


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_features_are_refused(server: Server, song: Path, content: bytes) -> None:
    response = post_features(server, song, content)
    assert response.status_code == 422, response.text
    assert response.json()["code"] == "invalid-features"
    assert response.json()["detail"]
    assert not CREATED_BY_PICKLE.exists()
