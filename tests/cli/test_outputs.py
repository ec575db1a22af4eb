"""Write playlists, reports and tags with ``scan-library``, and undo tags with ``undo-tags``."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import mutagen
import pytest

from pocketgenre.library.playlists import make_playlists, write_playlists
from pocketgenre.library.tags.tagging import tag_songs, undo_changes
from pocketgenre.library.tags.undo_log import UndoLog, read_undo_file
from tests.conftest import GENRES, REPOSITORY, STANDARD, invoke, until
from tests.library.songs import song

SCAN, UNDO = "pocketgenre.cli.scan_library", "pocketgenre.cli.undo_tags"


@pytest.fixture
def music(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    folder = tmp_path / "music"
    shutil.copytree(library, folder)
    (folder / "empty.mp3").touch()
    return folder


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def genre(path: Path) -> str | None:
    tags = mutagen.File(path, easy=True).tags or {}
    value = tags.get("genre") or tags.get("TCON")
    return str(value[0]) if value else None


def test_scan_writes_and_undoes_all_outputs(music: Path) -> None:
    before, undo_file = state(music), music.parent / "data" / "pocketgenre" / "undo.jsonl"
    lists, report = music / "lists", music.parent / "report.html"
    options = [music, "--format", "jsonl", "--playlists", lists, "--report", report, "--write-tags"]

    assert invoke(SCAN, *STANDARD, music).returncode == 0
    preview = invoke(SCAN, *STANDARD, *options, "--dry-run")
    assert preview.returncode == 0, preview.stderr
    assert state(music) == before
    assert not undo_file.exists()
    assert not report.exists()
    would = preview.stdout.splitlines()
    assert f"write     {report}" in would
    assert sum(line.startswith("tag ") and "no genre -> " in line for line in would) == 5

    result = invoke(SCAN, *STANDARD, *options)
    assert result.returncode == 0, result.stderr
    songs = {song["path"]: song for song in map(json.loads, result.stdout.splitlines())}
    assert len(songs) == 6
    listed = set()
    for playlist in lists.iterdir():
        for line in playlist.read_text().splitlines():
            if not line.startswith("#"):
                assert (lists / line).exists()
                assert songs[line.removeprefix("../")]["genre"] == playlist.stem
                listed.add(line)
    assert len(listed) == 5
    assert "the file is empty" in report.read_text()
    for name, labels in songs.items():
        if labels["genre"]:
            spelled = labels["genre"].replace("hiphop", "hip-hop")
            assert str(genre(music / name)).lower() == spelled
            assert (music / name).stat().st_mtime_ns > before[name][1]
    assert "Wrote the genre into the tags of 5 songs" in result.stderr
    assert "To undo that: undo-tags" in result.stderr

    again = invoke(SCAN, *STANDARD, *options)
    assert "Wrote the genre into the tags of 0 songs" in again.stderr
    assert "5 songs kept because of an existing genre; --overwrite replaces it" in again.stderr

    tagged = state(music)
    dry = invoke(UNDO, "--dry-run")
    assert dry.stdout.count("restore ") == 5
    assert state(music) == tagged
    undone = invoke(UNDO)
    assert undone.returncode == 0
    assert undone.stdout.count("-> no genre") == 5
    assert "Restored the genre of 5 songs" in undone.stderr
    assert {genre(music / name) for name, song in songs.items() if song["genre"]} == {None}
    for name in ("Broken beat.mp3", "Slow pad.wav"):
        assert state(music)[name][0] == before[name][0]
    assert "There is nothing to restore" in invoke(UNDO).stderr
    preview = invoke(SCAN, *STANDARD, music, "--dry-run").stderr
    assert "6 songs unchanged, 0 songs new or changed; nothing was written" in preview


def test_dry_run_previews_all_outputs(music: Path) -> None:
    lists, out, report = (music.parent / name for name in ("lists", "o.json", "r.html"))
    jazz = lists / "jazz.m3u8"
    write_playlists(make_playlists([song("/a.mp3", ["jazz"])], lists), lists, GENRES)
    options = [music, "--out", out, "--report", report, "--playlists", lists, "--write-tags"]

    first = invoke(SCAN, *STANDARD, *options, "--dry-run")  # there is no catalogue yet
    assert first.returncode == 0, first.stderr
    would = first.stdout.splitlines()
    assert [line.split()[0] for line in would[:6]] == ["classify"] * 6
    assert f"classify  {music / 'empty.mp3'}: the file is empty" in would
    assert not (music.parent / "data").exists()

    assert invoke(SCAN, *STANDARD, music).returncode == 0
    second = invoke(SCAN, *STANDARD, *options, "--dry-run")
    assert second.stdout.splitlines() == would[6:]
    assert f"remove    {jazz}: it would be empty" in would
    assert [jazz] == list(lists.iterdir())
    assert f"Removed {jazz}" in invoke(SCAN, *STANDARD, *options).stderr
    written = {line.split()[-1] for line in second.stdout.splitlines() if line[:5] == "write"}
    assert written == {str(path) for path in (out, report, *lists.iterdir())}


def test_undo_finds_songs_that_a_scan_found_moved(music: Path) -> None:
    assert invoke(SCAN, *STANDARD, music, "--write-tags").returncode == 0
    (music / "moved").mkdir()
    for number, name in enumerate(("Bells.m4a", "Broken beat.mp3")):
        (music / name).rename(music / "moved" / f"{number}{Path(name).suffix}")
    assert "2 songs moved" in invoke(SCAN, *STANDARD, music).stderr
    (music / "moved").rename(music / "again")
    assert "2 songs moved" in invoke(SCAN, *STANDARD, music).stderr
    result = invoke(UNDO)
    assert result.returncode == 0, result.stdout
    assert f"restored  {music}/again/0.m4a" in result.stdout
    assert {genre(path) for path in music.rglob("*.m4a")} == {None}
    assert "There is nothing to restore" in invoke(UNDO).stderr


def test_status_is_1_if_every_tag_is_refused(music: Path) -> None:
    for path in music.iterdir():
        path.chmod(0o444)
    result = invoke(SCAN, *STANDARD, music, "--write-tags")
    assert result.returncode == 1
    assert "5 songs could not be tagged and stayed unchanged" in result.stderr
    (music / "Bells.m4a").chmod(0o644)
    assert invoke(SCAN, *STANDARD, music, "--write-tags").returncode == 0


def test_fresh_song_waits_for_the_next_run(music: Path) -> None:
    os.utime(music / "Bells.m4a")
    result = invoke(SCAN, *STANDARD, music, "--write-tags")
    assert "1 song may still be written by other programs; the next run" in result.stderr
    assert "could not be tagged" not in result.stderr
    assert genre(music / "Bells.m4a") is None
    assert invoke(SCAN, *STANDARD, music, "--write-tags", "--settle", "0").returncode == 0
    assert genre(music / "Bells.m4a") == "Classical"


def test_uncertain_songs_have_a_playlist_and_no_tag(music: Path) -> None:
    before = state(music)
    lists = music.parent / "lists"
    result = invoke(SCAN, *STANDARD, music, "--min-margin", 1, "--write-tags", "--playlists", lists)
    assert result.returncode == 0
    assert "0 of 6 songs labelled" in result.stdout
    assert "5 are uncertain" in result.stdout
    assert [path.name for path in lists.iterdir()] == ["uncertain.m3u8"]
    assert state(music) == before


def test_undo_keeps_changes_of_other_programs(music: Path) -> None:
    undo_file = music.parent / "undo.jsonl"
    assert invoke(SCAN, *STANDARD, music, "--write-tags", "--undo-file", undo_file).returncode == 0
    audio = mutagen.File(music / "Distorted riff.ogg")
    audio["genre"] = "Mine"
    audio.save()
    result = invoke(UNDO, undo_file)
    assert result.returncode == 1
    assert "Distorted riff.ogg: its genre is Mine now" in result.stdout
    assert result.stdout.count("restored") == 4
    assert genre(music / "Distorted riff.ogg") == "Mine"


@pytest.mark.parametrize("limit", ["song", "undo file"])
def test_full_disk_leaves_every_file_unchanged(music: Path, limit: str) -> None:
    """Limit the size of files, so that writing fails in the middle as on a full disk."""
    code = f"""
