"""Every song of a folder."""

import os
from pathlib import Path

from mobile_demo.decoding import SONG_SUFFIXES
from mobile_demo.errors import PocketGenreError


def find_songs(folder: Path) -> list[Path]:
    """Paths of the songs below a folder, relative to it, sorted.

    A folder in it that can't be listed stands in the list itself, to be named with its error.
    Hidden files and folders (thumbnails, bins, the ``._`` twins that macOS leaves on cards)
    are passed over, and links to folders are not followed, so that a loop can't trap it.

    Raises
    ------
    PocketGenreError
        the folder can't be listed.
    """
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise PocketGenreError(f"{folder} {problem}; name the folder that holds your music.")

    def refuse(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise PocketGenreError(f"{folder} cannot be read: {error.strerror}.")
        songs.append(Path(error.filename).relative_to(folder))

    songs: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        songs += [Path(parent, name).relative_to(folder) for name in names if _is_song(name)]
    return sorted(songs)


def _is_song(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in SONG_SUFFIXES
