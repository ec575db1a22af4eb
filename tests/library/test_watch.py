"""Run ``scan-library --watch``, which labels songs as they arrive."""

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
from typing import Self

import mutagen
import pytest

from pocketgenre.library.catalog import Catalog
from pocketgenre.library.schema import default_catalog
from tests.conftest import REPOSITORY, STANDARD, invoke, until, write_tone
from tests.library.conftest import mounted

pytestmark = pytest.mark.slow

SCAN = "pocketgenre.cli.scan_library"


class WatchProcess:
    """A process that watches a folder, and the lines that it prints."""

    def __init__(self, folder: Path, *options: str) -> None:
        command = [
            sys.executable,
            "-m",
            SCAN,
            *STANDARD,
            str(folder),
            "--watch",
            "--workers",
            "1",
            *options,
        ]
        self.process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
        )
        self._stdout: queue.Queue[str] = queue.Queue()
        self._stderr: queue.Queue[str] = queue.Queue()
        for stream, lines in (
            (self.process.stdout, self._stdout),
            (self.process.stderr, self._stderr),
        ):
            threading.Thread(target=_read_lines, args=(stream, lines), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def wait_for_output(self, text: str) -> str:
        """Wait for a line on standard output; return it."""
        return _wait_for_line(self._stdout, text)

    def wait_for_message(self, text: str) -> str:
        """Wait for a line on standard error; return it."""
        return _wait_for_line(self._stderr, text)


def _read_lines(stream: Iterator[str], lines: "queue.Queue[str]") -> None:
    for line in stream:
        lines.put(line)


def _wait_for_line(lines: "queue.Queue[str]", text: str) -> str:
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


def test_watch_labels_new_songs(music: Path, library: Path) -> None:
    with WatchProcess(music) as watch:
        watch.wait_for_message("Watching")
        watch.wait_for_output("1 of 1 song labelled")
        (music / "album").mkdir()
        shutil.copy(library / "Bells.m4a", music / "album")
        assert "of 2" in watch.wait_for_output("Bells.m4a")
        shutil.copy(library / "Bells.m4a", music / os.fsdecode(b"caf\xe9.m4a"))
        watch.wait_for_output("caf\\udce9.m4a")
        (music / "bad.mp3").write_text("not music")
        assert "not audio" in watch.wait_for_output("bad.mp3")
        watch.process.send_signal(signal.SIGINT)
        assert watch.process.wait(timeout=20) == 0


def test_watch_waits_for_a_growing_file(music: Path, library: Path) -> None:
    content = (library / "Slow pad.wav").read_bytes()
    with WatchProcess(music) as watch:
        watch.wait_for_message("Watching")
        with open(music / "growing.wav", "wb") as file:
            # Each pause is shorter than SETTLE_SECONDS, all pauses together are longer.
            for start in range(0, len(content), len(content) // 6):
                file.write(content[start : start + len(content) // 6])
                file.flush()
                time.sleep(0.4)
            written = time.monotonic()
        # A scan of the incomplete file would print a line with fewer segments.
        assert "of 2" in watch.wait_for_output("growing.wav")
        assert time.monotonic() - written > 1.0


def test_watch_survives_a_rename(music: Path, library: Path) -> None:
    with WatchProcess(music) as watch:
        watch.wait_for_message("Watching")
        away = music.rename(music.with_name("away"))
        watch.wait_for_message("is gone (renamed or unmounted?); waiting until it is back")
        shutil.copy(library / "Bells.m4a", away)
        away.rename(music)
        watch.wait_for_message("is back; watching it again")
        watch.wait_for_output("Bells.m4a")
        shutil.copy(library / "Slow pad.wav", music)
        watch.wait_for_output("Slow pad.wav")
    with Catalog(default_catalog()) as catalog:
        assert {song.state for song in catalog.songs()} == {"labelled"}


def test_watch_survives_an_unmount(tmp_path: Path, library: Path) -> None:
    point = tmp_path / "point"
    out = tmp_path / "lists"
    for card in mounted(tmp_path / "card", "size=30m"):
        shutil.copytree(library, card, dirs_exist_ok=True)
        point.mkdir()
        subprocess.run(["mount", "--bind", card, point], check=True)
        with WatchProcess(point, "--playlists", str(out)) as watch:
            watch.wait_for_message("Watching")
            before = {path.name: path.read_bytes() for path in out.iterdir()}
            subprocess.run(["umount", point], check=True)
            watch.wait_for_message("is another folder now (mounted or unmounted?)")
            watch.wait_for_message("5 of 5 songs are gone; nothing is removed because of that")
            subprocess.run(["mount", "--bind", card, point], check=True)
            watch.wait_for_message("is another folder now")
            assert {path.name: path.read_bytes() for path in out.iterdir()} == before
            shutil.copy(library / "Bells.m4a", point / "new.m4a")
            watch.wait_for_output("new.m4a")
        subprocess.run(["umount", point], check=True)
    with Catalog(default_catalog()) as catalog:
        assert {song.state for song in catalog.songs()} == {"labelled"}


def test_watch_tags_a_file_when_it_is_closed(music: Path, library: Path, tmp_path: Path) -> None:
    content = (library / "Broken beat.mp3").read_bytes()
    options = ["--write-tags", "--settle", "1", "--undo-file", str(tmp_path / "undo.jsonl")]
    with WatchProcess(music, *options) as watch:
        watch.wait_for_message("Watching")
        target = music / "song.mp3"
        with open(target, "wb") as file:
            file.write(content[: len(content) // 2])
            file.flush()
            watch.wait_for_message("another program has it open for writing")
            file.write(content[len(content) // 2 :])
        until(lambda: target.read_bytes().startswith(b"ID3"))
    assert target.read_bytes().endswith(content)


def test_album_waits_for_its_last_song(music: Path, library: Path, tmp_path: Path) -> None:
    tags = ["--write-tags", "--settle", "0", "--undo-file", str(tmp_path / "undo.jsonl")]
    content = (library / "Broken beat.mp3").read_bytes()
    done, waiting, other = (music / name for name in ("a/1.ogg", "a/2.mp3", "b/1.mp3"))
    for folder in (music / "a", music / "b"):
        folder.mkdir()
    with WatchProcess(music, "--by", "album", "--min-confidence", "0", *tags) as watch:
        watch.wait_for_message("Watching")
        with open(waiting, "wb") as file:
            file.write(content)
            file.flush()
            shutil.copy(library / "Distorted riff.ogg", done)
            watch.wait_for_output("1.ogg")
            watch.wait_for_output("2.mp3")
            other.write_bytes(content)
            until(lambda: genre_of(other))
            assert not genre_of(done)
        until(lambda: genre_of(done) and genre_of(waiting))
        assert genre_of(done) == genre_of(waiting)


def genre_of(path: Path) -> list[str] | None:
    return mutagen.File(path, easy=True).get("genre")


def test_watch_tags_no_short_song(music: Path, library: Path, tmp_path: Path) -> None:
    options = ["--min-seconds", "5", "--min-confidence", "0", "--write-tags", "--settle", "0"]
    with WatchProcess(music, *options, "--undo-file", str(tmp_path / "undo.jsonl")) as watch:
        watch.wait_for_message("Watching")
        content = write_tone(music / "short.wav").read_bytes()
        with Catalog(default_catalog()) as catalog:
            until(lambda: catalog.song(str(music / "short.wav")))
        shutil.copy(library / "Broken beat.mp3", music)
        until(lambda: (music / "Broken beat.mp3").read_bytes().startswith(b"ID3"))
    assert (music / "short.wav").read_bytes() == content


def test_losing_most_songs_is_asked_about(music: Path, tmp_path: Path) -> None:
    out = tmp_path / "genres.json"
    for name in ("second.wav", "third.wav"):
        write_tone(music / name)
    assert invoke(SCAN, *STANDARD, music, "--out", out).returncode == 0
    before = out.read_text()
    for name in ("second.wav", "third.wav"):
        (music / name).unlink()
    result = invoke(SCAN, *STANDARD, music, "--out", out)
    assert result.returncode == 1
    assert "2 of 3 songs are gone" in result.stderr
    assert "if that is right, add --allow-vanished" in result.stderr
    assert out.read_text() == before
    result = invoke(SCAN, *STANDARD, music, "--out", out, "--allow-vanished")
    assert result.returncode == 0
    assert "2 songs vanished; the catalogue keeps their entries" in result.stderr
    assert len(json.loads(out.read_text())) == 1


def test_watch_rewrites_the_results_file(music: Path, library: Path, tmp_path: Path) -> None:
    out = tmp_path / "genres.json"
    with WatchProcess(music, "--format", "json", "--out", str(out)) as watch:
        watch.wait_for_message("Watching")
        assert len(json.loads(out.read_text())) == 1
        shutil.copy(library / "Bells.m4a", music)
        until(lambda: len(json.loads(out.read_text())) == 2)


def test_watch_refuses_data_on_stdout(music: Path) -> None:
    result = invoke(SCAN, *STANDARD, music, "--watch", "--format", "json")
    assert result.returncode == 1
    assert "needs --out" in result.stderr
