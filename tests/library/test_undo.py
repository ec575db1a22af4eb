"""What was written into tags is taken back, and nothing that somebody else wrote since."""

import json
import stat
from pathlib import Path

import mutagen
import pytest
from mutagen.id3 import ID3, TCON, TIT2
from mutagen.mp4 import MP4

from pocketgenre.errors import PocketGenreError
from pocketgenre.library.tags.formats import read_genre
from pocketgenre.library.tags.tagging import tag_songs
from pocketgenre.library.tags.undo_log import UndoLog, read_undo_file
from tests.library.songs import with_label, write_kind
from tests.library.tagged import genres, tag, undo_all


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
