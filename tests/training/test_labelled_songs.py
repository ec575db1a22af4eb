"""Labelled songs are listed, and related songs are grouped."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketgenre.library.discovery import list_songs
from pocketgenre.training.data.groups import group_songs
from pocketgenre.training.data.labelled_songs import (
    LabelledSong,
    read_duplicates,
    songs_from_index,
    songs_from_listing,
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
    songs = songs_from_listing(list_songs(tmp_path))
    assert [(s.name, s.genre) for s in songs] == [
        ("jazz/album/a.wav", "jazz"),
        ("rock/album/a.wav", "rock"),
    ]


def test_name_of_a_song_has_no_effect(tmp_path: Path) -> None:
    for name in ("jazz/jazz.00054.wav", "rock/rock.00054.wav"):  # the first is corrupt in GTZAN
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    assert len(songs_from_listing(list_songs(tmp_path))) == 2


def index_of(folder: Path, *genres: str) -> Path:
    """Write an index with a song of each of the genres."""
    index = folder / "index.csv"
    rows = [(f"{i}.ogg", str(i), genre) for i, genre in enumerate(genres)]
    with open(index, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("path", "song", "genre"), *rows])
    return index


@pytest.mark.parametrize(
    ("one", "other", "folded"),
    [
        ("rock", " rock  ", "rock"),
        ("hip hop", "hip \u3000 hop", "hip hop"),
        ("caf\u00e9", "cafe\u0301", "caf\u00e9"),
    ],
)
def test_spellings_of_a_genre_are_folded(tmp_path: Path, one: str, other: str, folded: str) -> None:
    songs = songs_from_index(index_of(tmp_path, one, other, "jazz"))
    assert [s.genre for s in songs] == [folded, folded, "jazz"]


@pytest.mark.parametrize(
    ("genres", "sentence"),
    [
        (("Rock", "rock"), "spells a genre in two ways, Rock and rock; choose one"),
        (("\uff32ock", "rock"), "spells a genre in two ways"),
        (("ro\nck", "jazz"), r"has the genre 'ro\\nck'; a genre needs a name of 1 to 200"),
        (("ro\u2028ck", "jazz"), "without line breaks"),
        (("r" * 201, "jazz"), "a name of 1 to 200 characters"),
        ((" ", "jazz"), "a name of 1 to 200 characters"),
        (("uncertain", "jazz"), "has the genre uncertain, a label that songs get in place of"),
        (("not-music", "jazz"), "has the genre not-music, .* see train-model --not-music"),
    ],
)
def test_unusable_genres_are_refused(
    tmp_path: Path, genres: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(DataError, match=f"index.csv.*{sentence}"):
        songs_from_index(index_of(tmp_path, *genres))


@pytest.mark.parametrize("count", [2, 3, 10, 25, 300])
def test_number_of_genres_is_not_limited(tmp_path: Path, count: int) -> None:
    genres = [f"genre {i}" for i in range(count)]
    songs = songs_from_index(index_of(tmp_path, *genres))
    assert [s.genre for s in songs] == genres


def test_recordings_for_not_music_keep_their_genres(tmp_path: Path) -> None:
    songs = songs_from_index(index_of(tmp_path, "music", "not-music"))
    assert [s.genre for s in songs] == ["music", "not-music"]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("c.ogg,a,rock", "names the song a twice, in lines 2 and 4; remove one"),
        ("b.ogg,c,rock", r"names the file b\.ogg twice, in lines 3 and 4; remove one"),
    ],
)
def test_repeated_row_is_named(tmp_path: Path, row: str, sentence: str) -> None:
    index = tmp_path / "index.csv"
    index.write_text(f"path,song,genre\na.ogg,a,rock\nb.ogg,b,jazz\n{row}\n")
    with pytest.raises(DataError, match=sentence):
        songs_from_index(index)


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
