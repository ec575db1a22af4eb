"""The server's predictions equal those of a scan."""

import json
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.audio.decoding import stream_mono
from pocketgenre.audio.segments import cut_segments
from pocketgenre.classifier import GenreClassifier
from pocketgenre.features import compute_features
from pocketgenre.features.mfcc import mfcc
from pocketgenre.models.model_card import read_model
from pocketgenre.models.pretrained import MODELS_BY_NAME
from tests.conftest import invoke, write_tone
from tests.library.broken import write_odd_library
from tests.parity.devices import compare, decode_song, npy_bytes
from tests.server.servers import Server


def rounded(text: str) -> dict:
    """Read JSON without the last digits, which differ with the position in memory (NumPy 1.26)."""
    return json.loads(text, parse_float=lambda number: round(float(number), 4))


def scan(folder: Path, *options: str) -> dict[str, dict]:
    """Return the JSON of each song of a scan, by path."""
    result = invoke("pocketgenre.cli.scan_library", folder, "--format", "json", *options)
    assert result.returncode == 0, result.stderr
    return {song["path"]: song for song in json.loads(result.stdout)}


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ((), {}),
        (("--model", "standard"), {"model": "standard"}),
        (
            ("--vote", "probability", "--min-margin", "0.2"),
            {"vote": "probability", "min_margin": 0.2},
        ),
    ],
    ids=["best", "standard", "thresholds"],
)
def test_classify_equals_scan_of_mixed_library(
    server: Server, songs: Path, options: tuple[str, ...], query: dict
) -> None:
    scanned = scan(songs, *options, "--workers", "0")
    assert len(scanned) == 15
    assert all(song["error"] is None for song in scanned.values())
    files = [songs / name for name in scanned]
    response = server.post("/v1/classify", *files, params=query).raise_for_status().json()
    assert [song["name"] for song in response["songs"]] == list(scanned)
    for song, expected in zip(response["songs"], scanned.values(), strict=True):
        for field in set(expected) - {"path", "error"}:
            assert song[field] == expected[field], (song["name"], field)
        assert song["error"] is None


def test_classify_equals_scan_of_broken_files(server: Server, tmp_path: Path) -> None:
    write_odd_library(tmp_path)
    scanned = scan(tmp_path)
    compared = 0
    for name, expected in scanned.items():
        path = Path(tmp_path, name)
        if not path.is_file():
            continue  # a pipe or a loop, which cannot be sent
        response = server.post("/v1/classify", path)
        content = response.json()
        if expected["error"] is None:
            assert response.status_code == 200, content
            assert content["songs"][0]["genre"] == expected["genre"], name
        else:
            assert response.status_code in (415, 422), (name, content)
            assert response.headers["content-type"] == "application/problem+json"
            assert content["detail"].lower() == f"{expected['error']}.".lower()
        compared += 1
    assert compared >= 25


def test_classify_equals_scan_of_real_songs(server: Server, gtzan: Path, tmp_path: Path) -> None:
    for path in sorted((gtzan / "audio").glob("*/*.ogg"))[::60]:
        (tmp_path / path.name).symlink_to(path)
    scanned = scan(tmp_path, "--workers", "0")
    assert len(scanned) >= 7
    for name, expected in scanned.items():
        response = server.post("/v1/classify", tmp_path / name).raise_for_status()
        song = response.json()["songs"][0]
        assert song["genre"] == expected["genre"]
        assert song["probabilities"] == expected["probabilities"]


def test_bad_file_does_not_fail_other_files(server: Server, songs: Path, tmp_path: Path) -> None:
    (tmp_path / "diary.mp3").write_text("Dear diary, " * 1000)
    bad, good = tmp_path / "diary.mp3", songs / "Bells.m4a"
    both = server.post("/v1/classify", bad, good).raise_for_status().json()["songs"]
    assert both[0]["error"]["code"] == "not-audio"
    assert both[0]["genre"] is None
    assert both[1]["genre"]
    only_bad = server.post("/v1/classify", bad, bad)
    assert only_bad.status_code == 415
    assert only_bad.json()["code"] == "not-audio"


