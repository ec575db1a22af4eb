"""Give all songs of an album or of an artist one genre."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pocketgenre.constants import NOT_MUSIC
from pocketgenre.library.library_song import LibrarySong
from pocketgenre.prediction import SongPrediction

GroupBy = Literal["album", "artist"]


@dataclass(frozen=True)
class OddSong:
    """A song whose own genre differs from that of its album or artist."""

    song: LibrarySong
    group_genre: str


def group_songs(
    songs: Iterable[LibrarySong], by: GroupBy
) -> tuple[list[LibrarySong], list[OddSong]]:
    """Replace the genre of each song by that of its album or artist.

    The genre of a group has the highest mean probability over its songs, each of the same weight.
    A group without a certain song, and songs that are no music, keep their genres. Albums and
    artists come from the tags; songs without them are grouped by their folder, for artists by the
    first folder below the scanned one.

    Returns
    -------
    songs, odd songs
        the songs in the same order, and those whose own genre was certain and another one
    """
    songs = list(songs)
    groups: dict[tuple[str, ...], list[SongPrediction]] = defaultdict(list)
    for song in songs:
        if song.prediction and song.prediction.winner != NOT_MUSIC:
            groups[group_key(song, by)].append(song.prediction)
    genres = {key: _genre(predictions) for key, predictions in groups.items()}
    grouped, odd = [], []
    for song in songs:
        genre = genres.get(group_key(song, by))
        if song.prediction is None or genre is None or song.prediction.winner == NOT_MUSIC:
            grouped.append(song)
            continue
        if song.has_genre and song.prediction.genre != genre:
            odd.append(OddSong(song, genre))
        grouped.append(replace(song, prediction=replace(song.prediction, genre=genre)))
    return grouped, odd


def _genre(predictions: Sequence[SongPrediction]) -> str | None:
    """Return the genre of a group; None if no song of it is certain."""
    if not any(prediction.has_genre for prediction in predictions):
        return None
    sums: dict[str, float] = defaultdict(float)
    for prediction in predictions:
        for label, probability in prediction.probabilities.items():
            if label != NOT_MUSIC:
                sums[label] += probability
    return max(sums, key=lambda label: sums[label])


def group_key(song: LibrarySong, by: GroupBy) -> tuple[str, ...]:
    """Return a key that all songs of an album or artist share."""
    metadata = song.metadata
    artist = metadata.album_artist or metadata.artist
    if by == "artist":
        if artist:
            return "artist", artist.casefold()
        return "folder", song.name.parts[0] if len(song.name.parts) > 1 else str(song.path.parent)
    if metadata.album:
        # Songs of a sampler have several artists; its album artist or its folder is one.
        owner = (metadata.album_artist or str(song.path.parent)).casefold()
        return "album", metadata.album.casefold(), owner
    return "folder", str(song.path.parent)
