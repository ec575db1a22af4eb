"""A playlist for each genre, and nobody else's playlist harmed."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketgenre.errors import PocketGenreError
from pocketgenre.library.label import Thresholds
from pocketgenre.library.playlists import (
    Playlists,
    check_playlist_folder,
    file_names,
    make_playlists,
    write_playlists,
)
from tests.conftest import GENRES
from tests.library.songs import catalog_song, failed_song, labelled, song
from tests.library.test_results import NAMES


def entries(playlist: bytes) -> list[str]:
    """As a player reads it: lines that are no comments, from either kind of line end."""
    return [line for line in playlist.decode("utf-8").splitlines() if line and line[0] != "#"]


def test_a_playlist_for_each_genre_and_one_for_the_uncertain(tmp_path: Path) -> None:
    songs = labelled(
        song(tmp_path / "a" / "Jóga.mp3", ["rock"] * 80),
        song(tmp_path / "b.mp3", ["jazz"]),
        song(tmp_path / "c.mp3", ["jazz", "pop"]),
        song(tmp_path / "gone.mp3", ["jazz"], state="vanished"),
        failed_song(tmp_path / "d.mp3"),
        thresholds=Thresholds(margin=0.1),
    )
    playlists = make_playlists(songs, tmp_path / "lists")
    write_playlists(playlists, tmp_path / "lists", GENRES)
    written = {path.name: path.read_bytes() for path in (tmp_path / "lists").iterdir()}
    assert {name: entries(content) for name, content in written.items()} == {
        "rock.m3u8": ["../a/Jóga.mp3"],
        "jazz.m3u8": ["../b.mp3"],
        "uncertain.m3u8": ["../c.mp3"],
    }
    assert written["rock.m3u8"].startswith(b"#EXTM3U\n")
    assert "#EXTINF:240,Jóga\n" in written["rock.m3u8"].decode()


def test_paths_lead_there_though_folders_are_links(tmp_path: Path) -> None:
    (tmp_path / "card" / "music").mkdir(parents=True)
    (tmp_path / "card" / "music" / "a.mp3").touch()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "music").symlink_to(tmp_path / "card" / "music")
    songs = labelled(song(tmp_path / "home" / "music" / "a.mp3"))
    folder = tmp_path / "home" / "music" / "lists"
    playlists = make_playlists(songs, folder)
    assert entries(playlists.files["rock.m3u8"]) == ["../a.mp3"]
    write_playlists(playlists, folder, GENRES)
    assert (folder / "../a.mp3").exists()


@settings(deadline=None)  # the machine may be busy
@given(st.lists(NAMES, unique=True, max_size=6))
def test_every_entry_is_a_song_and_what_cannot_stand_there_is_named(names: list[str]) -> None:
    songs = labelled(*[song(f"/music/{name}") for name in names])
    playlists = make_playlists(songs, Path("/music"))
    listed = [os.path.normpath(entry) for entry in entries(playlists.files.get("rock.m3u8", b""))]
    assert sorted([*listed, *map(str, playlists.left_out)]) == sorted(names)
    for name in names:
        if name.isascii() and name.isprintable():
            assert name in listed
    for entry in entries(playlists.files.get("rock.m3u8", b"")):
        assert ":" not in entry or entry.startswith("./")
        assert entry == entry.lstrip()


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.text(), unique=True, max_size=12))
def test_every_genre_has_a_file_name_of_its_own(genres: list[str]) -> None:
    names = file_names(genres)
    assert len({name.casefold() for name in names.values()}) == len(genres)
    for name in names.values():
        assert name.endswith(".m3u8")
        assert "/" not in name
        assert "\0" not in name
        assert not name.startswith(".")


def write(folder: Path, *genres: str) -> list[Path]:
    songs = labelled(*[song(f"/music/{genre}.mp3", [genre]) for genre in genres])
    return write_playlists(make_playlists(songs, folder), folder, GENRES)


def test_ours_are_replaced_and_removed_when_empty(tmp_path: Path) -> None:
    write(tmp_path, "rock", "jazz")
    (tmp_path / "mine.m3u8").write_text("#EXTM3U\nmine.mp3\n")
    assert write(tmp_path, "rock") == [tmp_path / "jazz.m3u8"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.m3u8", "rock.m3u8"]


@pytest.mark.parametrize("kind", ["theirs", "changed", "link", "folder"])
def test_someone_elses_playlist_is_refused_before_anything_is_written(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "rock.m3u8"
    if kind == "theirs":
        path.write_text("#EXTM3U\nmine.mp3\n")
    elif kind == "folder":
        path.mkdir()
    else:
        write(tmp_path, "rock")
    if kind == "changed":
        path.write_bytes(path.read_bytes() + b"another.mp3\n")
    if kind == "link":
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}
    with pytest.raises(PocketGenreError, match="was not written by pocketgenre, or changed since"):
        check_playlist_folder(tmp_path, GENRES)
    with pytest.raises(PocketGenreError, match="rename it or name another folder"):
        write(tmp_path, "jazz", "rock")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == before


def test_a_file_is_no_folder_for_playlists(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PocketGenreError, match="is not a folder"):
        check_playlist_folder(tmp_path / "file", GENRES)


def test_a_hostile_title_stays_in_its_line() -> None:
    name = "/music/a\x1b[31m\u202e.mp3"
    playlists = make_playlists(labelled(catalog_song(name, song(name).probabilities)), Path("/"))
    assert isinstance(playlists, Playlists)
    assert rb"#EXTINF:3,a\x1b[31m\u202e" in playlists.files["rock.m3u8"]


def test_a_write_protected_playlist_is_refused_before_the_scan(tmp_path: Path) -> None:
    write_playlists(make_playlists(labelled(song("/a.mp3")), tmp_path), tmp_path, GENRES)
    check_playlist_folder(tmp_path, GENRES)
    (tmp_path / "rock.m3u8").chmod(0o444)
    with pytest.raises(PocketGenreError, match=r"rock.m3u8 is write-protected"):
        check_playlist_folder(tmp_path, GENRES)
