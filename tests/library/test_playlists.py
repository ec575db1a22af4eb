"""Write playlists by genre, and never change playlists of other programs."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketgenre.errors import PocketGenreError
from pocketgenre.library.playlists import (
    check_playlist_folder,
    file_names,
    make_playlists,
    write_playlists,
)
from pocketgenre.prediction import LabelConfig
from tests.conftest import GENRES
from tests.library.songs import NAMES, failed_song, song


def entries(playlist: bytes) -> list[str]:
    """Return the paths of a playlist, as a player reads them with any line ending."""
    return [line for line in playlist.decode("utf-8").splitlines() if line and line[0] != "#"]


def test_each_genre_has_a_playlist(tmp_path: Path) -> None:
    config = LabelConfig(min_margin=0.1)
    songs = [
        song(tmp_path / "a" / "Jóga.mp3", ["rock"] * 80, label_config=config),
        song(tmp_path / "b.mp3", ["jazz"], label_config=config),
        song(tmp_path / "c.mp3", ["jazz", "pop"], label_config=config),
        song(tmp_path / "gone.mp3", ["jazz"], label_config=config, state="vanished"),
        failed_song(tmp_path / "d.mp3"),
    ]
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


def test_paths_resolve_links_to_folders(tmp_path: Path) -> None:
    (tmp_path / "card" / "music").mkdir(parents=True)
    (tmp_path / "card" / "music" / "a.mp3").touch()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "music").symlink_to(tmp_path / "card" / "music")
    songs = [song(tmp_path / "home" / "music" / "a.mp3")]
    folder = tmp_path / "home" / "music" / "lists"
    playlists = make_playlists(songs, folder)
    assert entries(playlists.files["rock.m3u8"]) == ["../a.mp3"]
    write_playlists(playlists, folder, GENRES)
    assert (folder / "../a.mp3").exists()


@given(st.lists(NAMES, unique=True, max_size=6))
def test_every_song_is_listed_or_left_out(names: list[str]) -> None:
    songs = [song(f"/music/{name}") for name in names]
    playlists = make_playlists(songs, Path("/music"))
    listed = [os.path.normpath(entry) for entry in entries(playlists.files.get("rock.m3u8", b""))]
    assert sorted([*listed, *map(str, playlists.left_out)]) == sorted(names)
    for name in names:
        if name.isascii() and name.isprintable():
            assert name in listed
    for entry in entries(playlists.files.get("rock.m3u8", b"")):
        assert ":" not in entry or entry.startswith("./")
        assert entry == entry.lstrip()


@given(st.lists(st.text(), unique=True, max_size=12))
def test_every_genre_has_a_distinct_file_name(genres: list[str]) -> None:
    names = file_names(genres)
    assert len({name.casefold() for name in names.values()}) == len(genres)
    for name in names.values():
        assert name.endswith(".m3u8")
        assert "/" not in name
        assert "\0" not in name
        assert not name.startswith(".")


def write(folder: Path, *genres: str) -> list[Path]:
    """Write playlists with one song for each genre; return the removed playlists."""
    songs = [song(f"/music/{genre}.mp3", [genre]) for genre in genres]
    return write_playlists(make_playlists(songs, folder), folder, GENRES)


def test_own_playlists_are_replaced_and_removed(tmp_path: Path) -> None:
    write(tmp_path, "rock", "jazz")
    (tmp_path / "mine.m3u8").write_text("#EXTM3U\nmine.mp3\n")
    assert write(tmp_path, "rock") == [tmp_path / "jazz.m3u8"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.m3u8", "rock.m3u8"]


@pytest.mark.parametrize("kind", ["foreign", "changed", "link", "folder"])
def test_foreign_playlist_is_refused_before_writing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "rock.m3u8"
    if kind == "foreign":
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
    sentence = "was not written by pocketgenre, or was changed since"
    with pytest.raises(PocketGenreError, match=sentence):
        check_playlist_folder(tmp_path, GENRES)
    with pytest.raises(PocketGenreError, match="rename it or name another folder"):
        write(tmp_path, "jazz", "rock")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == before


def test_file_as_playlist_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PocketGenreError, match="is not a folder"):
        check_playlist_folder(tmp_path / "file", GENRES)


def test_hostile_title_stays_in_its_line() -> None:
    playlists = make_playlists([song("/music/a\x1b[31m\u202e.mp3")], Path("/"))
    assert rb"#EXTINF:3,a\x1b[31m\u202e" in playlists.files["rock.m3u8"]


def test_write_protected_playlist_is_refused(tmp_path: Path) -> None:
    write_playlists(make_playlists([song("/a.mp3")], tmp_path), tmp_path, GENRES)
    check_playlist_folder(tmp_path, GENRES)
    (tmp_path / "rock.m3u8").chmod(0o444)
    with pytest.raises(PocketGenreError, match=r"rock.m3u8 is write-protected"):
        check_playlist_folder(tmp_path, GENRES)
