"""Tag files while other programs write into them: no byte is lost."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pocketgenre.errors import PocketGenreError
from pocketgenre.library.tags.formats import read_genre
from pocketgenre.library.tags.replace_file import check_replaceable, new_temporary, replace_changed
from pocketgenre.library.tags.tagging import Outcome, TagConfig, tag_songs
from pocketgenre.library.tags.undo_log import UndoLog
from tests.conftest import REPOSITORY, make_older, until
from tests.library.songs import song, write_song
from tests.library.test_watch import WatchProcess

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux shows which files are open for writing"
)

NOW = TagConfig(overwrite=True, settle_seconds=0)
KINDS = ("append", "reopen", "fill", "replace")

_WRITER = """
import os, random, sys, time
kind, source, target, seed = sys.argv[1:]
rng = random.Random(int(seed))
content = open(source, "rb").read()
cuts = sorted(rng.randrange(len(content)) for _ in range(5))
parts = [(a, content[a:b]) for a, b in zip([0, *cuts], [*cuts, len(content)])]
def pause():
    time.sleep(rng.uniform(0, 0.1))
pause()
if kind == "append":
    with open(target, "wb") as file:
        for _, part in parts:
            file.write(part); file.flush(); pause()
elif kind == "reopen":
    for _, part in parts:
        with open(target, "ab") as file:
            file.write(part)
        pause()
elif kind == "fill":
    rng.shuffle(parts)
    with open(target, "wb") as file:
        file.truncate(len(content))
        for start, part in parts:
            file.seek(start); file.write(part); file.flush(); pause()
else:
    for _ in range(4):
        with open(target + ".new", "wb") as file:
            file.write(content)
        os.replace(target + ".new", target)
        pause()
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_song(tmp_path / "source.mp3")


def start_writer(kind: str, source: Path, target: Path, seed: int) -> "subprocess.Popen[bytes]":
    arguments = [kind, str(source), str(target), str(seed)]
    return subprocess.Popen([sys.executable, "-c", _WRITER, *arguments])


def assert_complete(path: Path, content: bytes) -> None:
    """Check that a file is its source, or an ID3 tag and its source."""
    found = path.read_bytes()
    assert found.endswith(content), path.name
    assert len(found) == len(content) or found.startswith(b"ID3"), path.name


def tag(path: Path, undo_file: Path, config: TagConfig = NOW) -> Outcome:
    with UndoLog(undo_file) as log:
        (outcome,) = tag_songs([song(path)], log, config)
    return outcome


def test_file_open_for_writing_is_refused(source: Path, undo_file: Path) -> None:
    content = source.read_bytes()
    for mode in ("ab", "r+b"):
        with open(source, mode):
            outcome = tag(source, undo_file)
            assert (outcome.action, outcome.is_in_use) == ("refused", True)
            assert "open for writing" in str(outcome.reason)
    with open(source, "rb"):
        assert tag(source, undo_file).action == "changed"
    assert_complete(source, content)


def test_dry_run_refuses_the_same_files(source: Path, undo_file: Path) -> None:
    with open(source, "ab"):
        (outcome,) = tag_songs([song(source)], None, NOW)
        assert outcome.action == "refused"


def test_recently_changed_file_is_refused(source: Path, undo_file: Path) -> None:
    config = TagConfig(settle_seconds=120)
    outcome = tag(source, undo_file, config)
    assert (outcome.action, outcome.is_in_use) == ("refused", True)
    assert "changed less than 120 seconds ago" in str(outcome.reason)
    make_older(source, 121)
    assert tag(source, undo_file, config).action == "changed"


def writer_of(path: Path) -> "subprocess.Popen[bytes]":
    """Start a program that appends a byte, and wait until it waits for the file."""
    code = "import sys; print('ready', flush=True); open(sys.argv[1], 'ab').write(b'x')"
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    # In an uninterruptible or interruptible wait for the lease, or done if there is no lease.
    status = Path(f"/proc/{process.pid}/wchan")
    until(lambda: process.poll() is not None or "lease" in status.read_text(), 20)
    return process


def test_writer_that_starts_during_the_copy_wins(source: Path) -> None:
    content = source.read_bytes()
    writers = []

    def change(copy: Path) -> None:
        copy.write_bytes(b"changed")
        writers.append(writer_of(source))

    with pytest.raises(Exception, match="open for writing"):
        replace_changed(source, check_replaceable(source), new_temporary(source), change, 1)
    assert writers[0].wait(20) == 0
    assert source.read_bytes() == content + b"x"
    assert not list(source.parent.glob(".*"))


def test_file_replaced_during_the_copy_stays(source: Path) -> None:
    def change(copy: Path) -> None:
        copy.write_bytes(b"changed")
        (source.parent / "new").write_bytes(b"theirs")
        (source.parent / "new").replace(source)

    with pytest.raises(Exception, match="changed by another program meanwhile"):
        replace_changed(source, check_replaceable(source), new_temporary(source), change, 1)
    assert source.read_bytes() == b"theirs"


