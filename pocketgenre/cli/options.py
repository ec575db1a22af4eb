"""Define options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pocketgenre import __version__
from pocketgenre.cli.console import stderr
from pocketgenre.library.discovery import is_address
from pocketgenre.library.schema import default_catalog
from pocketgenre.prediction import LabelConfig, VoteRule


class VoteOption(StrEnum):
    """Values of ``--vote``."""

    majority = "majority"
    probability = "probability"

    @property
    def rule(self) -> VoteRule:
        """The vote rule of the same name."""
        return "majority" if self is VoteOption.majority else "probability"


CatalogFile = Annotated[
    Path | None,
    typer.Option(
        "--catalog",
        help="Catalogue of all your music; by default in your data folder. :memory: stores"
        " nothing.",
        metavar="FILE",
        rich_help_panel="Catalogue",
    ),
]
Vote = Annotated[
    VoteOption,
    typer.Option(help="Majority of the segments, or mean probability.", rich_help_panel="Labels"),
]
MinConfidence = Annotated[
    float | None,
    typer.Option(
        help="Confidence below which a song is `uncertain`; by default the model's threshold, above"
        " which 9 of 10 labels are correct. 0: every song keeps its label.",
        min=0.0,
        max=1.0,
        metavar="X",
        rich_help_panel="Labels",
    ),
]
MinMargin = Annotated[
    float,
    typer.Option(
        help="Margin below which a song is `uncertain`: the mean probability of its genre minus"
        " that of the next genre.",
        min=-1.0,
        max=1.0,
        metavar="X",
        rich_help_panel="Labels",
    ),
]


class GroupOption(StrEnum):
    """Values of ``--by``."""

    album = "album"
    artist = "artist"


GroupBy = Annotated[
    GroupOption | None,
    typer.Option(
        "--by",
        help="Give all songs of an album or artist one genre, and name the odd ones out.",
        rich_help_panel="Labels",
    ),
]
GenreMap = Annotated[
    Path | None,
    typer.Option(
        "--genre-map",
        help='File with genre names of your own: lines such as hiphop = "Rap", or disco = false for'
        " no tag and no playlist.",
        metavar="FILE",
        rich_help_panel="Labels",
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        help="Run on a Dask cluster: the address of its scheduler. All workers must be able to read"
        " the files.",
        metavar="ADDRESS",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Print the planned actions, and change nothing."),
]
Folder = Annotated[
    Path | None, typer.Option(help="Only songs below this folder.", metavar="FOLDER")
]


def _print_version(context: typer.Context, is_wanted: bool) -> None:
    if is_wanted and not context.resilient_parsing:
        print(f"pocketgenre {__version__}")
        raise typer.Exit


def _silence(is_quiet: bool) -> None:
    if is_quiet:
        stderr.quiet = True


Version = Annotated[
    bool,
    typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Print data and errors only.", callback=_silence),
]


class ProgressOption(StrEnum):
    """Values of ``--progress``."""

    bar = "bar"
    json = "json"


ProgressFormat = Annotated[
    ProgressOption,
    typer.Option(
        "--progress", help="json: one object per classified song on standard error, for programs."
    ),
]

_FILES = "Files"

NoFollow = Annotated[
    bool,
    typer.Option("--no-follow", help="Don't follow links to folders.", rich_help_panel=_FILES),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        help="Leave out files and folders, such as `Audiobooks` or `*/Live/*`; may be repeated."
        " Hidden ones, recycle bins and folders with .nomedia always are.",
        metavar="PATTERN",
        rich_help_panel=_FILES,
    ),
]
MinSeconds = Annotated[
    float,
    typer.Option(
        "--min-seconds",
        help="Leave shorter songs out of all results, such as ringtones and voice notes.",
        min=0,
        metavar="SECONDS",
        rich_help_panel=_FILES,
    ),
]
AllowVanished = Annotated[
    bool,
    typer.Option(
        "--allow-vanished",
        help="Go on although more than half of the songs are gone.",
        rich_help_panel=_FILES,
    ),
]


def catalog_file(given: Path | None) -> Path:
    """Return the catalogue of ``--catalog``, or the default one."""
    return given or default_catalog()


def absolute(folder: Path | None) -> Path | None:
    """Return a folder as the catalogue stores it, even if the folder is gone."""
    return folder.resolve() if folder and not is_address(folder) else folder


def label_config(vote: VoteOption, min_confidence: float | None, min_margin: float) -> LabelConfig:
    """Return the label configuration of the options."""
    return LabelConfig(vote.rule, min_confidence, min_margin)
