"""``scan-library --watch`` labels songs as they arrive."""

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Command, until, write_tone


class Watch:
    """A running watch and the lines that it prints."""

    def __init__(self, folder: Path, *options: str) -> None:
        command = [sys.executable, "-m", "pocketgenre.cli.scan_library", str(folder), "--watch"]
        self.process = subprocess.Popen(
            [*command, "--workers", "1", *options],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
        )
        self.lines: queue.Queue[str] = queue.Queue()
        self.said: queue.Queue[str] = queue.Queue()
        for stream, lines in ((self.process.stdout, self.lines), (self.process.stderr, self.said)):
            threading.Thread(target=self.read, args=(stream, lines), daemon=True).start()

    @staticmethod
    def read(stream: Iterator[str], lines: "queue.Queue[str]") -> None:
        for line in stream:
            lines.put(line)

    def line_with(self, text: str) -> str:
        return self._find(self.lines, text)

    def says(self, text: str) -> str:
        return self._find(self.said, text)

    @staticmethod
    def _find(lines: "queue.Queue[str]", text: str) -> str:
        deadline = time.monotonic() + 60
        while True:
            line = lines.get(timeout=max(0.01, deadline - time.monotonic()))
            if text in line:
                return line


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    folder.mkdir()
    write_tone(folder / "first.wav")
    return folder


def test_it_labels_what_arrives(music: Path, library: Path) -> None:
    watch = Watch(music)
    try:
        watch.says("Watching")
        watch.line_with("1 of 1 songs labelled")
        (music / "album").mkdir()
        shutil.copy(library / "Bells.m4a", music / "album")
        assert "of 2" in watch.line_with("Bells.m4a")
        shutil.copy(library / "Bells.m4a", music / os.fsdecode(b"caf\xe9.m4a"))
        watch.line_with("caf\\udce9.m4a")
        (music / "bad.mp3").write_text("not music")
        assert "not audio" in watch.line_with("bad.mp3")
    finally:
        watch.process.send_signal(signal.SIGINT)
    assert watch.process.wait(timeout=20) == 0


def test_it_waits_for_a_file_that_is_still_being_written(music: Path, library: Path) -> None:
    content = (library / "Slow pad.wav").read_bytes()
    watch = Watch(music)
    try:
        watch.says("Watching")
        with open(music / "growing.wav", "wb") as file:
            for start in range(0, len(content), len(content) // 8):
                file.write(content[start : start + len(content) // 8])
                file.flush()
                time.sleep(0.5)
            written = time.monotonic()
        assert "of 2" in watch.line_with("growing.wav"), "all of it was heard, and once"
        assert time.monotonic() - written > 1.0
    finally:
        watch.process.kill()
        watch.process.wait()


def test_results_in_a_file_are_written_anew(music: Path, library: Path, tmp_path: Path) -> None:
    out = tmp_path / "genres.json"
    watch = Watch(music, "--format", "json", "--out", str(out))
    try:
        watch.says("Watching")
        assert len(json.loads(out.read_text())) == 1
        shutil.copy(library / "Bells.m4a", music)
        until(lambda: len(json.loads(out.read_text())) == 2)
    finally:
        watch.process.kill()
        watch.process.wait()


def test_data_on_stdout_cannot_be_watched(run_command: Command, music: Path) -> None:
    result = run_command("pocketgenre.cli.scan_library", music, "--watch", "--format", "json")
    assert result.returncode == 1
    assert "needs --out" in result.stderr
