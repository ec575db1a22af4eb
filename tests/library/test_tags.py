"""Write genres into songs' tags, and undo these changes; the rest of a file stays unchanged."""

import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import av
import mutagen
import pytest
from mutagen.flac import FLAC
from mutagen.id3 import ID3, TCON, TIT2
from mutagen.mp4 import MP4
from mutagen.oggvorbis import OggVorbis

from pocketgenre.errors import PocketGenreError
from pocketgenre.library.tags.formats import read_genre
from pocketgenre.library.tags.genre_tag import TagError, is_same_text
from pocketgenre.library.tags.tagging import Outcome, TagConfig, tag_songs, undo_changes
from pocketgenre.library.tags.undo_log import UndoLog, read_undo_file
from pocketgenre.prediction import LabelConfig
from tests.conftest import REPOSITORY, make_older
from tests.library.songs import KINDS, failed_song, hash_audio, song, write_kind, write_song


def genres(path: Path) -> tuple[str, ...]:
    """Return the genres in a file's tags."""
    genre_format, tag = read_genre(path)
    return genre_format.text(tag)


def tag(*paths: Path, genre: str = "hiphop", undo_file: Path, **options) -> list[Outcome]:
    """Write a genre into files, also into files that have just been written."""
    songs = [song(path, [genre]) for path in paths]
    with UndoLog(undo_file) as log:
        return list(tag_songs(songs, log, TagConfig(**{"settle_seconds": 0, **options})))


def undo_all(undo_file: Path, *, dry_run: bool = False) -> list[Outcome]:
    """Undo all changes of an undo file."""
    entries, config = list(read_undo_file(undo_file)), TagConfig(settle_seconds=0)
    if dry_run:
        return list(undo_changes(entries, None, config))
    with UndoLog(undo_file) as log:
        return list(undo_changes(entries, log, config))


def others(path: Path) -> dict[str, str]:
    """Return all tags except the genre, as mutagen reads them."""
    tags = mutagen.File(path).tags or {}
    return {
        str(key): repr(value)
        for key, value in dict(tags).items()
        if str(key).lower() not in ("tcon", "genre", "\xa9gen")
    }


