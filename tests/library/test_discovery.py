"""List folders: links, marks, patterns, several folders, single songs."""

from pathlib import Path

import pytest

from pocketgenre.errors import PocketGenreError
from pocketgenre.library.catalog import Catalog
from pocketgenre.library.discovery import (
    FileFilter,
    FolderListing,
    list_all_songs,
    list_songs,
    roots_of,
)
from pocketgenre.library.scan import catalog_songs
from tests.library.conftest import find_changes, scan, write_files
from tests.library.fake_models import scan_config


def names(listing: FolderListing) -> list[str]:
    """Return the listed paths, relative to the folder."""
    return [str(Path(file.path).relative_to(listing.folder)) for file in listing.files]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    write_files(folder, "a.mp3", "deep/b.mp3")
    return folder


def test_linked_folder_is_followed_once(music: Path, elsewhere: Path) -> None:
    for name in ("one", "two"):
        (music / name).symlink_to(elsewhere)
    listing = list_songs(music)
    assert names(listing) == ["one/a.mp3", "one/deep/b.mp3"]
    assert listing.linked == (str(music / "one"),)
    assert [message.partition(" ")[2] for message in listing.messages] == [
        f"leads out of the folder and is scanned: {elsewhere}",
        f"is a link to {music / 'one'}, which is scanned already",
    ]


def test_loops_are_named_and_not_followed(music: Path, elsewhere: Path) -> None:
    write_files(music, "album/1.mp3")
    (music / "album" / "up").symlink_to(music)
    (music / "out").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(music)
    (elsewhere / "self").symlink_to(elsewhere)
    listing = list_songs(music)
    assert names(listing) == ["album/1.mp3", "out/a.mp3", "out/deep/b.mp3"]
    assert [message.partition(" is ")[2] for message in listing.messages[-2:]] == [
        f"a loop: it leads to {music}",
        f"a link to {music / 'out'}, which is scanned already",
    ]


def test_link_inside_the_folder_is_scanned_once(music: Path) -> None:
    write_files(music, "z/1.mp3")
    (music / "a").symlink_to("z")
    listing = list_songs(music)
    assert names(listing) == ["z/1.mp3"]
    assert listing.messages == (
        f"{music / 'a'} is a link to {music / 'z'}, which is scanned already",
    )


def test_links_are_named_without_following(music: Path, elsewhere: Path) -> None:
    (music / "link").symlink_to(elsewhere)
    (music / "gone").symlink_to("nowhere")
    listing = list_songs(music, FileFilter(follow_links=False))
    assert names(listing) == []
    assert listing.messages == (
        f"{music / 'link'} is a link to a folder and is not followed (--no-follow)",
    )
    assert listing.broken_links == (str(music / "gone"),)


def test_songs_behind_a_broken_link_stay(music: Path, elsewhere: Path, catalog: Catalog) -> None:
    (music / "link").symlink_to(elsewhere)
    scan(music, catalog)
    elsewhere.rename(elsewhere.with_name("unmounted"))
    _, diff = find_changes(music, catalog, scan_config().request())
    assert diff.vanished == ()
    assert not diff.has_lost_most


def test_marked_and_named_folders_are_left_out(music: Path) -> None:
    write_files(music, "1.mp3", "ringtones/2.mp3", "books/deep/3.mp3", "#recycle/4.mp3",
                "$RECYCLE.BIN/5.mp3", ".trash/6.mp3", "Band/Live/7.mp3", "Band/8.wma")  # fmt: skip
    (music / "ringtones" / ".nomedia").touch()
    (music / "books" / ".ndignore").touch()
    assert names(list_songs(music)) == ["1.mp3", "Band/8.wma", "Band/Live/7.mp3"]
    listing = list_songs(music, FileFilter(exclude=("*/Live", "*.wma")))
    assert names(listing) == ["1.mp3"]
    assert listing.excluded == 6


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ("# only a comment\n\n", []),
        ("Live", ["1.mp3", "Band/2.wma"]),
        ("Live/", ["1.mp3", "Band/2.wma"]),
        ("2.wma/", ["1.mp3", "Band/2.wma", "Band/Live/3.mp3"]),
        ("/1.mp3", ["Band/2.wma", "Band/Live/3.mp3"]),
        ("/3.mp3", ["1.mp3", "Band/2.wma", "Band/Live/3.mp3"]),
        ("*.mp3", ["Band/2.wma"]),
        ("*.mp3\n!1.*", ["1.mp3", "Band/2.wma"]),
        ("!1.*\n*.mp3", ["Band/2.wma"]),
        ("Band/*.mp3", ["1.mp3", "Band/2.wma", "Band/Live/3.mp3"]),
        ("Band/**/*.mp3", ["1.mp3", "Band/2.wma"]),
        ("**/Live/**", ["1.mp3", "Band/2.wma"]),
        ("\\!1.mp3\n/\n!", ["1.mp3", "Band/2.wma", "Band/Live/3.mp3"]),
    ],
)
def test_ndignore_lists_patterns(music: Path, lines: str, left: list[str]) -> None:
    write_files(music, "1.mp3", "Band/2.wma", "Band/Live/3.mp3")
    (music / ".ndignore").write_text(lines)
    assert names(list_songs(music)) == left


