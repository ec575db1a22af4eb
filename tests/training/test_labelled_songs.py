"""Labelled songs are listed, and related songs are grouped."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketgenre.training.data.groups import group_songs
from pocketgenre.training.data.labelled_songs import (
    LabelledSong,
    read_duplicates,
    songs_from_folders,
    songs_from_index,
)
from pocketgenre.training.errors import DataError
from tests.conftest import write_tone


def song(name: str, artist: str = "", genre: str = "rock") -> LabelledSong:
    return LabelledSong(name, Path(name), genre, artist)


def test_folder_name_is_the_genre(tmp_path: Path) -> None:
    for genre in ("jazz", "rock"):
        (tmp_path / genre / "album").mkdir(parents=True)
        write_tone(tmp_path / genre / "album" / "a.wav", 1.0)
        (tmp_path / genre / "cover.jpg").touch()
    songs = songs_from_folders(tmp_path)
    assert [(s.name, s.genre) for s in songs] == [
        ("jazz/album/a.wav", "jazz"),
        ("rock/album/a.wav", "rock"),
    ]


def test_known_corrupt_file_is_left_out(tmp_path: Path) -> None:
    for name in ("jazz/jazz.00053.wav", "jazz/jazz.00054.wav", "rock/rock.00054.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [s.name for s in songs_from_folders(tmp_path)]
    assert names == ["jazz/jazz.00053.wav", "rock/rock.00054.wav"]


def test_single_or_empty_genre_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rock").mkdir()
    with pytest.raises(DataError, match="rock contains no song"):
        songs_from_folders(tmp_path)
    (tmp_path / "rock" / "a.wav").touch()
    with pytest.raises(DataError, match="contains 1 genre; training needs at least two"):
        songs_from_folders(tmp_path)
    with pytest.raises(DataError, match="is not a folder"):
        songs_from_folders(tmp_path / "nowhere")


def test_index_names_songs_genres_and_artists(tmp_path: Path) -> None:
    index = tmp_path / "index.csv"
    index.write_text("path,song,genre,artist\na/b.ogg,b,jazz,Nina\nc.ogg,c,rock,\n")
    assert [(s.name, s.genre, s.artist) for s in songs_from_index(index)] == [
        ("b", "jazz", "Nina"),
        ("c", "rock", ""),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "path,song\na,b\n",
        "path,song,genre\n/etc/passwd,a,rock\nb.ogg,b,jazz\n",
        "path,song,genre\n../a.ogg,a,rock\nb.ogg,b,jazz\n",
        "path,song,genre\na.ogg,a,rock\nb.ogg,a,jazz\n",
        "path,song,genre\na.ogg,,rock\nb.ogg,b,jazz\n",
    ],
)
def test_invalid_index_is_refused_by_name(tmp_path: Path, text: str) -> None:
    index = tmp_path / "index.csv"
    index.write_text(text)
    with pytest.raises(DataError, match=r"index\.csv"):
        songs_from_index(index)


def test_index_of_real_songs_is_read(gtzan: Path) -> None:
    songs = group_songs(
        songs_from_index(gtzan / "index.csv"), read_duplicates(gtzan / "exact_duplicates.txt")
    )
    assert len(songs) == 422
    assert len({s.genre for s in songs}) == 10
    assert len({s.group for s in songs if s.artist == "Bob Marley"}) == 1


def test_groups_join_artists_and_duplicates_transitively() -> None:
    songs = [song("a", "X"), song("b", "x"), song("c"), song("d", "Y"), song("e"), song("f")]
    groups = [s.group for s in group_songs(songs, [("b", "c"), ("d", "nowhere")])]
    assert groups[0] == groups[1] == groups[2]
    assert len(set(groups)) == 4


def groups_of(*songs: LabelledSong, duplicates: tuple = ()) -> list[int]:
    return [one.group for one in group_songs(songs, duplicates)]


def test_name_without_extension_matches_every_format() -> None:
    names = ("jazz/x.flac", "jazz/x.wav", "jazz/y.wav", "rock/y.wav")
    songs = [song(name) for name in names]
    assert groups_of(*songs, duplicates=(("jazz/x.flac", "jazz/x.wav"),)) == [0, 0, 1, 2]
    assert groups_of(*songs, duplicates=(("jazz/x.wav", "rock/y.wav"),)) == [0, 1, 2, 1]
    assert groups_of(*songs, duplicates=(("jazz/x", "rock/y"),)) == [0, 0, 1, 0]
    assert groups_of(*songs, duplicates=(("x", "y"),)) == [0, 1, 2, 3]  # ambiguous


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Björk", "Bjo\u0308rk"),  # composed, and decomposed as on macOS
        ("The  Band ", "the band"),
        ("Simon; Garfunkel", "GARFUNKEL"),
    ],
)
def test_spellings_of_an_artist_are_equal(one: str, other: str) -> None:
    assert groups_of(song("a", one), song("b", other), song("c", "Nobody")) == [0, 0, 1]


def test_byte_order_mark_of_excel_is_skipped(tmp_path: Path) -> None:
    index = tmp_path / "index.csv"
    text = "path,song,genre\na.ogg,a,rock\nb.ogg,b,jazz\n"
    index.write_text(text, encoding="utf-8-sig")
    assert [s.name for s in songs_from_index(index)] == ["a", "b"]
    index.write_text(text.replace("a.ogg", ""))
    with pytest.raises(DataError, match="line 2"):
        songs_from_index(index)


@given(st.lists(st.sampled_from(["", "A", "B", "C"]), min_size=1, max_size=20))
def test_songs_share_a_group_by_artist_only(artists: list[str]) -> None:
    songs = group_songs([song(str(i), artist) for i, artist in enumerate(artists)])
    for a in songs:
        for b in songs:
            together = a.name == b.name or (a.artist != "" and a.artist == b.artist)
            assert (a.group == b.group) == together


def test_duplicates_file_has_pairs_and_comments(tmp_path: Path) -> None:
    path = tmp_path / "duplicates.txt"
    path.write_text("# pairs\na.wav b.wav\n\nhiphop.00078.wav hiphop.00076.wav # twice\n")
    assert read_duplicates(path) == [
        ("a.wav", "b.wav"),
        ("hiphop.00078.wav", "hiphop.00076.wav"),
    ]
    path.write_text("My song.mp3\tThe same song.mp3\n")
    assert read_duplicates(path) == [("My song.mp3", "The same song.mp3")]
    path.write_text("a b c\n")
    with pytest.raises(DataError, match="two names"):
        read_duplicates(path)
    path.write_bytes("Motörhead Björk\n".encode("latin-1"))
    with pytest.raises(DataError, match="cannot be read"):
        read_duplicates(path)
