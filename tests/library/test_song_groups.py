"""Give all songs of an album or artist one genre."""

from dataclasses import replace

import pytest

from pocketgenre.library.library_song import LibrarySong
from pocketgenre.library.song_groups import GroupBy, group_songs
from pocketgenre.library.tags.metadata import Metadata
from pocketgenre.prediction import LabelConfig
from tests.library.songs import failed_song, song


def genres(songs: list[LibrarySong], by: GroupBy) -> list[str | None]:
    return [one.genre for one in group_songs(songs, by)[0]]


def test_songs_of_a_folder_share_the_genre() -> None:
    songs = [
        song("/music/a/1.mp3", ["rock", "rock"]),
        song("/music/a/2.mp3", ["rock", "jazz", "rock"]),
        song("/music/a/3.mp3", ["jazz"]),
        failed_song("/music/a/4.mp3"),
        song("/music/b/1.mp3", ["pop"]),
    ]
    grouped, odd = group_songs(songs, "album")
    assert [one.genre for one in grouped] == ["rock", "rock", "rock", None, "pop"]
    assert [(one.song.path.name, one.song.genre, one.group_genre) for one in odd] == [
        ("3.mp3", "jazz", "rock")
    ]


@pytest.mark.parametrize(("by", "expected"), [
    ("album", ["rock", "rock", "jazz", "jazz"]),
    ("artist", ["jazz", "jazz", "jazz", "jazz"]),
])  # fmt: skip
def test_tags_come_before_folders(by: GroupBy, expected: list[str]) -> None:
    tags = [("One", "Band"), ("one", "BAND"), ("Two", "Band"), ("Two", "Band")]
    labels = [["rock"], ["rock"], ["jazz"] * 3, ["jazz"]]
    songs = [
        replace(
            song(f"/music/{n}/x.mp3", genre), metadata=Metadata(album=album, album_artist=artist)
        )
        for n, ((album, artist), genre) in enumerate(zip(tags, labels, strict=True))
    ]
    if by == "artist":
        songs[1] = replace(songs[1], prediction=song("/x.mp3", ["jazz"]).prediction)
    assert genres(songs, by) == expected


def test_group_without_a_certain_song_stays_uncertain() -> None:
    config = LabelConfig(min_margin=0.9)
    songs = [song(f"/music/a/{n}.mp3", ["rock", "jazz"], label_config=config) for n in range(2)]
    assert genres(songs, "album") == ["uncertain", "uncertain"]
    certain = song("/music/a/3.mp3", ["rock"], label_config=config)
    assert genres([*songs, certain], "album") == ["rock"] * 3
