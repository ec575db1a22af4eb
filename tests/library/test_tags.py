"""A genre in a song's own tags: written, never at the price of anything else, and taken back."""

import os
import random
import stat
import subprocess
import sys
from pathlib import Path

import mutagen
import pytest
from mutagen.oggvorbis import OggVorbis

from pocketgenre.errors import PocketGenreError
from pocketgenre.library.label import Thresholds
from pocketgenre.library.tags.formats import read_genre
from pocketgenre.library.tags.tagging import tag_songs
from pocketgenre.library.tags.undo_log import UndoLog
from tests.conftest import REPOSITORY
from tests.library.songs import (
    KINDS,
    failed_song,
    labelled,
    sound_of,
    with_label,
    write_kind,
    write_song,
)
from tests.library.tagged import genres, tag, undo_all


def others(path: Path) -> dict[str, str]:
    """Every tag but the genre, as mutagen reads them."""
    tags = mutagen.File(path).tags or {}
    return {
        str(key): repr(value)
        for key, value in dict(tags).items()
        if str(key).lower() not in ("tcon", "genre", "\xa9gen")
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_genre_is_written_and_nothing_else_and_taken_back(
    kind: str, tmp_path: Path, undo: Path
) -> None:
    path = write_kind(kind, tmp_path)
    path.chmod(0o640)
    os.utime(path, ns=(1_111_111_111_222_222_222, 1_222_222_222_333_333_333))
    before, content, sound = path.stat(), path.read_bytes(), sound_of(path)
    tag_before, kept = read_genre(path)[1], others(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    (outcome,) = tag(path, undo=undo, overwrite=True)
    assert outcome.done == "changed", outcome
    assert outcome.after == "Hip-Hop"
    after = path.stat()
    assert (after.st_mtime_ns, after.st_atime_ns) == (before.st_mtime_ns, before.st_atime_ns)
    assert (stat.S_IMODE(after.st_mode), after.st_uid) == (0o640, before.st_uid)
    assert genres(path) == ("Hip-Hop",)
    shown = mutagen.File(path, easy=path.suffix == ".mp3").tags
    assert "Hip-Hop" in str(shown.get("genre") or shown.get("TCON") or shown.get("\xa9gen"))
    assert others(path) == kept
    assert sound_of(path) == sound

    assert [outcome.done for outcome in undo_all(undo)] == ["changed"]
    assert read_genre(path)[1] == tag_before
    assert others(path) == kept
    assert sound_of(path) == sound
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    if kind in ("mp3-bare", "mp3-id3v1", "wav-bare", "aiff-bare"):
        assert path.read_bytes() == content
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([path.name, "state"])
    assert undo_all(undo) == []


def test_an_existing_genre_is_kept_unless_it_may_be_overwritten(tmp_path: Path, undo: Path) -> None:
    with_genre = [kind for kind in KINDS if genres(write_kind(kind, tmp_path))]
    assert {"mp3-id3v2.4", "mp3-both", "m4a-genre", "m4a-gnre", "ogg-genres", "wav", "aiff"} == set(
        with_genre
    )
    paths = [write_kind(kind, tmp_path) for kind in with_genre]
    before = [path.read_bytes() for path in paths]
    outcomes = tag(*paths, undo=undo)
    assert {outcome.done for outcome in outcomes} == {"kept"}
    assert [path.read_bytes() for path in paths] == before
    assert undo.read_bytes() == b""
    assert "it says Trip-Hop, Electronic" in [outcome.reason for outcome in outcomes]
    tag(*paths, undo=undo, overwrite=True)
    assert {genres(path) for path in paths} == {("Hip-Hop",)}


def test_id3v1_beside_id3v2_stays_to_the_byte(tmp_path: Path, undo: Path) -> None:
    path = write_kind("mp3-both", tmp_path)
    end = path.read_bytes()[-128:]
    assert end.startswith(b"TAG")
    tag(path, undo=undo, overwrite=True)
    assert path.read_bytes()[-128:] == end


def test_id3v1_alone_gets_the_number_and_refuses_what_has_none(tmp_path: Path, undo: Path) -> None:
    path = write_kind("mp3-id3v1", tmp_path)
    content = path.read_bytes()
    tag(path, genre="rock", undo=undo)
    assert path.read_bytes() == content[:-1] + bytes([17])
    written, current = read_genre(path)
    with pytest.raises(PocketGenreError, match="ID3v1 tag alone, which knows no genre Shoegazing"):
        written.named("Shoegazing", current)


@pytest.mark.parametrize("kind", ["mp3-id3v2.3", "mp3-id3v2.4", "m4a", "flac", "opus", "wav"])
def test_a_genre_outside_of_ascii_reads_back(kind: str, tmp_path: Path) -> None:
    path = write_kind(kind, tmp_path)
    written, before = read_genre(path)
    for genre in ("Música 音楽", "x" * 300):
        written.write(path, written.named(genre, before))
        assert genres(path) == (genre,)


def test_in_a_dry_run_nothing_is_written(tmp_path: Path) -> None:
    paths = [write_kind(kind, tmp_path) for kind in KINDS]
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in paths]
    outcomes = list(tag_songs([with_label(path, "pop") for path in paths], None, overwrite=True))
    assert {outcome.done for outcome in outcomes} == {"changed"}
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in paths] == before
    assert len(list(tmp_path.iterdir())) == len(paths)


