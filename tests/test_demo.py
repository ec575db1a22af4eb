"""``make scan``: one command for someone who has just arrived."""

from pathlib import Path

import pytest

from tests.conftest import Command, write_tone

DEMO = "pocketgenre.demo.__main__"


@pytest.mark.parametrize("music", ["", "{empty}", "/no/such/folder", "~nosuchuser/Music"])
def test_without_music_it_says_so_and_scans_a_synthetic_library(
    run_command: Command, tmp_path: Path, music: str
) -> None:
    result = run_command(DEMO, music.format(empty=tmp_path))
    assert result.returncode == 0
    assert "SYNTHETIC" in result.stderr
    for ending in ("wav", "flac", "ogg", "mp3", "m4a"):
        assert f".{ending}" in result.stdout
    assert "5 of 5 songs labelled" in result.stdout
    if music:
        assert music.format(empty=tmp_path) in result.stderr


def test_with_music_it_scans_that(run_command: Command, tmp_path: Path) -> None:
    write_tone(tmp_path / "my song.wav")
    result = run_command(DEMO, tmp_path)
    assert "my song.wav" in result.stdout
    assert "SYNTHETIC" not in result.stderr
