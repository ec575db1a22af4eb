"""The endpoint says what the scanner says."""

import json
from pathlib import Path

import numpy as np
import pytest

from pocketgenre.audio.decoding import stream_mono
from pocketgenre.audio.segments import cut_segments
from pocketgenre.classifier import Classifier
from pocketgenre.features import compute_features
from pocketgenre.models.pretrained import PRETRAINED, PRETRAINED_WAVEFORM
from tests.conftest import Command, write_tone
from tests.library.broken import write_odd_library
from tests.server.serving import Serving

SCAN = "pocketgenre.cli.scan_library"


def scanned(run_command: Command, folder: Path, *options: str) -> dict[str, dict]:
    result = run_command(SCAN, folder, "--format", "json", *options)
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
    ids=["best", "standard", "by probability, sure ones"],
)
def test_every_song_of_a_mixed_library_is_called_what_the_scanner_calls_it(
    server: Serving, songs: Path, run_command: Command, options: tuple[str, ...], query: dict
) -> None:
    scan = scanned(run_command, songs, *options)
    assert len(scan) == 15
    assert all(song["error"] is None for song in scan.values())
    files = [songs / name for name in scan]
    answer = server.post("/v1/classify", *files, params=query).raise_for_status().json()
    assert [song["name"] for song in answer["songs"]] == list(scan)
    for said, expected in zip(answer["songs"], scan.values(), strict=True):
        for field in set(expected) - {"path", "error"}:
            assert said[field] == expected[field], (said["name"], field)
        assert said["error"] is None


def test_a_library_of_odd_and_broken_files_too(
    server: Serving, tmp_path: Path, run_command: Command
) -> None:
    write_odd_library(tmp_path)
    scan = scanned(run_command, tmp_path)
    compared = 0
    for name, expected in scan.items():
        path = Path(tmp_path, name)
        if not path.is_file():
            continue  # a pipe, a loop: nothing that could be sent
        response = server.post("/v1/classify", path)
        answer = response.json()
        if expected["error"] is None:
            assert response.status_code == 200, answer
            assert answer["songs"][0]["genre"] == expected["genre"], name
        else:
            assert response.status_code in (415, 422), (name, answer)
            assert response.headers["content-type"] == "application/problem+json"
            assert answer["detail"].lower() == f"{expected['error']}.".lower()
        compared += 1
    assert compared >= 25


def test_real_songs_too(server: Serving, gtzan: Path, run_command: Command, tmp_path: Path) -> None:
    for path in sorted((gtzan / "audio").glob("*/*.ogg"))[::60]:
        (tmp_path / path.name).symlink_to(path)
    scan = scanned(run_command, tmp_path)
    assert len(scan) >= 7
    for name, expected in scan.items():
        said = server.post("/v1/classify", tmp_path / name).raise_for_status().json()["songs"][0]
        assert said["genre"] == expected["genre"]
        assert said["probabilities"] == expected["probabilities"]


def test_of_several_files_a_bad_one_has_its_reason_and_the_others_their_genres(
    server: Serving, songs: Path, tmp_path: Path
) -> None:
    (tmp_path / "diary.mp3").write_text("Dear diary, " * 1000)
    bad, good = tmp_path / "diary.mp3", songs / "Bells.m4a"
    both = server.post("/v1/classify", bad, good).raise_for_status().json()["songs"]
    assert both[0]["error"]["code"] == "not-audio"
    assert both[0]["genre"] is None
    assert both[1]["genre"]
    alone = server.post("/v1/classify", bad, bad)
    assert alone.status_code == 415
    assert alone.json()["code"] == "not-audio"


def test_segments_are_the_classifiers_own(server: Serving, songs: Path) -> None:
    song = songs / "Broken beat.mp3"
    response = server.post("/v1/classify/segments", song, params={"outline": True})
    answer = response.raise_for_status().json()
    expected = Classifier.load(PRETRAINED["best"]).segment_probabilities(song)
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-3)
    assert answer["seconds_per_segment"] == 3.0
    outline = answer["outline"]
    columns = 2 * 30
    assert len(outline["lowest"]) == len(outline["highest"]) == len(outline["features"]) == columns
    assert outline["seconds_per_column"] == pytest.approx(0.1)
    samples = np.concatenate(list(stream_mono(song, 16_000)))[:96_000].reshape(columns, -1)
    np.testing.assert_allclose(outline["highest"], samples.max(axis=1), atol=1e-3)
    np.testing.assert_allclose(outline["lowest"], samples.min(axis=1), atol=1e-3)


def test_a_long_song_is_drawn_in_a_thousand_columns(server: Serving, tmp_path: Path) -> None:
    song = write_tone(tmp_path / "long.flac", 330.0)
    answer = server.post("/v1/classify/segments", song, params={"outline": True}).json()
    assert len(answer["probabilities"]) == 110
    assert 500 < len(answer["outline"]["lowest"]) <= 1_000
    drawn = len(answer["outline"]["features"]) * answer["outline"]["seconds_per_column"]
    assert drawn == pytest.approx(330.0, abs=1.0)


def test_without_an_outline_none_is_sent(server: Serving, songs: Path) -> None:
    assert server.post("/v1/classify/segments", songs / "opus.opus").json()["outline"] is None


@pytest.mark.parametrize("model", ["best", "standard", "standard_waveform"])
def test_features_are_those_that_the_device_computes(
    server: Serving, songs: Path, model: str
) -> None:
    song = songs / "Slow pad.wav"
    feature_config = Classifier.load({**PRETRAINED, "standard_waveform": PRETRAINED_WAVEFORM["standard"]}[
        model
    ]).card.feature_config  # fmt: skip
    segments = cut_segments(stream_mono(song, feature_config.sample_rate), feature_config)
    expected = np.stack([compute_features(segment, feature_config) for segment in segments])
    answer = server.post("/v1/features", song, params={"model": model}).raise_for_status().json()
    assert answer["shape"] == list(expected.shape) == [2, *feature_config.shape]
    assert answer["front_end"] == feature_config.to_dict()
    np.testing.assert_allclose(answer["features"], expected, atol=1e-5)


def test_features_as_npy_are_exact(server: Serving, songs: Path, tmp_path: Path) -> None:
    song = songs / "Slow pad.wav"
    choice = {"model": "standard", "format": "npy", "first": 1, "count": 1}
    content = server.post("/v1/features", song, params=choice).raise_for_status().content
    (tmp_path / "features.npy").write_bytes(content)
    segments = list(cut_segments(stream_mono(song, 22_050)))
    table = np.load(tmp_path / "features.npy", allow_pickle=False)
    np.testing.assert_array_equal(table, compute_features(segments[1])[np.newaxis])


def test_a_segment_that_there_is_not(server: Serving, songs: Path) -> None:
    response = server.post("/v1/features", songs / "Slow pad.wav", params={"first": 2})
    assert (response.status_code, response.json()["code"]) == (404, "unknown-segment")
    assert "no segment 2" in response.json()["detail"]
