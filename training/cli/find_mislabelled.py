"""Run ``find-mislabelled``: find songs with a probably wrong label."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from pocketgenre.atomic_write import write_atomic
from pocketgenre.cli.console import Debug, print_status, run
from pocketgenre.text import count_of, printable
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.labelled_songs import LabelledSong
from pocketgenre.training.data.near_duplicates import read_near_duplicates
from pocketgenre.training.evaluation.label_issues import (
    LabelIssues,
    find_label_issues,
    label_issues_csv,
)
from pocketgenre.training.evaluation.report_markdown import label_issues_table
from pocketgenre.training.runs import Run


def find_mislabelled_songs(
    run_folders: Annotated[
        list[Path],
        typer.Argument(
            help="Run folders written by train-model for one data set, best with several seeds.",
            metavar="RUN",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Also write the songs to this CSV file.", metavar="FILE"),
    ] = None,
    dataset: Annotated[
        Path | None,
        typer.Option(
            help="Data set of the runs, if it has moved.",
            metavar="DATASET",
            show_default="the runs'",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """List songs that probably have the wrong genre, largest difference in probability first.

    The method is confident learning: a song is listed if networks not trained on it give another
    genre at least the mean probability of the songs with that label. Listen to the songs before
    changing a label: inaccurate networks list many songs that are labelled correctly.

    For example:

    - `find-mislabelled runs/cnn-seed1 runs/cnn-seed2 --out issues.csv`
    """
    runs = [Run.load(folder) for folder in run_folders]
    data = runs[0].open_dataset(dataset)
    found = find_label_issues(runs, data)
    if out:
        write_atomic(out, label_issues_csv(found.issues))
        print_status(f"Wrote {out}.")
    if found.issues:
        print(label_issues_table(found.issues))
    for one, other in _duplicates_of_two_genres(data):
        print_status(
            f"{printable(one.name)} ({one.genre}) and {printable(other.name)} ({other.genre}) are"
            " near duplicates with two genres; one of the labels is wrong."
        )
    print_status(_summary(found))


def _duplicates_of_two_genres(dataset: Dataset) -> Iterator[tuple[LabelledSong, LabelledSong]]:
    """Return the pairs of near duplicates with different genres."""
    songs = {song.name: song for song in dataset.songs}
    for pair in read_near_duplicates(dataset.folder):
        if pair.song in songs and pair.other in songs:
            one, other = songs[pair.song], songs[pair.other]
            if one.genre != other.genre:
                yield one, other


def _summary(found: LabelIssues) -> str:
    count, others = len(found.issues), found.accuracy_without_issues
    if not count:
        return f"No label issues in {count_of(found.songs, 'song')}."
    runs = f"mean of {found.runs} runs" if found.runs > 1 else "1 run"
    text = (
        f"{count_of(count, 'label issue')} in {count_of(found.songs, 'song')}."
        f" Song accuracy by vote, {runs}: {found.accuracy:.1%} of all songs"
    )
    if others is None:
        return f"{text}."
    return (
        f"{text}, {others:.1%} of the other {found.songs - count}. Removing wrong predictions"
        " always raises the accuracy, so this does not show that the labels are wrong."
    )


def main() -> None:
    """Run the command."""
    run(find_mislabelled_songs)


if __name__ == "__main__":
    main()