def test_writer_at_the_moment_of_renaming_wins(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Start the writer, or replace the file, between the last check and the renaming."""
    from pocketgenre.library.tags import replace_file

    content = source.read_bytes()
    rename, writers = replace_file.exchange, []

    def late(one: Path, other: Path) -> bool:
        if not writers:
            writers.append(writer_of(source))
        return rename(one, other)

    monkeypatch.setattr(replace_file, "exchange", late)
    with pytest.raises(Exception, match="open for writing"):
        replace_changed(source, check_replaceable(source), new_temporary(source),
                        lambda copy: copy.write_bytes(b"changed"), 1)  # fmt: skip
    assert writers[0].wait(20) == 0
    assert source.read_bytes() == content + b"x"

    def replaced(one: Path, other: Path) -> bool:
        if (source.parent / "new").exists():
            (source.parent / "new").replace(source)
        return rename(one, other)

    (source.parent / "new").write_bytes(b"theirs")
    monkeypatch.setattr(replace_file, "exchange", replaced)
    with pytest.raises(Exception, match="changed by another program"):
        replace_changed(source, check_replaceable(source), new_temporary(source),
                        lambda copy: copy.write_bytes(b"changed"), 1)  # fmt: skip
    assert source.read_bytes() == b"theirs"


def killed_after_the_exchange(path: Path, undo_file: Path) -> Path:
    """Leave a song as after ``kill -9`` between the exchange of the names and the last check.

    Returns the temporary name, which the song itself has now.
    """
    code = """
import os, signal, sys
from pathlib import Path
from tests.library.test_writers import NOW, tag
from pocketgenre.library.tags import replace_file
rename = replace_file.exchange
def exchange(one, other):
    rename(one, other)
    os.kill(os.getpid(), signal.SIGKILL)
replace_file.exchange = exchange
tag(Path(sys.argv[1]), Path(sys.argv[2]), NOW)
"""
    command = [sys.executable, "-c", code, str(path), str(undo_file)]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=False)
    assert result.returncode == -signal.SIGKILL, result.stderr
    (leftover,) = path.parent.glob(".pocketgenre-*.part")
    return leftover


def test_copy_of_a_killed_run_is_removed(source: Path, undo_file: Path) -> None:
    content = source.read_bytes()
    leftover = killed_after_the_exchange(source, undo_file)
    assert leftover.read_bytes() == content
    UndoLog(undo_file).__exit__()
    assert not leftover.exists()
    assert source.read_bytes().startswith(b"ID3")
    assert_complete(source, content)


def test_bytes_written_after_a_kill_are_kept(source: Path, undo_file: Path) -> None:
    content = source.read_bytes()
    leftover = killed_after_the_exchange(source, undo_file)
    with open(leftover, "ab") as file:  # as a program does that opened the song before
        UndoLog(undo_file).__exit__()
        file.write(b"end")
    assert source.read_bytes() == content + b"end"
    assert not leftover.exists()
    make_older(source, 10)
    leftover = killed_after_the_exchange(source, undo_file)
    leftover.write_bytes(content + b"end and more")
    source.unlink()
    UndoLog(undo_file).__exit__()
    assert source.read_bytes() == content + b"end and more"


def test_two_changed_versions_are_both_kept(source: Path, undo_file: Path) -> None:
    leftover = killed_after_the_exchange(source, undo_file)
    leftover.write_bytes(b"one")
    source.write_bytes(b"other")
    make_older(source, 10)
    with pytest.raises(PocketGenreError, match="keep the better one"):
        UndoLog(undo_file)
    assert (leftover.read_bytes(), source.read_bytes()) == (b"one", b"other")
    leftover.unlink()
    UndoLog(undo_file).__exit__()


def test_random_writers_lose_no_byte(source: Path, music: Path, undo_file: Path) -> None:
    content = source.read_bytes()
    targets = [music / f"{n} {KINDS[n % len(KINDS)]}.mp3" for n in range(12)]
    writers = [
        start_writer(KINDS[n % len(KINDS)], source, path, n) for n, path in enumerate(targets)
    ]
    changed = 0
    while any(writer.poll() is None for writer in writers):
        changed += sum(outcome.action == "changed" for outcome in tag_all(music, undo_file))
    assert [writer.returncode for writer in writers] == [0] * len(writers)
    changed += sum(outcome.action == "changed" for outcome in tag_all(music, undo_file))
    assert changed
    for path in targets:
        assert_complete(path, content)
        genre_format, genre = read_genre(path)
        assert genre_format.text(genre) == ("Rock",)
    assert not list(music.glob(".*"))


def tag_all(music: Path, undo_file: Path) -> Iterator[Outcome]:
    """Tag all files as they are now."""
    songs = [song(path) for path in sorted(music.glob("*.mp3"))]
    with UndoLog(undo_file) as log:
        yield from tag_songs(songs, log, TagConfig(settle_seconds=0))


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_200_random_writers_lose_no_byte(source: Path, music: Path, tmp_path: Path) -> None:
    """Run ``scan-library --watch --write-tags`` while 200 programs write, 8 at a time."""
    content, rng = source.read_bytes(), random.Random(1)
    options = ["--write-tags", "--settle", "1", "--undo-file", str(tmp_path / "undo.jsonl")]
    write_song(music / "first.mp3")
    make_older(music / "first.mp3")
    with WatchProcess(music, "--catalog", str(tmp_path / "c.sqlite"), *options) as watch:
        watch.wait_for_message("Watching")
        targets, running = [], []
        for number in range(200):
            kind = rng.choice(KINDS)
            targets.append(music / f"{number} {kind}.mp3")
            running.append(start_writer(kind, source, targets[-1], number))
            until(lambda: sum(writer.poll() is None for writer in running) < 8)
        for writer in running:
            assert writer.wait(120) == 0
        until(lambda: all(path.read_bytes().startswith(b"ID3") for path in targets), 1800)
    for path in targets:
        assert_complete(path, content)
    print(f"200 writers at {time.ctime()}, {os.cpu_count()} cores: nothing lost")