@pytest.mark.parametrize("kind", KINDS)
def test_genre_is_written_and_undone(kind: str, tmp_path: Path, undo_file: Path) -> None:
    path = write_kind(kind, tmp_path)
    path.chmod(0o640)
    os.utime(path, ns=(1_111_111_111_222_222_222, 1_222_222_222_333_333_333))
    before, content, audio = path.stat(), path.read_bytes(), hash_audio(path)
    tag_before, kept = read_genre(path)[1], others(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    (outcome,) = tag(path, undo_file=undo_file, overwrite=True, keep_times=True)
    assert outcome.action == "changed", outcome
    assert outcome.after == "Hip-Hop"
    after = path.stat()
    assert (after.st_mtime_ns, after.st_atime_ns) == (before.st_mtime_ns, before.st_atime_ns)
    assert (stat.S_IMODE(after.st_mode), after.st_uid) == (0o640, before.st_uid)
    assert genres(path) == ("Hip-Hop",)
    shown = mutagen.File(path, easy=path.suffix == ".mp3").tags
    assert "Hip-Hop" in str(shown.get("genre") or shown.get("TCON") or shown.get("\xa9gen"))
    assert others(path) == kept
    assert hash_audio(path) == audio

    assert [outcome.action for outcome in undo_all(undo_file)] == ["changed"]
    assert read_genre(path)[1] == tag_before
    assert others(path) == kept
    assert hash_audio(path) == audio
    if kind in ("mp3-bare", "mp3-id3v1", "wav-bare", "aiff-bare"):
        assert path.read_bytes() == content
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([path.name, "state"])
    assert undo_all(undo_file) == []


def test_existing_genre_is_kept_without_overwrite(tmp_path: Path, undo_file: Path) -> None:
    with_genre = [kind for kind in KINDS if genres(write_kind(kind, tmp_path))]
    assert {"mp3-id3v2.4", "mp3-both", "m4a-genre", "m4a-gnre", "ogg-genres", "wav", "aiff"} == set(
        with_genre
    )
    paths = [write_kind(kind, tmp_path) for kind in with_genre]
    before = [path.read_bytes() for path in paths]
    outcomes = tag(*paths, undo_file=undo_file)
    assert {outcome.action for outcome in outcomes} == {"kept"}
    assert [path.read_bytes() for path in paths] == before
    assert undo_file.read_bytes() == b""
    assert "its genre is Trip-Hop, Electronic" in [outcome.reason for outcome in outcomes]
    tag(*paths, undo_file=undo_file, overwrite=True)
    assert {genres(path) for path in paths} == {("Hip-Hop",)}


def test_id3v1_next_to_id3v2_stays_unchanged(tmp_path: Path, undo_file: Path) -> None:
    path = write_kind("mp3-both", tmp_path)
    end = path.read_bytes()[-128:]
    assert end.startswith(b"TAG")
    tag(path, undo_file=undo_file, overwrite=True)
    assert path.read_bytes()[-128:] == end


def test_id3v1_holds_only_numbered_genres(tmp_path: Path, undo_file: Path) -> None:
    path = write_kind("mp3-id3v1", tmp_path)
    content = path.read_bytes()
    tag(path, genre="rock", undo_file=undo_file)
    assert path.read_bytes() == content[:-1] + bytes([17])
    genre_format, current = read_genre(path)
    with pytest.raises(TagError, match="only an ID3v1 tag, which has no genre Shoegazing"):
        genre_format.with_genres(["Shoegazing"], current)


@pytest.mark.parametrize("kind", ["mp3-id3v2.3", "mp3-id3v2.4", "m4a", "flac", "opus", "wav"])
def test_genre_outside_ascii_is_read_back(kind: str, tmp_path: Path) -> None:
    path = write_kind(kind, tmp_path)
    genre_format, before = read_genre(path)
    for genre in ("Música 音楽", "x" * 300):
        genre_format.write(path, genre_format.with_genres([genre], before))
        assert genres(path) == (genre,)


def test_dry_run_is_read_only(tmp_path: Path) -> None:
    paths = [write_kind(kind, tmp_path) for kind in KINDS]
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in paths]
    config = TagConfig(overwrite=True, settle_seconds=0)
    outcomes = list(tag_songs([song(path, ["pop"]) for path in paths], None, config))
    assert {outcome.action for outcome in outcomes} == {"changed"}
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in paths] == before
    assert len(list(tmp_path.iterdir())) == len(paths)


def test_songs_without_certain_genre_are_skipped(tmp_path: Path) -> None:
    path = write_song(tmp_path / "a.wav")
    uncertain = song(path, label_config=LabelConfig(min_margin=1.0), genres=["rock", "jazz"])
    assert uncertain.is_uncertain
    vanished = replace(song(path), state="vanished")
    assert list(tag_songs([uncertain, vanished, failed_song(tmp_path / "b.mp3")], None)) == []


def test_song_changed_since_the_scan_is_refused(tmp_path: Path, undo_file: Path) -> None:
    path = write_song(tmp_path / "a.wav")
    scanned = song(path)
    os.utime(path, ns=(1, 1))
    with UndoLog(undo_file) as log:
        (outcome,) = tag_songs([scanned], log)
    assert outcome.action == "refused"
    assert "it has changed since the scan" in str(outcome.reason)


def test_links_are_refused(tmp_path: Path, undo_file: Path) -> None:
    file, soft, hard, twin = (tmp_path / f"{n}.wav" for n in ("file", "soft", "hard", "twin"))
    write_song(file)
    soft.symlink_to(file)
    write_song(hard)
    twin.hardlink_to(hard)
    outcomes = tag(soft, hard, undo_file=undo_file)
    assert [outcome.action for outcome in outcomes] == ["refused"] * 2
    assert "it is a link" in str(outcomes[0].reason)
    assert "hard link" in str(outcomes[1].reason)
    assert hard.samefile(twin)


