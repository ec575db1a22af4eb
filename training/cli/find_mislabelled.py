"""``find-mislabelled``: songs whose label the networks doubt."""

from pathlib import Path
from typing import Annotated

import typer

from pocketgenre.atomic_write import write_atomic
from pocketgenre.cli.console import Debug, print_status, run
from pocketgenre.training.data.dataset import load_dataset
from pocketgenre.training.evaluation.label_issues import (
    LabelIssues,
    find_mislabelled,
    suspects_csv,
    suspects_table,
)
from pocketgenre.training.runs import Run


def find_mislabelled_songs(
    run_folders: Annotated[
        list[Path],
        typer.Argument(
            help="Runs that train-model made of one data set, best of several seeds.",
            metavar="RUN",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Write the suspects to this CSV file as well.", metavar="FILE"),
    ] = None,
    debug: Debug = False,
) -> None:
    """List songs that may bear the wrong genre, the surest first.

    By confident learning: a song is suspected where networks that have not learned it find
    another genre as probable as in songs that bear that label. Listen before you believe it:
    a network that errs often suspects many songs without cause.

    For example:

    - `find-mislabelled runs/cnn-seed1 runs/cnn-seed2 --out suspects.csv`
    """
    runs = [Run.load(folder) for folder in run_folders]
    suspicions = find_mislabelled(runs, load_dataset(runs[0].dataset))
    if out:
        write_atomic(out, suspects_csv(suspicions.suspects))
        print_status(f"Wrote {out}.")
    if suspicions.suspects:
        print(suspects_table(suspicions.suspects))
    print_status(_summary(suspicions))


def _summary(suspicions: LabelIssues) -> str:
    suspected, rest = len(suspicions.suspects), suspicions.accuracy_of_rest
    if not suspected:
        return f"None of {suspicions.songs} songs is suspected."
    by = f"mean of {suspicions.runs} runs" if suspicions.runs > 1 else "one run"
    text = (
        f"{suspected} of {suspicions.songs} songs are suspected."
        f" Songs right by vote, {by}: {suspicions.accuracy:.1%} of all"
    )
    if rest is None:
        return f"{text}."
    return (
        f"{text}, {rest:.1%} of the {suspicions.songs - suspected} others. To leave out what the"
        " networks get wrong raises the figure by construction: it doesn't show that the labels"
        " are wrong."
    )


def main() -> None:
    """Entry point of the command."""
    run(find_mislabelled_songs)


if __name__ == "__main__":
    main()
