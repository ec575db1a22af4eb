"""A rescan listens to what is new or has changed, and to nothing else."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pocketgenre.library.catalog import Catalog
from pocketgenre.library.discovery import stat_file
from pocketgenre.library.file_hash import hash_file
from pocketgenre.library.library_diff import Wanted
from pocketgenre.library.scan import look, settle
from tests.library.conftest import names, scan, write
from tests.library.fake_models import listener


def states(catalog: Catalog) -> dict[str, str]:
    return {song.path.name: song.state for song in catalog.songs()}


def test_an_unchanged_library_is_not_listened_to(music: Path, catalog: Catalog) -> None:
    write(music, "1.mp3", "2.mp3", "bad.mp3")
    scan(music, catalog)
    changes, done = scan(music, catalog)
    assert not done
    assert len(changes.unchanged) == 3


def test_what_is_new_or_changed_is_listened_to(music: Path, catalog: Catalog) -> None:
    write(music, "1.mp3", "2.mp3", "3.mp3")
    scan(music, catalog)
    write(music, "4.mp3")
    (music / "2.mp3").write_text("longer than it was" * 100)
    os.utime(music / "3.mp3", ns=(1, 1))
    _, done = scan(music, catalog)
    assert names(done) == ["2.mp3", "3.mp3", "4.mp3"]
    assert len(states(catalog)) == 4


def test_moved_songs_are_recognised_by_their_content(
    music: Path, catalog: Catalog, tmp_path: Path
) -> None:
    write(music, *(f"old/{n}.mp3" for n in range(5)), "stays.mp3")
    scan(music, catalog)
    (music / "old").rename(music / "new")
    (music / "new" / "3.mp3").rename(music / "new" / "renamed.ogg")
    os.utime(music / "new" / "4.mp3", ns=(5, 5))  # a copy need not keep the time
    before = {song.path.name: song.probabilities.tolist() for song in catalog.songs()}
    changes, done = scan(music, catalog)
    assert not done
    assert len(changes.moved) == 5
    after = {song.path.name: song.probabilities.tolist() for song in catalog.songs()}
    assert after.pop("renamed.ogg") == before.pop("3.mp3")
    assert after == before
    assert all(song.path.exists() for song in catalog.songs())
    assert not scan(music, catalog)[1]

    other = tmp_path / "another folder"
    shutil.move(music / "new", other)
    changes, done = scan(other, catalog)
    assert not done
    assert len(changes.moved) == 5
    assert len(states(catalog)) == 6


def test_a_copy_is_a_song_of_its_own(music: Path, catalog: Catalog) -> None:
    write(music, "1.mp3")
    scan(music, catalog)
    shutil.copy2(music / "1.mp3", music / "copy.mp3")
    _, done = scan(music, catalog)
    assert names(done) == ["copy.mp3"]
    assert len(states(catalog)) == 2


def test_two_files_of_equal_content_that_move_stay_two(music: Path, catalog: Catalog) -> None:
    write(music, "1.mp3")
    shutil.copy2(music / "1.mp3", music / "2.mp3")
    scan(music, catalog)
    (music / "new").mkdir()
    for name in ("1.mp3", "2.mp3"):
        (music / name).rename(music / "new" / name)
    changes, done = scan(music, catalog)
    assert len(changes.moved) == 2
    assert not done
    assert states(catalog) == {"1.mp3": "labelled", "2.mp3": "labelled"}


def test_vanished_songs_are_marked_and_known_when_they_return(
    music: Path, catalog: Catalog, tmp_path: Path
) -> None:
    write(music, "1.mp3", "2.mp3", "bad.mp3")
    scan(music, catalog)
    for name in ("2.mp3", "bad.mp3"):
        (music / name).rename(tmp_path / name)
    scan(music, catalog)
    assert states(catalog) == {"1.mp3": "labelled", "2.mp3": "vanished", "bad.mp3": "vanished"}
    assert next(s for s in catalog.songs() if s.path.name == "2.mp3").probabilities is not None
    for name in ("2.mp3", "bad.mp3"):
        (tmp_path / name).rename(music / name)
    changes, done = scan(music, catalog)
    assert not done
    assert len(changes.returned) == 2
    assert states(catalog) == {"1.mp3": "labelled", "2.mp3": "labelled", "bad.mp3": "failed"}


def test_songs_outside_the_folder_are_left_alone(music: Path, catalog: Catalog) -> None:
    write(music, "a/1.mp3", "ab/2.mp3")
    scan(music, catalog)
    (music / "ab" / "2.mp3").unlink()
    changes, _ = scan(music / "a", catalog)
    assert not changes.vanished
    assert len(changes.unchanged) == 1


def test_what_is_in_a_folder_that_cannot_be_listed_is_not_taken_for_vanished(
    music: Path, catalog: Catalog
) -> None:
    write(music, "1.mp3", "locked/2.mp3")
    scan(music, catalog)
    (music / "locked" / "2.mp3").unlink()
    listing, _ = look(music, catalog, Wanted(listener().card.sha256))
    from pocketgenre.library.library_diff import compare

    blind = replace(listing, unlistable=(str(music.resolve() / "locked"),))
    assert not compare(blind, catalog.known(), Wanted(listener().card.sha256)).vanished


def test_another_model_listens_anew(music: Path, catalog: Catalog) -> None:
    write(music, "1.mp3")
    scan(music, catalog)
    other = listener()
    other = replace(other, card=replace(other.card, sha256="f" * 64))
    _, done = scan(music, catalog, other)
    assert names(done) == ["1.mp3"]
    (song,) = catalog.songs()
    assert song.model == "f" * 64


@pytest.mark.parametrize(
    ("first", "then", "heard"), [(0, 4, 0), (8, 4, 0), (4, 8, 1), (4, 0, 1), (4, 4, 0)]
)
def test_more_segments_are_heard_only_where_there_are_fewer(
    music: Path, catalog: Catalog, first: int, then: int, heard: int
) -> None:
    write(music, "1.mp3")
    scan(music, catalog, listener(segments=first))
    assert len(scan(music, catalog, listener(segments=then))[1]) == heard


def test_what_failed_is_tried_again_when_it_changed_or_when_asked(
    music: Path, catalog: Catalog
) -> None:
    write(music, "bad.mp3")
    scan(music, catalog)
    assert not scan(music, catalog)[1]
    assert len(scan(music, catalog, failed_again=True)[1]) == 1
    write(music, "bad.mp3", "x.mp3")
    assert len(scan(music, catalog)[1]) == 2


def test_what_could_not_be_read_is_tried_each_time(music: Path, catalog: Catalog) -> None:
    (music / "gone.mp3").symlink_to(music / "nowhere.mp3")
    for _ in range(2):
        _, done = scan(music, catalog, listener(workers=1))
        assert len(done) == 1
    (song,) = catalog.songs()
    assert song.state == "failed"
    assert "No such file" in (song.error or "")


def test_a_library_reached_by_another_name_is_the_same_library(
    music: Path, catalog: Catalog, tmp_path: Path
) -> None:
    write(music, "1.mp3")
    scan(music, catalog)
    (tmp_path / "link").symlink_to(music)
    assert not scan(tmp_path / "link", catalog)[1]


def test_a_file_whose_tags_were_written_need_not_be_heard_again(
    music: Path, catalog: Catalog
) -> None:
    write(music, "1.mp3")
    scan(music, catalog)
    before = (music / "1.mp3").stat()
    (music / "1.mp3").write_text("with a genre in its tag")
    catalog.restamp(music / "1.mp3", (before.st_size, before.st_mtime_ns))
    assert not scan(music, catalog)[1]
    (song,) = catalog.songs()
    assert song.size == (music / "1.mp3").stat().st_size


def test_a_file_that_had_another_sound_when_its_tags_were_written_is_heard(
    music: Path, catalog: Catalog
) -> None:
    write(music, "1.mp3")
    scan(music, catalog)
    (music / "1.mp3").write_text("sung anew")
    between = (music / "1.mp3").stat()
    (music / "1.mp3").write_text("sung anew, with a genre in its tag")
    catalog.restamp(music / "1.mp3", (between.st_size, between.st_mtime_ns))
    assert len(scan(music, catalog)[1]) == 1


def test_to_look_changes_nothing(music: Path, catalog: Catalog) -> None:
    write(music, "1.mp3")
    _, changes = look(music, catalog, Wanted(listener().card.sha256))
    assert len(changes.listen) == 1
    assert not list(catalog.songs())
    settle(changes, catalog)
    assert not list(catalog.songs())


def test_content_hash_tells_files_apart(tmp_path: Path) -> None:
    path = tmp_path / "file"
    seen = set()
    for content in (b"", b"a", b"b", b"a" * 4096, b"a" * 65_536, b"a" * 65_537, b"a" * 500_000):
        path.write_bytes(content)
        seen.add(hash_file(path))
    for position in (0, 30_000, 65_535):  # every byte of a small file counts
        content = bytearray(b"a" * 65_536)
        content[position] = 0
        path.write_bytes(content)
        seen.add(hash_file(path))
    assert len(seen) == 10
    assert all(len(digest) == 16 for digest in seen)


def test_what_cannot_be_looked_at_is_still_named(tmp_path: Path) -> None:
    assert stat_file(str(tmp_path / "no.mp3")).size == -1
