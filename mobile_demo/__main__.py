"""Run ``make scan``: scan the user's folder, or synthetic songs if there is no music."""

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from pocketgenre.cli.console import print_status, run
from pocketgenre.cli.scan_library import scan_library
from pocketgenre.demo.synthetic import write_synthetic_library
from pocketgenre.errors import PocketGenreError
from pocketgenre.library.discovery import list_songs


def demo(music: Annotated[str, typer.Argument(help="Folder with music.")] = "") -> None:
    """Scan a folder, or five synthetic songs if there is no music.

    Raises
    ------
    PocketGenreError
        if the folder does not exist.
    """
    folder = Path(os.path.expanduser(music))  # noqa: PTH111  # Path.expanduser raises for an unknown user
    if music and not folder.is_dir():
        raise PocketGenreError(f"{folder} is not a folder; name the folder that holds your music.")
    if music and not list_songs(folder).files:
        print_status(f"{folder} contains no music.")
    elif music:
        scan_library([folder])
        return
    print_status(
        "Scanning five SYNTHETIC songs as a demonstration: oscillators and noise, so that most of"
        " them are labelled not-music.\n"
        "To scan your own songs: make scan MUSIC=/path/to/your/music"
    )
    with tempfile.TemporaryDirectory() as temporary:
        music_folder = Path(temporary, "music")
        write_synthetic_library(music_folder)
        scan_library([music_folder], catalog=Path(temporary, "catalog.sqlite"))


if __name__ == "__main__":
    run(demo)