def test_inner_ndignore_decides(music: Path) -> None:
    write_files(music, "1.mp3", "Band/2.mp3", "Band/Live/3.mp3")
    (music / ".ndignore").write_text("*.mp3")
    (music / "Band" / ".ndignore").write_text("!2.mp3")
    assert names(list_songs(music)) == ["Band/2.mp3"]


def test_ndignore_with_many_wildcards_is_fast(music: Path) -> None:
    write_files(music, f"{'a' * 200}.mp3", "/".join("a" * 60) + "/1.mp3")
    (music / ".ndignore").write_text(f"{'*a' * 60}b\n{'**/a/' * 60}b")
    assert len(names(list_songs(music))) == 2


def test_excluded_song_has_not_vanished(music: Path, catalog: Catalog) -> None:
    write_files(music, "1.mp3", "2.mp3", "3.mp3")
    scan(music, catalog)
    listing = list_songs(music, FileFilter(exclude=("[23].mp3",)))
    _, diff = find_changes(music, catalog, scan_config().request(), lambda _: listing)
    assert diff.vanished == ()
    assert len(catalog_songs(listing, catalog, scan_config().card.sha256)) == 1


def test_other_files_are_counted(music: Path) -> None:
    write_files(music, "1.mp3", "a.jpg", "b.JPG", "c.cue", "README", ".hidden.jpg")
    assert dict(list_songs(music).other_files) == {".jpg": 2, ".cue": 1, "": 1}


def test_single_song_is_listed(music: Path) -> None:
    write_files(music, "1.mp3", "2.mp3", "notes.txt")
    listing = list_songs(music / "1.mp3")
    assert names(listing) == ["1.mp3"]
    assert roots_of(listing) == (str(music / "1.mp3"),)
    with pytest.raises(PocketGenreError, match="is neither a folder nor a song"):
        list_songs(music / "notes.txt")


def test_several_folders_are_one_listing(music: Path, elsewhere: Path, catalog: Catalog) -> None:
    write_files(music, "1.mp3", "sub/2.mp3", "sub/3.mp3")
    listing = list_all_songs([music / "sub", elsewhere, music / "1.mp3", music / "sub" / "2.mp3"])
    assert names(listing) == [
        "elsewhere/a.mp3",
        "elsewhere/deep/b.mp3",
        "music/1.mp3",
        "music/sub/2.mp3",
        "music/sub/3.mp3",
    ]
    scan(music.parent, catalog)
    songs = catalog_songs(listing, catalog, scan_config().card.sha256)
    assert [str(song.name) for song in songs] == names(listing)
    (music / "sub" / "3.mp3").unlink()
    again = list_all_songs([music / "sub", music / "1.mp3"])
    _, diff = find_changes(music, catalog, scan_config().request(), lambda _: again)
    assert [Path(path).name for path in diff.vanished] == ["3.mp3"]
    assert diff.known == 3


def test_losing_most_songs_is_recognised(music: Path, catalog: Catalog) -> None:
    write_files(music, *(f"{n}.mp3" for n in range(4)))
    scan(music, catalog)
    for name, is_lost in (("0.mp3", False), ("1.mp3", False), ("2.mp3", True)):
        (music / name).unlink()
        _, diff = find_changes(music, catalog, scan_config().request())
        assert diff.has_lost_most == is_lost
