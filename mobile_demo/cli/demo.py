"""What ``make scan`` runs: the user's folder, or a synthetic library where there is no music."""

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from mobile_demo.classifier import Classifier
from mobile_demo.cli.console import interruption, run, say
from mobile_demo.cli.scan_library import listen
from mobile_demo.cli.song_output import Format, write_songs
from mobile_demo.library import find_songs
from mobile_demo.scanner.labelled import label_songs
from mobile_demo.synthetic import write_synthetic_library


def demo(music: Annotated[str, typer.Argument(help="Folder, or nothing.")] = "") -> None:
    """Scan a folder, or songs synthesised on the spot where it holds none."""
    folder = Path(music).expanduser()
    if music and not folder.is_dir():
        say(f"{folder} is not a folder on this machine.")
    elif music and not find_songs(folder):
        say(f"There is no music in {folder}.")
    elif music:
        _scan(folder)
        return
    say(
        "So that you see it work, here are five SYNTHETIC songs made on the spot: their genres"
        " mean nothing.\nTo label your own: make scan MUSIC=/path/to/your/music"
    )
    with tempfile.TemporaryDirectory() as temporary:
        write_synthetic_library(Path(temporary))
        _scan(Path(temporary))


def _scan(folder: Path) -> None:
    classifier = Classifier.load()
    with interruption() as interrupted:
        songs = listen(folder, classifier, interrupted)
    labelled = list(label_songs(songs, folder.absolute()))
    write_songs(labelled, classifier.card.labels, Format.table, None)
    if not any(song.label for song in labelled):
        sys.exit(1)


if __name__ == "__main__":
    run(demo)
