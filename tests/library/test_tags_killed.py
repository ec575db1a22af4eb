"""Killed at any moment, tagging leaves every file old or new, and whole."""

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pocketgenre.library.tags.formats import read_genre
from pocketgenre.library.tags.tagging import undo_changes
from pocketgenre.library.tags.undo_log import UndoLog, read_undo_file
from tests.conftest import REPOSITORY
from tests.library.songs import KINDS, sound_of, write_kind

_TAG = """
import sys
from pathlib import Path
from tests.library.songs import with_label
from pocketgenre.library.tags.tagging import tag_songs, undo_changes
from pocketgenre.library.tags.undo_log import UndoLog, read_undo_file
music, undo = map(Path, sys.argv[1:])
print("ready", flush=True)
for genre in ("hiphop", "jazz") * 50:
    songs = [with_label(path, genre) for path in sorted(music.glob("[!.]*"))]
    with UndoLog(undo) as log:
        for outcome in tag_songs(songs, log, overwrite=True):
            assert outcome.done != "refused", outcome
    with UndoLog(undo) as log:
        for outcome in undo_changes(list(read_undo_file(undo)), log):
            assert outcome.done != "refused", outcome
"""


def genre_of(path: Path) -> tuple[str, ...]:
    written, tag = read_genre(path)
    return written.text(tag)


def kill_while_tagging(tmp_path: Path, kills: int) -> None:
    pristine, music, undo = tmp_path / "pristine", tmp_path / "music", tmp_path / "undo.jsonl"
    pristine.mkdir()
    songs = [write_kind(kind, pristine) for kind in KINDS]
    shutil.copytree(pristine, music)
    sounds = {song.name: sound_of(song) for song in songs}
    genres = {song.name: genre_of(song) for song in songs}
    chance = random.Random(5)
    strays = halfway = 0
    for _ in range(kills):
        process = subprocess.Popen(
            [sys.executable, "-c", _TAG, music, undo],
            cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout
        assert process.stdout.readline() == b"ready\n", process.communicate()[1]
        time.sleep(chance.uniform(0, 0.8))
        process.send_signal(signal.SIGKILL)
        assert process.communicate()[1] == b""
        assert process.returncode == -signal.SIGKILL
        strays += len(list(music.glob(".*")))
        assert len(list(music.glob(".*"))) <= 1
        for name, sound in sounds.items():
            assert sound_of(music / name) == sound
            assert genre_of(music / name) in (genres[name], ("Hip-Hop",), ("Jazz",))
            halfway += genre_of(music / name) != genres[name]
    with UndoLog(undo) as log:
        assert list(music.glob(".*")) == []
        outcomes = list(undo_changes(list(read_undo_file(undo)), log))
    assert {outcome.done for outcome in outcomes} <= {"changed", "kept"}
    assert not [o for o in outcomes if "someone else" in str(o.reason)]
    for song in songs:
        assert read_genre(music / song.name)[1] == read_genre(song)[1]
        assert sound_of(music / song.name) == sounds[song.name]
    print(f"{kills} kills, {strays} left a copy behind, {halfway} songs found tagged")


def test_killed_six_times(tmp_path: Path) -> None:
    kill_while_tagging(tmp_path, 6)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_killed_fifty_times(tmp_path: Path) -> None:
    kill_while_tagging(tmp_path, 50)
