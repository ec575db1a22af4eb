"""Send a device's features to the server."""

import io
from pathlib import Path

import httpx
import numpy as np

from pocketgenre.audio.decoding import stream_mono
from tests.server.servers import Server


def decode_song(path: Path, sample_rate: int = 22_050, **options) -> np.ndarray:
    return np.concatenate(list(stream_mono(path, sample_rate, **options)))


def npy_bytes(table: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, table)
    return file.getvalue()


def post_features(server: Server, song: Path, features: bytes, **query) -> httpx.Response:
    files = {"file": ("song.wav", song.read_bytes()), "features": ("features", features)}
    with server.client() as client:
        return client.post("/v1/parity", files=files, params=query)


def compare(server: Server, song: Path, features: bytes, **query) -> dict:
    """Return the comparison of features, by default those of the standard model."""
    response = post_features(server, song, features, **({"model": "standard"} | query))
    return response.raise_for_status().json()
