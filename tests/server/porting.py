"""What a port of the features sends to be held against ours."""

import io
from pathlib import Path

import numpy as np

from pocketgenre.audio.decoding import stream_mono
from tests.server.serving import Serving


def samples_of(path: Path, rate: int = 22_050, **options) -> np.ndarray:
    return np.concatenate(list(stream_mono(path, rate, **options)))


def as_npy(table: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, table)
    return file.getvalue()


def ask(server: Serving, song: Path, features: bytes, **choice) -> dict:
    files = {"file": ("song.wav", song.read_bytes()), "features": ("features", features)}
    with server.client() as client:
        response = client.post("/v1/parity", files=files, params={"model": "standard", **choice})
    return response.raise_for_status().json()


def refuse(server: Serving, song: Path, features: bytes) -> str:
    files = {"file": ("song.wav", song.read_bytes()), "features": ("features", features)}
    with server.client() as client:
        response = client.post("/v1/parity", files=files)
    assert response.status_code == 422, response.text
    assert response.json()["code"] == "invalid-features"
    return response.json()["detail"]
