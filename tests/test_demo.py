"""Run the command of ``make scan``, with and without music."""

from pathlib import Path

import pytest

from pocketgenre.demo import __main__ as demo_command
from pocketgenre.errors import PocketGenreError
from tests.conftest import Command, write_tone

SUFFIXES = {".wav", ".flac", ".ogg", ".mp3", ".m4a"}


def test_folder_without_music_scans_synthetic_songs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scanned: list[Path] = []

    def record_scan(folders: list[Path], catalog: Path) -> None:
        (folder,) = folders
        assert not catalog.is_relative_to(folder)
        scanned.extend(folder.iterdir())

    monkeypatch.setattr(demo_command, "scan_library", record_scan)
    demo_command.demo(str(tmp_path))
    message = capsys.readouterr().err
    assert str(tmp_path) in message
    assert "SYNTHETIC" in message
    assert sorted(path.suffix for path in scanned) == sorted(SUFFIXES)


@pytest.mark.parametrize("music", ["/no/such/folder", "~nosuchuser/Music"])
def test_missing_folder_is_an_error(music: str) -> None:
    with pytest.raises(PocketGenreError, match=f"{music} is not a folder"):
        demo_command.demo(music)


@pytest.mark.slow
def test_demo_command_without_folder(run_command: Command) -> None:
    result = run_command("pocketgenre.demo.__main__")
    assert result.returncode == 0
    assert "SYNTHETIC" in result.stderr
    for suffix in SUFFIXES:
        assert suffix in result.stdout
    assert "of 5 songs labelled" in result.stdout


def test_folder_with_music_is_scanned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tone(tmp_path / "my song.wav")
    demo_command.demo(str(tmp_path))
    captured = capsys.readouterr()
    assert "my song.wav" in captured.out
    assert "SYNTHETIC" not in captured.err
