"""The evaluation counts labels by group, and lists the worst errors."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pocketgenre.training.not_music.index import IndexRow, write_index
from pocketgenre.training.not_music.results_markdown import results_markdown
from pocketgenre.training.not_music.summary import FileResult, summarize
from tests.conftest import invoke, write_tone

MODULE = "pocketgenre.training.not_music.evaluate"


def result(
    name: str, kind: str, genre: str | None, confidence: float = 0.5, error: str = ""
) -> FileResult:
    label = "music" if kind in ("music", "melody", "music-over-speech") else "not-music"
    row = IndexRow(f"{name}.wav", name, label, "source", kind)
    return FileResult(row, genre, confidence, error)


RESULTS = [
    result("a", "prompt", "not-music"),
    result("b", "tts", "uncertain"),
    result("c", "speech-over-music", "jazz", 0.95),
    result("d", "speech", "rock", 0.6),
    result("e", "speech", None, error="it holds only silence"),
    result("f", "noise", "metal", 0.97),
    result("g", "music", "rock", 0.99),
    result("h", "music", "not-music"),
    result("i", "music-over-speech", "uncertain"),
]


def test_shares_are_of_the_classified_files() -> None:
    groups = summarize(RESULTS)["groups"]
    assert groups["speech"] == {
        "files": 4,
        "failed": 1,
        "not_music": 0.25,
        "not_music_or_uncertain": 0.5,
        "confident_genre": 1,
    }
    assert groups["other non-music"]["confident_genre"] == 1
    assert groups["music"]["not_music"] == 0.5
    assert list(groups) == ["music", "music-over-speech", "other non-music", "speech"]


def test_errors_are_listed_most_confident_first() -> None:
    summary = summarize(RESULTS)
    assert [error["path"] for error in summary["errors"]] == ["f.wav", "c.wav", "d.wav"]
    assert summary["failures"] == [{"path": "e.wav", "error": "it holds only silence"}]
    many = [result(f"{i:02}", "noise", "jazz", i / 100) for i in range(30)]
    assert [e["confidence"] for e in summarize(many)["errors"]][:2] == [0.29, 0.28]
    assert len(summarize(many)["errors"]) == 20


def test_group_without_classified_file_has_no_share() -> None:
    summary = summarize([result("e", "speech", None, error="it is | broken")])
    assert summary["groups"]["speech"]["not_music"] is None
    text = results_markdown({"model": "standard", "files": 1, **summary})
    assert "| speech | 0 | 1 |  |  | 0 |" in text
    assert "it is \\| broken" in text
    assert "None." in text


@pytest.fixture
def index(tmp_path: Path) -> Path:
    write_tone(tmp_path / "tone.wav", 4)
    soundfile.write(tmp_path / "silence.wav", np.zeros(40_000), 16_000)
    rows = [
        IndexRow(f"{name}.wav", name, "not-music", "source", "noise")
        for name in ("tone", "silence", "missing")
    ]
    write_index(tmp_path / "index.csv", rows)
    return tmp_path / "index.csv"


def test_command_writes_markdown_and_json(index: Path) -> None:
    out = index.with_name("results.md")
    done = invoke(MODULE, "standard", index, "--out", out, "--workers", 0)
    assert done.returncode == 0, done.stderr
    summary = json.loads(out.with_suffix(".json").read_text())
    assert summary["files"] == 3
    assert summary["groups"]["other non-music"]["files"] == 1
    assert [failure["path"] for failure in summary["failures"]] == ["missing.wav", "silence.wav"]
    assert out.read_text().startswith("# Recordings that are not music: standard\n")


def test_command_prints_markdown(index: Path) -> None:
    done = invoke(MODULE, "standard", index, "--workers", 0)
    assert "| other non-music | 1 | 2 |" in done.stdout


def test_error_names_missing_index(tmp_path: Path) -> None:
    done = invoke(MODULE, "standard", tmp_path / "index.csv")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("Error: The index ")