def test_uncertain_failed_and_vanished_songs_are_passed_over(tmp_path: Path) -> None:
    path = write_song(tmp_path / "a.wav")
    sure = with_label(path).song
    doubt = labelled(sure, thresholds=Thresholds(margin=1.5))
    gone = labelled(
        type(sure)(**{**vars(sure), "state": "vanished"}), failed_song(tmp_path / "b.mp3")
    )
    assert list(tag_songs([*doubt, *gone], None)) == []


def test_a_song_that_changed_since_it_was_heard_is_refused(tmp_path: Path, undo: Path) -> None:
    path = write_song(tmp_path / "a.wav")
    listened = with_label(path)
    os.utime(path, ns=(1, 1))
    with UndoLog(undo) as log:
        (outcome,) = tag_songs([listened], log)
    assert outcome.done == "refused"
    assert "changed since it was listened to" in str(outcome.reason)


def test_links_are_refused(tmp_path: Path, undo: Path) -> None:
    song, soft, hard, twin = (tmp_path / f"{n}.wav" for n in ("song", "soft", "hard", "twin"))
    write_song(song)
    soft.symlink_to(song)
    write_song(hard)
    twin.hardlink_to(hard)
    outcomes = tag(soft, hard, undo=undo)
    assert [outcome.done for outcome in outcomes] == ["refused"] * 2
    assert "it is a link" in str(outcomes[0].reason)
    assert "hard link" in str(outcomes[1].reason)
    assert hard.samefile(twin)


def test_a_write_protected_file_is_refused(tmp_path: Path, undo: Path) -> None:
    path = write_song(tmp_path / "a.wav")
    path.chmod(0o444)
    assert "write-protected" in str(tag(path, undo=undo)[0].reason)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become somebody else")
