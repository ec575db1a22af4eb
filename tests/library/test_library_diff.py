"""Find the files that a scan has to classify: new and changed ones, and no others."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pocketgenre.library.catalog import Catalog
from pocketgenre.library.discovery import stat_file
from pocketgenre.library.file_hash import hash_file
from pocketgenre.library.library_diff import ScanRequest, diff_library
from pocketgenre.library.scan import apply_changes
from tests.library.conftest import find_changes, names_of, scan, write_files
from tests.library.fake_models import scan_config


def states(catalog: Catalog) -> dict[str, str]:
    return {song.path.name: song.state for song in catalog.songs()}


def probabilities(catalog: Catalog) -> dict[str, list]:
    return {s.path.name: s.prediction.segment_probabilities.tolist() for s in catalog.songs()}


def scan_request() -> ScanRequest:
    return scan_config().request()


def test_unchanged_library_is_not_rescanned(music: Path, catalog: Catalog) -> None:
    write_files(music, "1.mp3", "2.mp3", "bad.mp3")
    scan(music, catalog)
    diff, scanned = scan(music, catalog)
    assert not scanned
    assert len(diff.unchanged) == 3


def test_new_and_changed_files_are_scanned(music: Path, catalog: Catalog) -> None:
    write_files(music, "1.mp3", "2.mp3", "3.mp3")
    scan(music, catalog)
    write_files(music, "4.mp3")
    (music / "2.mp3").write_text("longer than it was" * 100)
    os.utime(music / "3.mp3", ns=(1, 1))
    _, scanned = scan(music, catalog)
    assert names_of(scanned) == ["2.mp3", "3.mp3", "4.mp3"]
    assert len(states(catalog)) == 4


def test_moved_songs_keep_their_predictions(music: Path, catalog: Catalog, tmp_path: Path) -> None:
    write_files(music, *(f"old/{n}.mp3" for n in range(5)), "stays.mp3")
    scan(music, catalog)
    (music / "old").rename(music / "new")
    (music / "new" / "3.mp3").rename(music / "new" / "renamed.ogg")
    os.utime(music / "new" / "4.mp3", ns=(5, 5))  # a copy need not keep the time
    before = probabilities(catalog)
    diff, scanned = scan(music, catalog)
    assert not scanned
    assert len(diff.moved) == 5
    after = probabilities(catalog)
    assert after.pop("renamed.ogg") == before.pop("3.mp3")
    assert after == before
    assert all(song.path.exists() for song in catalog.songs())
    assert not scan(music, catalog)[1]

    other = tmp_path / "another folder"
    shutil.move(music / "new", other)
    diff, scanned = scan(other, catalog)
    assert not scanned
    assert len(diff.moved) == 5
    assert len(states(catalog)) == 6


def test_copied_file_is_a_new_song(music: Path, catalog: Catalog) -> None:
    write_files(music, "1.mp3")
    scan(music, catalog)
    shutil.copy2(music / "1.mp3", music / "copy.mp3")
    _, scanned = scan(music, catalog)
    assert names_of(scanned) == ["copy.mp3"]
    assert len(states(catalog)) == 2


def test_moved_files_of_equal_content_stay_separate(music: Path, catalog: Catalog) -> None:
    write_files(music, "1.mp3")
    shutil.copy2(music / "1.mp3", music / "2.mp3")
    scan(music, catalog)
    (music / "new").mkdir()
    for name in ("1.mp3", "2.mp3"):
        (music / name).rename(music / "new" / name)
    diff, scanned = scan(music, catalog)
    assert len(diff.moved) == 2
    assert not scanned
    assert states(catalog) == {"1.mp3": "labelled", "2.mp3": "labelled"}


def test_vanished_songs_are_marked_until_they_return(
    music: Path, catalog: Catalog, tmp_path: Path
) -> None:
    write_files(music, "1.mp3", "2.mp3", "bad.mp3")
    scan(music, catalog)
    for name in ("2.mp3", "bad.mp3"):
        (music / name).rename(tmp_path / name)
    scan(music, catalog)
    assert states(catalog) == {"1.mp3": "labelled", "2.mp3": "vanished", "bad.mp3": "vanished"}
    assert next(s for s in catalog.songs() if s.path.name == "2.mp3").prediction is not None
    for name in ("2.mp3", "bad.mp3"):
        (tmp_path / name).rename(music / name)
    diff, scanned = scan(music, catalog)
    assert not scanned
    assert len(diff.returned) == 2
    assert states(catalog) == {"1.mp3": "labelled", "2.mp3": "labelled", "bad.mp3": "failed"}


def test_songs_outside_the_folder_stay_unchanged(music: Path, catalog: Catalog) -> None:
    write_files(music, "a/1.mp3", "ab/2.mp3")
    scan(music, catalog)
    (music / "ab" / "2.mp3").unlink()
    diff, _ = scan(music / "a", catalog)
    assert not diff.vanished
    assert len(diff.unchanged) == 1


def test_songs_of_unlistable_folder_are_not_vanished(music: Path, catalog: Catalog) -> None:
    write_files(music, "1.mp3", "locked/2.mp3")
    scan(music, catalog)
    (music / "locked" / "2.mp3").unlink()
    listing, _ = find_changes(music, catalog, scan_request())
    locked = replace(listing, unlistable=(str(music.resolve() / "locked"),))
    assert not diff_library(locked, catalog.entries(), scan_request()).vanished


def test_other_model_rescans_songs(music: Path, catalog: Catalog) -> None:
    write_files(music, "1.mp3")
    scan(music, catalog)
    other = scan_config()
    other = replace(other, card=replace(other.card, sha256="f" * 64))
    _, scanned = scan(music, catalog, other)
    assert names_of(scanned) == ["1.mp3"]
    (song,) = catalog.songs()
    assert song.model == "f" * 64


@pytest.mark.parametrize(
    ("first", "second", "scanned"), [(0, 4, 0), (8, 4, 0), (4, 8, 1), (4, 0, 1), (4, 4, 0)]
)
def test_request_for_more_segments_rescans_songs(
    music: Path, catalog: Catalog, first: int, second: int, scanned: int
) -> None:
    write_files(music, "1.mp3")
    scan(music, catalog, scan_config(segments=first))
    assert len(scan(music, catalog, scan_config(segments=second))[1]) == scanned


def test_failed_files_are_rescanned_on_request(music: Path, catalog: Catalog) -> None:
    write_files(music, "bad.mp3")
    scan(music, catalog)
    assert not scan(music, catalog)[1]
    assert len(scan(music, catalog, retry_failed=True)[1]) == 1
    write_files(music, "bad.mp3", "x.mp3")
    assert len(scan(music, catalog)[1]) == 2


def test_unreadable_files_are_rescanned_each_time(music: Path, catalog: Catalog) -> None:
    (music / "gone.mp3").symlink_to(music / "nowhere.mp3")
    for _ in range(2):
        _, scanned = scan(music, catalog, scan_config(workers=1))
        assert len(scanned) == 1
    (song,) = catalog.songs()
    assert song.state == "failed"
    assert "No such file" in (song.error or "")


def test_link_to_library_is_the_same_library(music: Path, catalog: Catalog, tmp_path: Path) -> None:
    write_files(music, "1.mp3")
    scan(music, catalog)
    (tmp_path / "link").symlink_to(music)
    assert not scan(tmp_path / "link", catalog)[1]


def test_file_with_updated_stat_is_not_rescanned(music: Path, catalog: Catalog) -> None:
    write_files(music, "1.mp3")
    scan(music, catalog)
    before = (music / "1.mp3").stat()
    (music / "1.mp3").write_text("with a genre in its tag")
    catalog.update_stat(music / "1.mp3", (before.st_size, before.st_mtime_ns))
    assert not scan(music, catalog)[1]
    (song,) = catalog.songs()
    assert song.size == (music / "1.mp3").stat().st_size


def test_file_changed_before_update_is_rescanned(music: Path, catalog: Catalog) -> None:
    write_files(music, "1.mp3")
    scan(music, catalog)
    (music / "1.mp3").write_text("other audio")
    between = (music / "1.mp3").stat()
    (music / "1.mp3").write_text("other audio, with a genre in its tag")
    catalog.update_stat(music / "1.mp3", (between.st_size, between.st_mtime_ns))
    assert len(scan(music, catalog)[1]) == 1


def test_find_changes_is_read_only(music: Path, catalog: Catalog) -> None:
    write_files(music, "1.mp3")
    _, diff = find_changes(music, catalog, scan_request())
    assert len(diff.to_classify) == 1
    assert not list(catalog.songs())
    apply_changes(diff, catalog)
    assert not list(catalog.songs())


def test_file_hash_differs_by_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    hashes = set()
    for content in (b"", b"a", b"b", b"a" * 4096, b"a" * 65_536, b"a" * 65_537, b"a" * 500_000):
        path.write_bytes(content)
        hashes.add(hash_file(path))
    for position in (0, 30_000, 65_535):  # every byte of a small file counts
        content = bytearray(b"a" * 65_536)
        content[position] = 0
        path.write_bytes(content)
        hashes.add(hash_file(path))
    assert len(hashes) == 10
    assert all(len(digest) == 16 for digest in hashes)


def test_size_of_unreadable_file_is_minus_one(tmp_path: Path) -> None:
    assert stat_file(str(tmp_path / "no.mp3")).size == -1