import resource, signal, sys
from pathlib import Path
from pocketgenre.cli.console import run
from pocketgenre.cli.outputs import Outputs, write_outputs
from pocketgenre.cli.tag_output import TagOutput
from tests.library.songs import song
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({80_000 if limit == "song" else 100},) * 2)
music, undo_file = map(Path, sys.argv[1:])
songs = [song(path) for path in sorted(music.iterdir())]
del sys.argv[1:]
run(lambda: write_outputs(songs, music, Outputs(tags=TagOutput(undo_file))))
"""
    (music / "empty.mp3").unlink()
    before = state(music)
    result = subprocess.run(
        [sys.executable, "-c", code, music, music.parent / "undo.jsonl"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    written = {name for name, content in state(music).items() if content != before[name]}
    if limit == "song":
        assert result.returncode == 0, result.stderr
        assert "it can't be written: File too large" in result.stderr
        assert written == {name for name, (content, _) in before.items() if len(content) < 70_000}
        assert 0 < len(written) < 5
    else:
        assert result.returncode == 1
        assert "The undo file" in result.stderr
        assert "so no further song was changed" in result.stderr
        assert written == set()
    assert sorted(state(music)) == sorted(before)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--report", "{music}/a.mp3"], "has the suffix of a song"),
        (["--report", "/no/such/folder/r.html"], "is not a folder that can be written to"),
        (["--playlists", __file__], "is not a folder; name one for the playlists"),
        (["--playlists", "{music}/theirs"], "was not written by pocketgenre"),
        (["--overwrite"], "need --write-tags; add it"),
        (["--settle", "3"], "need --write-tags; add it"),
        (["--write-tags", "--undo-file", __file__], "is not an undo file of pocketgenre"),
        (["--out", "{music}/x", "--report", "{music}/x"], "name the same file"),
    ],
)
def test_invalid_outputs_are_rejected_before_the_scan(
    music: Path, arguments: list[str], sentence: str
) -> None:
    (music / "theirs").mkdir()
    (music / "theirs" / "jazz.m3u8").write_text("#EXTM3U\nmine.mp3\n")
    before = state(music)
    result = invoke(SCAN, *STANDARD, music, *[a.format(music=music) for a in arguments])
    assert result.returncode == 1
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert state(music) == before


@pytest.mark.parametrize("name", ["title", "Album Artist", "MUSICBRAINZ_TRACKID", "comment"])
def test_field_of_something_else_is_refused(music: Path, name: str) -> None:
    before = state(music)
    result = invoke(SCAN, *STANDARD, music, "--write-tags", "--overwrite", "--tag-field", name)
    assert result.returncode == 2
    assert "players store something else" in " ".join(result.stderr.replace("│", "").split())
    assert state(music) == before


def test_undo_without_an_undo_file_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = invoke(UNDO, tmp_path / "none.jsonl")
    assert result.returncode == 1
    assert "There is no undo file at" in result.stderr
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    result = invoke(UNDO)
    assert str(tmp_path / "pocketgenre" / "undo.jsonl") in result.stderr


def test_help_has_outputs_and_examples() -> None:
    text = invoke(SCAN, "--help").stdout
    for word in ("--playlists", "--report", "--write-tags", "--overwrite", "--dry-run", "Tags"):
        assert word in text
    assert "undo-tags --dry-run" in invoke(UNDO, "--help").stdout


def read_until_closed(terminal: int) -> None:
    """Read the output to a terminal, since a full buffer would block the writer."""
    with suppress(OSError):
        while os.read(terminal, 4096):
            pass
    os.close(terminal)


def test_undo_prints_to_stdout_despite_progress_bar(music: Path) -> None:
    import pty

    undo_file = music.parent / "undo.jsonl"
    scan = [
        sys.executable,
        "-m",
        SCAN,
        *STANDARD,
        str(music),
        "--write-tags",
        "--undo-file",
        str(undo_file),
    ]
    terminal, process_side = pty.openpty()
    threading.Thread(target=read_until_closed, args=(terminal,), daemon=True).start()
    for command in (scan, [sys.executable, "-m", UNDO, str(undo_file)]):
        process = subprocess.Popen(
            command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=process_side
        )
        stdout = process.communicate(timeout=120)[0].decode()
        assert process.returncode == 0
    assert stdout.count("restored  ") == 5
    os.close(process_side)  # which ends the thread


def test_interrupted_undo_continues_with_the_rest(music: Path) -> None:
    for number in range(150):
        shutil.copy2(music / "Bells.m4a", music / f"{number}.m4a")
    undo_file = music.parent / "undo.jsonl"
    songs = [song(path) for path in sorted(music.glob("*.m4a"))]
    with UndoLog(undo_file) as log:
        assert len(list(tag_songs(songs, log))) == 151
    process = subprocess.Popen(
        [sys.executable, "-m", UNDO, str(undo_file)],
        cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until(lambda: b'"do": "undone"' in undo_file.read_bytes() or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "continues with the rest" in stderr
    rest = [path for path in music.glob("*.m4a") if genre(path)]
    assert len(rest) == 151 - stdout.count("restored")
    with UndoLog(undo_file) as log:
        assert len(list(undo_changes(list(read_undo_file(undo_file)), log))) == len(rest)
    assert not [path for path in music.glob("*.m4a") if genre(path)]
