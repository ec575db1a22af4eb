"""Tests of ``make scan``'s command: a scan with and without the user's music."""

from pathlib import Path

import pytest

from pocketgenre.demo.__main__ import demo
from tests.conftest import Command, write_tone


@pytest.mark.parametrize("music", ["{empty}", "/no/such/folder", "~nosuchuser/Music"])
def test_folder_without_music_scans_synthetic_songs(
    tmp_path: Path, music: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = music.format(empty=tmp_path)
    demo(folder)
    captured = capsys.readouterr()
    assert folder in captured.err
    check_synthetic_scan(captured.out, captured.err)


def test_demo_command_without_folder(run_command: Command) -> None:
    result = run_command("pocketgenre.demo.__main__")
    assert result.returncode == 0
    check_synthetic_scan(result.stdout, result.stderr)


def check_synthetic_scan(stdout: str, stderr: str) -> None:
    assert "SYNTHETIC" in stderr
    for ending in ("wav", "flac", "ogg", "mp3", "m4a"):
        assert f".{ending}" in stdout
    assert "5 of 5 songs labelled" in stdout


def test_folder_with_music_is_scanned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tone(tmp_path / "my song.wav")
    demo(str(tmp_path))
    captured = capsys.readouterr()
    assert "my song.wav" in captured.out
    assert "SYNTHETIC" not in captured.err