def test_segments_equal_classifier(server: Server, songs: Path) -> None:
    song = songs / "Broken beat.mp3"
    response = server.post("/v1/classify/segments", song, params={"outline": True})
    content = response.raise_for_status().json()
    expected = GenreClassifier("best").analyze(song).probabilities
    np.testing.assert_allclose(content["probabilities"], expected, atol=1e-3)
    assert content["seconds_per_segment"] == 3.0
    outline = content["outline"]
    columns = 2 * 30
    assert len(outline["lowest"]) == len(outline["highest"]) == len(outline["features"]) == columns
    assert outline["seconds_per_column"] == pytest.approx(0.1)
    samples = np.concatenate(list(stream_mono(song, 16_000)))[:96_000].reshape(columns, -1)
    np.testing.assert_allclose(outline["highest"], samples.max(axis=1), atol=1e-3)
    np.testing.assert_allclose(outline["lowest"], samples.min(axis=1), atol=1e-3)


def test_outline_of_long_song_is_limited(server: Server, tmp_path: Path) -> None:
    song = write_tone(tmp_path / "long.flac", 108.0)
    content = server.post("/v1/classify/segments", song, params={"outline": True}).json()
    assert len(content["probabilities"]) == 36
    assert 500 < len(content["outline"]["lowest"]) <= 1_000
    covered = len(content["outline"]["features"]) * content["outline"]["seconds_per_column"]
    assert covered == pytest.approx(108.0, abs=1.0)


def test_outline_is_optional(server: Server, songs: Path) -> None:
    assert server.post("/v1/classify/segments", songs / "opus.opus").json()["outline"] is None


@pytest.mark.parametrize("model", ["best", "standard", "standard_waveform"])
def test_features_equal_library(server: Server, songs: Path, model: str) -> None:
    song = songs / "Slow pad.wav"
    feature_config = read_model(MODELS_BY_NAME[model])[1].feature_config
    segments = cut_segments(stream_mono(song, feature_config.sample_rate), feature_config)
    expected = np.stack([compute_features(segment, feature_config) for segment in segments])
    content = server.post("/v1/features", song, params={"model": model}).raise_for_status().json()
    assert content["shape"] == list(expected.shape) == [2, *feature_config.shape]
    assert content["front_end"] == feature_config.to_dict()
    np.testing.assert_allclose(content["features"], expected, atol=1e-5)


def test_features_as_npy_equal_the_mfcc(server: Server, songs: Path, tmp_path: Path) -> None:
    song = songs / "Slow pad.wav"
    choice = {"model": "standard", "format": "npy", "first": 1, "count": 1}
    content = server.post("/v1/features", song, params=choice).raise_for_status().content
    (tmp_path / "features.npy").write_bytes(content)
    segments = list(cut_segments(stream_mono(song, 22_050)))
    table = np.load(tmp_path / "features.npy", allow_pickle=False)
    # The matrix products of NumPy 1.26 differ in the last bit with the position in memory.
    np.testing.assert_allclose(table, mfcc(segments[1])[np.newaxis], rtol=2e-6)


def test_unknown_segment_is_refused(server: Server, songs: Path) -> None:
    response = server.post("/v1/features", songs / "Slow pad.wav", params={"first": 2})
    assert (response.status_code, response.json()["code"]) == (404, "unknown-segment")
    assert "no segment 2" in response.json()["detail"]


def test_parity_equals_comparison_without_server(server: Server, songs: Path) -> None:
    song = songs / "Slow pad.wav"
    content = npy_bytes(-mfcc(decode_song(song)[66_150:132_300]))
    files = {"file": ("song.wav", song.read_bytes()), "features": ("device.npy", content)}
    with server.client() as client:
        response = rounded(client.post("/v1/parity?model=standard&first=1", files=files).text)
        wrong = client.post("/v1/parity", files=files | {"features": ("x", b'[["1"]]')})
    assert response.pop("model")["name"] == "standard"
    assert response == rounded(json.dumps(compare(song, content, first=1)))
    assert response["cause"]["code"] == "flipped-sign"
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid-features")
