"""A genre in a song's own tags: written, never at the price of anything else, and taken back."""

import json
import os
import random
import stat
import subprocess
import sys
from pathlib import Path

import mutagen
import pytest
from mutagen.id3 import ID3, TCON, TIT2
from mutagen.mp4 import MP4
from mutagen.oggvorbis import OggVorbis

from mobile_demo.errors import PocketGenreError
from mobile_demo.scanner.label import Thresholds
from mobile_demo.scanner.tags.formats import read_genre
from mobile_demo.scanner.tags.tagging import Outcome, tag_songs, undo_changes
from mobile_demo.scanner.tags.undo_log import UndoLog, read_undo_file
from tests.conftest import REPOSITORY
from tests.mobile_demo.scanner.songs import (
    KINDS,
    failed_song,
    labelled,
    sound_of,
    with_label,
    write_kind,
    write_song,
)


def genres(path: Path) -> tuple[str, ...]:
    written, tag = read_genre(path)
    return written.text(tag)


def others(path: Path) -> dict[str, str]:
    """Every tag but the genre, as mutagen reads them."""
    tags = mutagen.File(path).tags or {}
    return {
        str(key): repr(value)
        for key, value in dict(tags).items()
        if str(key).lower() not in ("tcon", "genre", "\xa9gen")
    }


def tag(*paths: Path, genre: str = "hiphop", undo: Path, **options) -> list[Outcome]:
    songs = [with_label(path, genre) for path in paths]
    with UndoLog(undo) as log:
        return list(tag_songs(songs, log, **options))


def undo_all(undo: Path, *, dry_run: bool = False) -> list[Outcome]:
    if dry_run:
        return list(undo_changes(list(read_undo_file(undo)), None))
    with UndoLog(undo) as log:
        return list(undo_changes(list(read_undo_file(undo)), log))


@pytest.fixture
def undo(tmp_path: Path) -> Path:
    return tmp_path / "state" / "undo.jsonl"


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
from tests.mobile_demo.scanner.songs import with_label
from mobile_demo.scanner.tags.tagging import tag_songs
from mobile_demo.scanner.tags.undo_log import UndoLog
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


def test_undo_leaves_what_someone_else_wrote_since(tmp_path: Path, undo: Path) -> None:
    one, two = (write_kind("m4a", tmp_path, name) for name in ("one", "two"))
    tag(one, two, undo=undo)
    audio = MP4(one)
    audio["\xa9gen"] = ["Mine"]
    audio.save()
    audio = MP4(two)
    audio["\xa9nam"] = ["Another title"]
    audio.save()
    outcomes = undo_all(undo)
    assert [outcome.done for outcome in outcomes] == ["kept", "changed"]
    assert "someone else wrote Mine since" in str(outcomes[0].reason)
    assert genres(one) == ("Mine",)
    assert genres(two) == ()
    assert MP4(two)["\xa9nam"] == ["Another title"]


def test_undo_goes_back_over_several_runs_and_no_further_than_the_last_undo(
    tmp_path: Path, undo: Path
) -> None:
    path = write_kind("mp3-id3v2.4", tmp_path)
    original = read_genre(path)[1]
    for genre in ("rock", "jazz", "pop"):
        tag(path, genre=genre, undo=undo, overwrite=True)
    assert genres(path) == ("Pop",)
    assert [outcome.after for outcome in undo_all(undo, dry_run=True)] == ["Trip-Hop, Electronic"]
    assert genres(path) == ("Pop",)
    undo_all(undo)
    assert read_genre(path)[1] == original
    tags = ID3(path)
    tags["TCON"] = TCON(encoding=3, text="Rock")  # the user's own, the same by chance
    tags.save(path)
    assert undo_all(undo) == []
    assert genres(path) == ("Rock",)


def test_undo_goes_back_to_what_the_user_wrote_between_two_runs(tmp_path: Path, undo: Path) -> None:
    path = write_kind("flac", tmp_path)
    tag(path, genre="rock", undo=undo)
    audio = mutagen.File(path)
    audio["genre"] = "Mine"
    audio.save()
    tag(path, genre="jazz", undo=undo, overwrite=True)
    undo_all(undo)
    assert genres(path) == ("Mine",)


def test_an_undo_file_with_a_cut_line_goes_on(tmp_path: Path, undo: Path) -> None:
    path = write_kind("flac", tmp_path)
    tag(path, genre="rock", undo=undo)
    whole = undo.read_bytes()
    undo.write_bytes(whole + whole[: len(whole) // 2])
    tag(path, genre="jazz", undo=undo, overwrite=True)
    assert [entry is None for entry in read_undo_file(undo)] == [False, True, False]
    undo_all(undo)
    assert genres(path) == ()


def test_an_undo_file_is_what_it_says_and_one_process_writes_it(tmp_path: Path, undo: Path) -> None:
    path = write_kind("flac", tmp_path).rename(tmp_path / "naïve \n\udcff.flac")
    with UndoLog(undo) as log:
        list(tag_songs([with_label(path)], log))
        with pytest.raises(PocketGenreError, match="is in use"):
            UndoLog(undo)
    (line,) = undo.read_text("ascii").splitlines()
    assert json.loads(line)["path"] == str(path)
    assert stat.S_IMODE(undo.stat().st_mode) == 0o600
    assert [outcome.done for outcome in undo_all(undo)] == ["changed"]
    mine = tmp_path / "mine.txt"
    mine.write_text("my notes")
    with pytest.raises(PocketGenreError, match="no undo file of pocketgenre"):
        UndoLog(mine)
    assert mine.read_text() == "my notes"


def test_a_hostile_undo_file_changes_no_other_tag_and_no_other_file(
    tmp_path: Path, undo: Path
) -> None:
    path = write_kind("flac", tmp_path)
    tag(path, undo=undo)
    content = path.read_bytes()
    entry = json.loads(undo.read_text())
    bystander = tmp_path / "bystander.part"
    bystander.write_text("mine")
    hostile = [
        {**entry, "before": [b"TITLE=evil".hex()]},
        {**entry, "kind": "id3v1", "before": ["11"]},
        {**entry, "temporary": "../bystander.part"},
        {**entry, "temporary": "bystander.part"},
        {**entry, "path": "relative.flac"},
        {**entry, "path": "/a\0b"},
        {**entry, "before": [7]},
        [], 3, "text", None,
    ]  # fmt: skip
    for line in hostile:
        undo.write_text(json.dumps({"pocketgenre": 1}) + "\n" + json.dumps(line) + "\n")
        if "bystander" not in str(line):
            assert all(outcome.done != "changed" for outcome in undo_all(undo))
        else:
            UndoLog(undo).__exit__()
        assert path.read_bytes() == content
        assert bystander.read_text() == "mine"


def test_a_title_in_the_undo_of_a_song_that_was_tagged_since(tmp_path: Path, undo: Path) -> None:
    """The file grows a tag of another version between tagging and undoing."""
    path = write_kind("mp3-bare", tmp_path)
    tag(path, undo=undo)
    tags = ID3(path)
    tags.add(TIT2(encoding=3, text="New"))
    tags.save(path, v2_version=4)
    (outcome,) = undo_all(undo)
    assert outcome.done == "kept"
    assert str(ID3(path)["TIT2"]) == "New"


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