def test_a_write_protected_folder_is_refused(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from tests.library.songs import with_label
from pocketgenre.library.tags.tagging import tag_songs
from pocketgenre.library.tags.undo_log import UndoLog
os.setgid(65534); os.setuid(65534)
with UndoLog(Path(sys.argv[2])) as log:
    for outcome in tag_songs([with_label(Path(sys.argv[1]))], log):
        print(outcome.done, outcome.reason)
"""
    (tmp_path / "music").mkdir()
    path = write_song(tmp_path / "music" / "a.wav")
    path.chmod(0o666)
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)
    (tmp_path / "state").mkdir(mode=0o777)
    (tmp_path / "state").chmod(0o777)
    result = subprocess.run(
        [sys.executable, "-c", code, path, tmp_path / "state" / "undo.jsonl"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert result.stdout == "refused its folder is write-protected\n"


def test_a_format_without_a_place_for_it_is_named(tmp_path: Path, undo: Path) -> None:
    import av

    webm = tmp_path / "a.webm"
    with av.open(str(webm), "w") as container:
        stream = container.add_stream("libopus", rate=48_000)
        frame = av.AudioFrame(format="s16", layout="stereo", samples=48_000)
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    text = tmp_path / "text.mp3"
    text.write_text("not music\n" * 100)
    outcomes = tag(webm, text, undo=undo)
    assert [outcome.done for outcome in outcomes] == ["refused"] * 2
    assert "no genre can be written into files of its format" in str(outcomes[0].reason)
    assert "its tags can't be read" in str(outcomes[1].reason)


def test_tags_that_would_not_survive_are_not_rewritten(tmp_path: Path, undo: Path) -> None:
    old = write_song(tmp_path / "old.mp3")
    tt2 = b"TT2" + (6).to_bytes(3, "big") + b"\0Title"
    old.write_bytes(b"ID3\x02\0\0" + bytes([0, 0, 0, len(tt2)]) + tt2 + old.read_bytes())
    latin = write_song(tmp_path / "latin.ogg")
    audio = OggVorbis(latin)
    audio["TITLE"] = "caf0"
    audio.save()
    flac = write_song(tmp_path / "latin.flac")
    audio = mutagen.File(flac)
    audio["TITLE"] = "caf0"
    audio.save()
    flac.write_bytes(flac.read_bytes().replace(b"caf0", b"caf\xe9"))
    outcomes = tag(old, flac, undo=undo)
    assert [outcome.done for outcome in outcomes] == ["refused"] * 2
    assert "ID3v2.2" in str(outcomes[0].reason)
    assert "isn't UTF-8" in str(outcomes[1].reason)


def test_a_frame_that_mutagen_does_not_know_and_a_foreign_text_survive(
    tmp_path: Path, undo: Path
) -> None:
    path = write_song(tmp_path / "a.mp3")
    frames = b"XFOO" + (5).to_bytes(4, "big") + b"\0\0" + b"\x00\x01\xff\xfe\x02"
    frames += b"TIT2" + (4).to_bytes(4, "big") + b"\0\0" + b"\x00\xcf\xf0\xe8"  # cp1251
    frames += b"TYER" + (5).to_bytes(4, "big") + b"\0\0" + b"\x001996"
    path.write_bytes(b"ID3\x03\0\0" + bytes([0, 0, 0, len(frames)]) + frames + path.read_bytes())
    tag(path, undo=undo)
    assert frames in path.read_bytes()
    undo_all(undo)
    assert frames in path.read_bytes()
    assert genres(path) == ()


@pytest.mark.parametrize("seed", range(3))
def test_damaged_files_are_tagged_or_refused_and_never_half(
    seed: int, tmp_path: Path, undo: Path
) -> None:
    chance = random.Random(seed)
    for kind in KINDS:
        path = write_kind(kind, tmp_path)
        content = bytearray(path.read_bytes())
        for _ in range(chance.choice([1, 3, 10])):
            content[chance.randrange(min(len(content), chance.choice([64, 4000])))] = (
                chance.randrange(256)
            )
        if chance.random() < 0.2:
            del content[chance.randrange(len(content)) :]
        path.write_bytes(content)
        (outcome,) = tag(path, undo=undo, overwrite=True)
        if outcome.done == "changed":
            assert genres(path) == ("Hip-Hop",)
            if kind.startswith("mp3") and kind != "mp3-id3v1":
                assert path.read_bytes().endswith(content[-200:])
        else:
            assert path.read_bytes() == content
    assert not list(tmp_path.glob(".*"))
