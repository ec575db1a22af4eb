"""What ``make scan`` runs: the user's folder, or a synthetic library where there is no music."""

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from pocketgenre.cli.console import print_status, run
from pocketgenre.cli.scan_library import scan_library
from pocketgenre.demo.synthetic import write_synthetic_library
from pocketgenre.library.discovery import list_songs


def demo(music: Annotated[str, typer.Argument(help="Folder, or nothing.")] = "") -> None:
    """Scan a folder, or songs synthesised on the spot where it holds none."""
    folder = Path(os.path.expanduser(music))  # noqa: PTH111  # Path's fails on an unknown user
    if music and not folder.is_dir():
        print_status(f"{folder} is not a folder on this machine.")
    elif music and not list_songs(folder).files:
        print_status(f"There is no music in {folder}.")
    elif music:
        scan_library(folder)
        return
    print_status(
        "So that you see it work, here are five SYNTHETIC songs made on the spot: their genres"
        " mean nothing.\nTo label your own: make scan MUSIC=/path/to/your/music"
    )
    with tempfile.TemporaryDirectory() as temporary:
        music_folder = Path(temporary, "music")
        write_synthetic_library(music_folder)
        scan_library(music_folder, catalog=Path(temporary, "catalog.sqlite"))


if __name__ == "__main__":
    run(demo)
