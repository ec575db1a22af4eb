"""What ``make scan`` runs: the user's folder, or a synthetic library where there is no music."""

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from mobile_demo.cli.console import run, say
from mobile_demo.cli.scan_library import scan_library
from mobile_demo.scanner.finding import list_songs
from mobile_demo.synthetic import write_synthetic_library


def demo(music: Annotated[str, typer.Argument(help="Folder, or nothing.")] = "") -> None:
    """Scan a folder, or songs synthesised on the spot where it holds none."""
    folder = Path(os.path.expanduser(music))  # noqa: PTH111  # Path's fails on an unknown user
    if music and not folder.is_dir():
        say(f"{folder} is not a folder on this machine.")
    elif music and not list_songs(folder).files:
        say(f"There is no music in {folder}.")
    elif music:
        scan_library(folder)
        return
    say(
        "So that you see it work, here are five SYNTHETIC songs made on the spot: their genres"
        " mean nothing.\nTo label your own: make scan MUSIC=/path/to/your/music"
    )
    with tempfile.TemporaryDirectory() as temporary:
        music_folder = Path(temporary, "music")
        write_synthetic_library(music_folder)
        scan_library(music_folder, catalog=Path(temporary, "catalog.sqlite"))


if __name__ == "__main__":
    run(demo)