def test_write_protected_file_is_refused(tmp_path: Path, undo_file: Path) -> None:
    path = write_song(tmp_path / "a.wav")
    path.chmod(0o444)
    assert "write-protected" in str(tag(path, undo_file=undo_file)[0].reason)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_write_protected_folder_is_refused(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from tests.library.songs import song
from pocketgenre.library.tags.tagging import tag_songs
from pocketgenre.library.tags.undo_log import UndoLog
os.setgid(65534); os.setuid(65534)
with UndoLog(Path(sys.argv[2])) as log:
    for outcome in tag_songs([song(Path(sys.argv[1]))], log):
        print(outcome.action, outcome.reason)
"""
    (tmp_path / "music").mkdir()
    path = write_song(tmp_path / "music" / "a.wav")
    path.chmod(0o666)
    for parent in (
        tmp_path,
        *(p for p in tmp_path.parents if p.name.startswith(("pytest-", "popen-"))),
    ):
        parent.chmod(0o755)
    (tmp_path / "state").mkdir(mode=0o777)
    (tmp_path / "state").chmod(0o777)
    result = subprocess.run(
        [sys.executable, "-c", code, path, tmp_path / "state" / "undo.jsonl"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert result.stdout == "refused its folder is write-protected\n"


def test_format_without_genre_is_refused(tmp_path: Path, undo_file: Path) -> None:
    webm = tmp_path / "a.webm"
    with av.open(str(webm), "w") as container:
        stream = container.add_stream("libopus", rate=48_000)
        frame = av.AudioFrame(format="s16", layout="stereo", samples=48_000)
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    text = tmp_path / "text.mp3"
    text.write_text("not music\n" * 100)
    outcomes = tag(webm, text, undo_file=undo_file)
    assert [outcome.action for outcome in outcomes] == ["refused"] * 2
    assert "no genre can be written into files of its format" in str(outcomes[0].reason)
    assert "its tags can't be read" in str(outcomes[1].reason)


def test_tags_that_writing_would_change_are_refused(tmp_path: Path, undo_file: Path) -> None:
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
    outcomes = tag(old, flac, undo_file=undo_file)
    assert [outcome.action for outcome in outcomes] == ["refused"] * 2
    assert "ID3v2.2" in str(outcomes[0].reason)
    assert "not UTF-8" in str(outcomes[1].reason)


def test_unknown_frames_and_encodings_stay_unchanged(tmp_path: Path, undo_file: Path) -> None:
    path = write_song(tmp_path / "a.mp3")
    frames = b"XFOO" + (5).to_bytes(4, "big") + b"\0\0" + b"\x00\x01\xff\xfe\x02"
    frames += b"TIT2" + (4).to_bytes(4, "big") + b"\0\0" + b"\x00\xcf\xf0\xe8"  # cp1251
    frames += b"TYER" + (5).to_bytes(4, "big") + b"\0\0" + b"\x001996"
    path.write_bytes(b"ID3\x03\0\0" + bytes([0, 0, 0, len(frames)]) + frames + path.read_bytes())
    tag(path, undo_file=undo_file)
    assert frames in path.read_bytes()
    undo_all(undo_file)
    assert frames in path.read_bytes()
    assert genres(path) == ()


@pytest.mark.parametrize("seed", range(3))
def test_damaged_files_are_tagged_or_refused(seed: int, tmp_path: Path, undo_file: Path) -> None:
    rng = random.Random(seed)
    for kind in KINDS:
        path = write_kind(kind, tmp_path)
        content = bytearray(path.read_bytes())
        for _ in range(rng.choice([1, 3, 10])):
            content[rng.randrange(min(len(content), rng.choice([64, 4000])))] = rng.randrange(256)
        if rng.random() < 0.2:
            del content[rng.randrange(len(content)) :]
        path.write_bytes(content)
        (outcome,) = tag(path, undo_file=undo_file, overwrite=True)
        if outcome.action == "changed":
            assert genres(path) == ("Hip-Hop",)
            if kind.startswith("mp3") and kind != "mp3-id3v1":
                assert path.read_bytes().endswith(content[-200:])
        else:
            assert path.read_bytes() == content
    assert not list(tmp_path.glob(".*"))


def test_undo_keeps_later_changes_of_others(tmp_path: Path, undo_file: Path) -> None:
    one, two = (write_kind("m4a", tmp_path, name) for name in ("one", "two"))
    tag(one, two, undo_file=undo_file)
    audio = MP4(one)
    audio["\xa9gen"] = ["Mine"]
    audio.save()
    audio = MP4(two)
    audio["\xa9nam"] = ["Other title"]
    audio.save()
    outcomes = undo_all(undo_file)
    assert [outcome.action for outcome in outcomes] == ["kept", "changed"]
    assert "its genre is Mine now, not Hip-Hop" in str(outcomes[0].reason)
    assert genres(one) == ("Mine",)
    assert genres(two) == ()
    assert MP4(two)["\xa9nam"] == ["Other title"]


def test_undo_covers_runs_since_the_last_undo(tmp_path: Path, undo_file: Path) -> None:
    path = write_kind("mp3-id3v2.4", tmp_path)
    original = read_genre(path)[1]
    for genre in ("rock", "jazz", "pop"):
        tag(path, genre=genre, undo_file=undo_file, overwrite=True)
    assert genres(path) == ("Pop",)
    assert [outcome.after for outcome in undo_all(undo_file, dry_run=True)] == [
        "Trip-Hop, Electronic"
    ]
    assert genres(path) == ("Pop",)
    undo_all(undo_file)
    assert read_genre(path)[1] == original
    tags = ID3(path)
    tags["TCON"] = TCON(encoding=3, text="Rock")  # written by the user, and the same by rng
    tags.save(path)
    assert undo_all(undo_file) == []
    assert genres(path) == ("Rock",)


def test_undo_restores_genre_written_between_runs(tmp_path: Path, undo_file: Path) -> None:
    path = write_kind("flac", tmp_path)
    tag(path, genre="rock", undo_file=undo_file)
    audio = mutagen.File(path)
    audio["genre"] = "Mine"
    audio.save()
    tag(path, genre="jazz", undo_file=undo_file, overwrite=True)
    undo_all(undo_file)
    assert genres(path) == ("Mine",)


def test_undo_file_continues_after_a_cut_line(tmp_path: Path, undo_file: Path) -> None:
    path = write_kind("flac", tmp_path)
    tag(path, genre="rock", undo_file=undo_file)
    whole = undo_file.read_bytes()
    undo_file.write_bytes(whole + whole[: len(whole) // 2])
    tag(path, genre="jazz", undo_file=undo_file, overwrite=True)
    assert [entry is None for entry in read_undo_file(undo_file)] == [False, True, False]
    undo_all(undo_file)
    assert genres(path) == ()


def test_undo_file_is_private_locked_and_checked(tmp_path: Path, undo_file: Path) -> None:
    path = write_kind("flac", tmp_path).rename(tmp_path / "naïve \n\udcff.flac")
    with UndoLog(undo_file) as log:
        list(tag_songs([song(path)], log, TagConfig(settle_seconds=0)))
        with pytest.raises(PocketGenreError, match="is in use"):
            UndoLog(undo_file)
    (line,) = undo_file.read_text("ascii").splitlines()
    assert json.loads(line)["path"] == str(path)
    assert stat.S_IMODE(undo_file.stat().st_mode) == 0o600
    assert [outcome.action for outcome in undo_all(undo_file)] == ["changed"]
    mine = tmp_path / "mine.txt"
    mine.write_text("my notes")
    with pytest.raises(PocketGenreError, match="is not an undo file of pocketgenre"):
        UndoLog(mine)
    assert mine.read_text() == "my notes"


def test_undo_file_of_earlier_release_is_read(tmp_path: Path, undo_file: Path) -> None:
    """The lines are those that pocketgenre wrote before version 2 of the catalogue."""
    flac, mp3, undone = (
        write_kind(kind, tmp_path) for kind in ("flac-bare", "mp3-id3v2.4", "flac")
    )
    before = read_genre(mp3)[1]
    genre = b"GENRE=Rock".hex()
    frame = "54434f4e000000080000004869702d486f70"
    undo_file.parent.mkdir()
    undo_file.write_text(
        f'{{"pocketgenre": 1, "path": "{flac}", "do": "change",'
        f' "temporary": ".pocketgenre-0123456789abcdef.part", "kind": "vorbis",'
        f' "before": [], "after": ["{genre}"]}}\n'
        f'{{"pocketgenre": 1, "path": "{undone}", "do": "change",'
        f' "temporary": ".pocketgenre-00112233445566aa.part", "kind": "vorbis",'
        f' "before": [], "after": ["{genre}"]}}\n'
        f'{{"pocketgenre": 1, "path": "{undone}", "do": "undone"}}\n'
        f'{{"pocketgenre": 1, "path": "{mp3}", "do": "change",'
        f' "temporary": ".pocketgenre-fedcba9876543210.part", "kind": "id3v2.4",'
        f' "before": ["{before.values[0].hex()}"], "after": ["{frame}"]}}\n'
    )
    for path in (flac, undone):
        audio = FLAC(path)
        audio["GENRE"] = "Rock"
        audio.save()
    genre_format = read_genre(mp3)[0]
    genre_format.write(mp3, replace(before, values=(bytes.fromhex(frame),)))
    stray = tmp_path / ".pocketgenre-fedcba9876543210.part"  # of a crash during the last change
    stray.write_bytes(b"incomplete")

    outcomes = undo_all(undo_file)
    assert [(outcome.path, outcome.action) for outcome in outcomes] == [
        (flac, "changed"),
        (mp3, "changed"),
    ]
    assert genres(flac) == ()
    assert read_genre(mp3)[1] == before
    assert genres(undone) == ("Rock",)
    assert not stray.exists()
    assert undo_all(undo_file) == []


def test_hostile_undo_file_changes_nothing_else(tmp_path: Path, undo_file: Path) -> None:
    path = write_kind("flac", tmp_path)
    tag(path, undo_file=undo_file)
    content = path.read_bytes()
    entry = json.loads(undo_file.read_text())
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
        {**entry, "kind": "id3v1", "before": [], "after": []},
        {**entry, "kind": "id3v2.3", "after": ["00"]},
        {**entry, "after": ["ff"]},
        [], 3, "text", None,
    ]  # fmt: skip
    for line in hostile:
        undo_file.write_text(json.dumps({"pocketgenre": 1}) + "\n" + json.dumps(line) + "\n")
        if "bystander" not in str(line):
            assert all(outcome.action != "changed" for outcome in undo_all(undo_file))
        else:
            UndoLog(undo_file).__exit__()
        assert path.read_bytes() == content
        assert bystander.read_text() == "mine"


def _save_as_v23(path: Path) -> None:
    tags = ID3(path)
    tags.update_to_v23()
    tags.add(TIT2(encoding=1, text=["Better"]))
    tags.save(path, v2_version=3)


def _save_lower_case(path: Path) -> None:
    audio = OggVorbis(path)
    audio.tags[:] = [(key.lower(), value) for key, value in audio.tags]
    audio.save()


def _remux(path: Path) -> None:
    """Copy the audio into a new file with the same fields, as ffmpeg -c copy does."""
    new = path.with_name(f"new{path.suffix}")
    with av.open(str(path)) as source, av.open(str(new), "w") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        target.metadata.update(source.metadata)
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    new.replace(path)


HARMLESS = {
    "v2.4 to v2.3": ("mp3-id3v2.4", _save_as_v23),
    "lower-case keys": ("ogg-genres", _save_lower_case),
    "remuxed MP3": ("mp3-id3v2.3", _remux),
    "remuxed M4A": ("m4a-genre", _remux),
}
"""Changes of other programs that keep the genre: a kind of file, and a function."""


@pytest.mark.parametrize("change", HARMLESS)
def test_undo_accepts_harmless_changes(change: str, tmp_path: Path, undo_file: Path) -> None:
    kind, save = HARMLESS[change]
    path = write_kind(kind, tmp_path)
    before = genres(path)
    tag(path, undo_file=undo_file, overwrite=True)
    save(path)
    assert genres(path) == ("Hip-Hop",)
    (outcome,) = undo_all(undo_file)
    assert outcome.action == "changed", outcome
    assert is_same_text(genres(path), before)
    assert undo_all(undo_file) == []


def test_undo_follows_moved_songs(tmp_path: Path, undo_file: Path) -> None:
    path = write_kind("flac", tmp_path)
    tag(path, undo_file=undo_file)
    moved = path.rename(tmp_path / "moved.flac")
    (outcome,) = undo_all(undo_file, dry_run=True)
    assert outcome.action == "refused"
    assert "if you moved it, scan the folder" in str(outcome.reason)
    entries = list(read_undo_file(undo_file))
    with UndoLog(undo_file) as log:
        (outcome,) = undo_changes(entries, log, current_path=lambda _: moved)
    assert (outcome.action, outcome.path) == ("changed", moved)
    assert genres(moved) == ()
    assert undo_all(undo_file) == []


def test_undo_right_after_tagging_needs_no_wait(tmp_path: Path, undo_file: Path) -> None:
    path = write_kind("flac", tmp_path)
    tag(path, undo_file=undo_file)
    with UndoLog(undo_file) as log:
        (outcome,) = undo_changes(list(read_undo_file(undo_file)), log)
    assert outcome.action == "changed", outcome


@pytest.mark.parametrize("kind", ["mp3-id3v2.3", "flac", "m4a"])
def test_tagging_moves_the_time(kind: str, tmp_path: Path, undo_file: Path) -> None:
    """Programs that compare size and time notice the change, even with padding or a wrong clock."""
    past, future = (write_kind(kind, tmp_path, name) for name in ("past", "future"))
    make_older(past)
    make_older(future, -7200)
    before = [path.stat().st_mtime_ns for path in (past, future)]
    tag(past, future, undo_file=undo_file)
    assert [path.stat().st_mtime_ns for path in (past, future)] > before
    after = [path.stat().st_mtime_ns for path in (past, future)]
    undo_all(undo_file)
    assert all(path.stat().st_mtime_ns > t for path, t in zip((past, future), after, strict=True))


_TAG = """
import sys
from pathlib import Path
from tests.library.songs import song
from pocketgenre.library.tags.tagging import TagConfig, tag_songs, undo_changes
from pocketgenre.library.tags.undo_log import UndoLog, read_undo_file
music, undo_file = map(Path, sys.argv[1:])
print("ready", flush=True)
for genre in ("hiphop", "jazz") * 50:
    songs = [song(path, [genre]) for path in sorted(music.glob("[!.]*"))]
    with UndoLog(undo_file) as log:
        for outcome in tag_songs(songs, log, TagConfig(overwrite=True, settle_seconds=0)):
            assert outcome.action != "refused", outcome
    with UndoLog(undo_file) as log:
        for outcome in undo_changes(list(read_undo_file(undo_file)), log):
            assert outcome.action != "refused", outcome
"""


def kill_while_tagging(tmp_path: Path, kills: int) -> None:
    """Kill a process that tags and undoes; check that every file is complete.

    Each file has its old genre or one of the written ones, and the audio is unchanged.
    """
    pristine, music, undo_file = (tmp_path / name for name in ("old", "music", "undo.jsonl"))
    pristine.mkdir()
    files = [write_kind(kind, pristine) for kind in KINDS]
    shutil.copytree(pristine, music)
    audio = {path.name: hash_audio(path) for path in files}
    before = {path.name: genres(path) for path in files}
    rng = random.Random(5)
    strays = tagged = 0
    for _ in range(kills):
        process = subprocess.Popen(
            [sys.executable, "-c", _TAG, music, undo_file],
            cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout
        assert process.stdout.readline() == b"ready\n", process.communicate()[1]
        time.sleep(rng.uniform(0, 0.8))
        process.send_signal(signal.SIGKILL)
        assert process.communicate()[1] == b""
        assert process.returncode == -signal.SIGKILL
        strays += len(list(music.glob(".*")))
        assert len(list(music.glob(".*"))) <= 1
        for name, content in audio.items():
            assert hash_audio(music / name) == content
            assert genres(music / name) in (before[name], ("Hip-Hop",), ("Jazz",))
            tagged += genres(music / name) != before[name]
    with UndoLog(undo_file) as log:
        assert list(music.glob(".*")) == []
        outcomes = list(undo_changes(list(read_undo_file(undo_file)), log))
    assert {outcome.action for outcome in outcomes} <= {"changed", "kept"}
    assert not [o for o in outcomes if "another program" in str(o.reason)]
    for path in files:
        assert read_genre(music / path.name)[1] == read_genre(path)[1]
        assert hash_audio(music / path.name) == audio[path.name]
    print(f"{kills} kills, {strays} left a copy behind, {tagged} songs found tagged")


@pytest.mark.slow
def test_six_kills_leave_complete_files(tmp_path: Path) -> None:
    kill_while_tagging(tmp_path, 6)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_fifty_kills_leave_complete_files(tmp_path: Path) -> None:
    kill_while_tagging(tmp_path, 50)
