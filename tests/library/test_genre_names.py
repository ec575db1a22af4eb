"""Give genres names of one's own, in tags, playlists, lists and reports."""

import json
from pathlib import Path

import mutagen
import pytest

from pocketgenre.errors import PocketGenreError
from pocketgenre.library.genre_names import GenreNames, find_label, find_labels, read_genre_names
from pocketgenre.library.html_report import make_report
from pocketgenre.library.playlists import make_playlists
from tests.conftest import GENRES, STANDARD, invoke
from tests.library.songs import song

SCAN, LIST = "pocketgenre.cli.scan_library", "pocketgenre.cli.list_songs"


@pytest.fixture
def genre_map(tmp_path: Path) -> Path:
    file = tmp_path / "genres.toml"
    file.write_text('Hip-Hop = "Rap"\nreggae = "Rap"\nclassical = false\n')
    return file


def test_map_names_labels_in_any_spelling(genre_map: Path) -> None:
    names = read_genre_names(genre_map, GENRES)
    assert names == {"hiphop": "Rap", "reggae": "Rap", "classical": ""}
    assert find_labels("rap", GENRES, names) == ["hiphop", "reggae"]
    assert find_label("HIP HOP", GENRES) == "hiphop"
    assert find_label("R&B", ["rnb"]) == "rnb"


@pytest.mark.parametrize(("line", "sentence"), [
    ('jaz = "Jazz"', "There is no genre jaz; did you mean jazz?"),
    ("jazz = 3", "jazz needs a name in quotes, or false"),
    ("jazz", "can't be read"),
])  # fmt: skip
def test_wrong_map_is_one_sentence(tmp_path: Path, line: str, sentence: str) -> None:
    file = tmp_path / "genres.toml"
    file.write_text(line)
    with pytest.raises(PocketGenreError) as error:
        read_genre_names(file, GENRES)
    assert sentence in str(error.value)
    with pytest.raises(PocketGenreError, match="No such file"):
        read_genre_names(tmp_path / "missing.toml", GENRES)


def test_genres_of_one_name_share_a_playlist(genre_map: Path, tmp_path: Path) -> None:
    names = GenreNames(read_genre_names(genre_map, GENRES))
    songs = names.rename(
        [song(f"/music/{genre}.mp3", [genre]) for genre in ("hiphop", "reggae", "classical", "pop")]
    )
    assert [one.genre for one in songs] == ["Rap", "Rap", "classical", "pop"]
    playlists = make_playlists(songs, tmp_path)
    assert sorted(playlists.files) == ["Rap.m3u8", "pop.m3u8"]
    assert playlists.files["Rap.m3u8"].count(b".mp3") == 2
    page = make_report(songs, GENRES, "Music", names.name).decode()
    assert page.count('"Rap"') == 1


def test_tags_hold_several_likely_genres() -> None:
    prediction = song("/a.mp3", ["rock", "rock", "hiphop", "hiphop", "rock", "pop"]).prediction
    assert GenreNames({}, 1).in_tags(prediction) == ("Rock",)
    assert GenreNames({}, 3).in_tags(prediction) == ("Rock", "Hip-Hop")  # pop: 1 of 6
    assert GenreNames({"hiphop": ""}, 3).in_tags(prediction) == ("Rock",)
    assert GenreNames({"hiphop": "Rock & Roll"}, 2).in_tags(prediction) == ("Rock", "Rock & Roll")
    assert GenreNames({"rock": ""}, 3).in_tags(prediction) == ()


def test_prefix_makes_paths_absolute(tmp_path: Path) -> None:
    playlists = make_playlists([song("/music/a/1.mp3", ["pop"])], tmp_path, "/storage/0/Music/")
    assert b"\n/storage/0/Music/a/1.mp3\n" in playlists.files["pop.m3u8"]


@pytest.mark.slow
def test_scan_uses_own_names_everywhere(library: Path, genre_map: Path, tmp_path: Path) -> None:
    import shutil

    music = shutil.copytree(library, tmp_path / "music")
    options = ["--genre-map", genre_map, "--write-tags", "--playlists", tmp_path / "lists"]
    result = invoke(SCAN, *STANDARD, music, "--format", "json", *options)
    assert result.returncode == 0, result.stderr
    songs = {one["path"]: one["genre"] for one in json.loads(result.stdout)}
    assert songs["Broken beat.mp3"] == songs["Four on the floor.flac"] == "Rap"
    assert mutagen.File(music / "Four on the floor.flac")["genre"] == ["Rap"]
    assert not mutagen.File(music / "Slow pad.wav").tags
    assert [path.name for path in (tmp_path / "lists").iterdir()] == ["Rap.m3u8"]
    listed = json.loads(
        invoke(LIST, "--genre-map", genre_map, "--genre", "rap", "--format", "json").stdout
    )
    assert {row["genre"] for row in listed} == {"Rap"}
    assert len(listed) == 2
