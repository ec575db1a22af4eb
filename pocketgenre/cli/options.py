"""Options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pocketgenre.library.discovery import is_address
from pocketgenre.library.queries import Rule
from pocketgenre.library.schema import default_catalog


class VoteRule(StrEnum):
    """How a song's segments decide."""

    majority = "majority"
    probability = "probability"

    @property
    def rule(self) -> Rule:
        """The same for the type checker."""
        return "majority" if self is VoteRule.majority else "probability"


CatalogFile = Annotated[
    Path | None,
    typer.Option(
        "--catalog",
        help="The catalogue; by default one in your data folder, for all your music. :memory:"
        " keeps none.",
        metavar="FILE",
        rich_help_panel="Catalogue",
    ),
]
Vote = Annotated[
    VoteRule,
    typer.Option(help="A voice for each segment, or its probabilities.", rich_help_panel="Labels"),
]
MinConfidence = Annotated[
    float,
    typer.Option(
        help="Least share of the votes (--vote probability: of the probability).",
        min=0.0,
        max=1.0,
        metavar="X",
        rich_help_panel="Labels",
    ),
]
MinMargin = Annotated[
    float,
    typer.Option(
        help="Least distance of the genre's mean probability to the next one's.",
        min=-1.0,
        max=1.0,
        metavar="X",
        rich_help_panel="Labels",
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        help="Work on a Dask cluster: the address of its scheduler. All its workers must be able to"
        " read what is named here.",
        metavar="ADDRESS",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Say what would be done, and do nothing."),
]
Folder = Annotated[
    Path | None, typer.Option(help="Only songs below this folder.", metavar="FOLDER")
]


def catalog_file(given: Path | None) -> Path:
    """The catalogue that is meant."""
    return given or default_catalog()


def absolute(folder: Path | None) -> Path | None:
    """A folder as the catalogue names it, whether it is still there or not."""
    return folder.resolve() if folder and not is_address(folder) else folder
