"""Check that every genre has songs that can be decoded, before any features are computed."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pocketgenre.audio.decoding import open_stream
from pocketgenre.errors import AudioError
from pocketgenre.inference import MIN_TIMEOUT
from pocketgenre.jobs.executors import Executor
from pocketgenre.jobs.process import JobFailure
from pocketgenre.text import count_of, printable
from pocketgenre.training.data.labelled_songs import LabelledSong
from pocketgenre.training.errors import DataError

_FIRST_SONGS = 2
"""Songs of each genre to try first; the others are tried only if none of these can be decoded."""


def require_decodable_genres(
    songs: Sequence[LabelledSong], empty: Iterable[str], audio: Path, executor: Executor
) -> None:
    """Require a song of each genre whose beginning can be decoded.

    Parameters
    ----------
    songs : labelled songs, each with its group
    empty : genres without songs
    audio : folder or address that the songs' paths are relative to
    executor : executor that decodes the songs

    Raises
    ------
    DataError
        with all genres that cannot be learned.
    """
    problems = dict.fromkeys(empty, "has no song")
    for genre, (song, reason) in _find_undecodable(songs, audio, executor).items():
        problems[genre] = f"has no readable song ({printable(song.name)}: {reason})"
    if not problems:
        return
    for genre in genres_of_one_group(songs):
        problems.setdefault(genre, "has songs of one group only, such as one song or one artist")
    listed = "; ".join(f"{printable(genre)} {problems[genre]}" for genre in sorted(problems))
    count = count_of(len(problems), "genre that", "genres that")
    raise DataError(
        f"{audio} has {count} cannot be learned: {listed}. Add songs, or remove the"
        f" {'genre' if len(problems) == 1 else 'genres'}."
    )


def genres_of_one_group(songs: Sequence[LabelledSong]) -> list[str]:
    """Return the genres whose songs are all of one group, so that they cannot be split, sorted."""
    groups = defaultdict(set)
    for song in songs:
        groups[song.genre].add(song.group)
    return sorted(genre for genre, found in groups.items() if len(found) == 1)


def _find_undecodable(
    songs: Sequence[LabelledSong], audio: Path, executor: Executor
) -> Mapping[str, tuple[LabelledSong, str]]:
    """Return, by genre, a song and its error, where no song of the genre can be decoded."""
    by_genre = defaultdict(list)
    for song in songs:
        by_genre[song.genre].append(song)
    first = [song for members in by_genre.values() for song in members[:_FIRST_SONGS]]
    failed = _try_songs(first, audio, executor)
    rest = [song for genre in failed for song in by_genre[genre][_FIRST_SONGS:]]
    still_failed = _try_songs(rest, audio, executor)
    return {
        genre: error
        for genre, error in failed.items()
        if genre in still_failed or len(by_genre[genre]) <= _FIRST_SONGS
    }


def _try_songs(
    songs: Sequence[LabelledSong], audio: Path, executor: Executor
) -> dict[str, tuple[LabelledSong, str]]:
    """Return, by genre, the first song and its error, where none of these songs is decodable."""
    if not songs:
        return {}
    by_path = {str(audio / song.path): song for song in songs}
    errors: dict[str, tuple[LabelledSong, str]] = {}
    decodable = set()
    with closing(executor.map(map(_Job, by_path), _Setup(), lambda: False)) as results:
        for job, failure in results:
            song = by_path[job.path]
            if failure is None:
                decodable.add(song.genre)
            else:
                errors.setdefault(song.genre, (song, failure.reason))
    return {genre: error for genre, error in errors.items() if genre not in decodable}


@dataclass(frozen=True)
class _Job:
    path: str
    timeout: float = MIN_TIMEOUT


@dataclass(frozen=True)
class _Setup:
    """Set up a worker that decodes the beginning of songs."""

    def __call__(self) -> Callable[[_Job], JobFailure | None]:
        return _decode_beginning


def _decode_beginning(job: _Job) -> JobFailure | None:
    """Return the reason why the beginning of a song cannot be decoded; None if it can be."""
    try:
        with open_stream(job.path, 22_050) as song:
            next(iter(song.blocks), None)
    except AudioError as error:
        return JobFailure(str(error))
    except Exception as error:  # one song must not end the others
        return JobFailure(f"it cannot be decoded ({type(error).__name__}: {error})")
    return None
