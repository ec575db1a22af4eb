"""Set defaults of options in configuration files."""

import json
import os
from pathlib import Path

import pytest

from pocketgenre.cli.config_file import user_config_file
from tests.conftest import invoke, write_tone

SCAN, LIST = "pocketgenre.cli.scan_library", "pocketgenre.cli.list_songs"


@pytest.fixture
def music(tmp_path: Path) -> Path:
    for name in ("a.wav", "books/b.wav"):
        path = tmp_path / "music" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tone(path)
    return tmp_path / "music"


def configure(text: str) -> None:
    user_config_file().parent.mkdir(parents=True, exist_ok=True)
    user_config_file().write_text(text)


def test_user_file_sets_defaults(music: Path) -> None:
    configure(
        """
        [scan-library]
        model = "standard"
        workers = 0
        format = "jsonl"
        exclude = ["books"]
        [list-songs]
        format = "paths"
        """
    )
    result = invoke(SCAN, music)
    assert [json.loads(line)["path"] for line in result.stdout.splitlines()] == ["a.wav"]
    assert "a.wav" in invoke(SCAN, music, "--format", "csv").stdout
    assert invoke(LIST).stdout == f"{music / 'a.wav'}\n"


def test_file_in_the_folder_sets_harmless_options(music: Path) -> None:
    (music / "pocketgenre.toml").write_text('exclude = ["books"]\n')
    options = ("--model", "standard", "--workers", "0", "--format", "jsonl")
    assert len(invoke(SCAN, music, *options).stdout.splitlines()) == 1
    (music / "pocketgenre.toml").write_text('exclude = "books"\n')
    assert len(invoke(SCAN, music, *options).stdout.splitlines()) == 1
    (music / "pocketgenre.toml").write_text('out = "/tmp/mine"\n')
    result = invoke(SCAN, music, *options)
    assert result.returncode == 1
    assert "out is no option that can be set there" in result.stderr


def test_user_file_overrides_the_folder(music: Path) -> None:
    (music / "pocketgenre.toml").write_text("exclude = []\nmin-confidence = 0\n")
    configure("""
        [scan-library]
        exclude = ["books"]
        model = "standard"
        workers = 0
        format = "jsonl"
        """)
    result = invoke(SCAN, music)
    assert [json.loads(line)["path"] for line in result.stdout.splitlines()] == ["a.wav"]


@pytest.mark.parametrize("kind", ["pipe", "endless", "deep"])
def test_hostile_file_in_the_folder_is_refused(kind: str, music: Path) -> None:
    file = music / "pocketgenre.toml"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "endless":
        file.symlink_to("/dev/zero")
    else:
        file.write_text("exclude = " + "[" * 100_000)
    result = invoke(SCAN, music)
    assert result.returncode == 1
    assert f"The configuration {file} can't be read" in result.stderr
    assert result.stderr.count("\n") == 1


def test_version_is_printed_once() -> None:
    result = invoke(SCAN, "--version")
    assert (result.returncode, result.stdout.count("pocketgenre")) == (0, 1)


@pytest.mark.parametrize(("text", "sentence"), [
    ("[list-songs]\nfromat = 1", "fromat is no option that can be set there; did you mean format?"),
    ("list-songs = 3", "[list-songs] must be a table of options"),
    ("[list", "can't be read"),
])  # fmt: skip
def test_wrong_file_is_one_sentence(text: str, sentence: str) -> None:
    configure(text)
    result = invoke(LIST)
    assert result.returncode == 1
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert invoke(SCAN, "--version").returncode == (1 if "[list\n" in f"{text}\n" else 0)


def test_wrong_value_is_a_usage_error() -> None:
    configure("[list-songs]\nformat = 'xml'")
    result = invoke(LIST)
    assert result.returncode == 2
    assert "xml" in result.stderr
