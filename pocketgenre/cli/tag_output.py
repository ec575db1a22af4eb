"""Write the genres of scanned songs into their tags."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from pocketgenre.cli.console import print_status, progress
from pocketgenre.library.genre_names import GenreNames
from pocketgenre.library.library_song import LibrarySong
from pocketgenre.library.tags.genre_tag import GENRE_FIELD, FileInUseError, holds_no_genre
from pocketgenre.library.tags.replace_file import check_settled, check_unused
from pocketgenre.library.tags.tagging import Outcome, TagConfig, tag_songs
from pocketgenre.library.tags.undo_log import UndoLog, default_undo_file
from pocketgenre.text import count_of, printable

_PANEL = "Tags"

WriteTagsOption = Annotated[
    bool,
    typer.Option(
        "--write-tags",
        help="Write the genre into each song that has none; undo-tags restores the songs.",
        rich_help_panel=_PANEL,
    ),
]
OverwriteOption = Annotated[
    bool,
    typer.Option(
        "--overwrite", help="With --write-tags: replace existing genres.", rich_help_panel=_PANEL
    ),
]
ReplaceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--replace",
        help="Replace this existing genre only, such as Unknown or Other; may be repeated.",
        metavar="GENRE",
        rich_help_panel=_PANEL,
    ),
]
TagGenresOption = Annotated[
    int,
    typer.Option(
        "--tag-genres",
        help="Write up to N genres: further ones have a probability of at least 0.2.",
        min=1,
        max=3,
        metavar="N",
        rich_help_panel=_PANEL,
    ),
]
TagFieldOption = Annotated[
    str,
    typer.Option(
        "--tag-field",
        help="Field to write: genre, grouping, or a field of your own, such as MOOD.",
        metavar="NAME",
        rich_help_panel=_PANEL,
    ),
]
SettleOption = Annotated[
    float,
    typer.Option(
        "--settle",
        help="Leave songs alone that were changed in the last SECONDS.",
        min=0,
        metavar="SECONDS",
        rich_help_panel=_PANEL,
    ),
]
KeepTimesOption = Annotated[
    bool,
    typer.Option(
        "--keep-times",
        help="Keep modification times; players and backups then miss the change.",
        rich_help_panel=_PANEL,
    ),
]
UndoFileOption = Annotated[
    Path | None,
    typer.Option(
        "--undo-file",
        help="File for the previous genres. By default in your data folder.",
        metavar="FILE",
        rich_help_panel=_PANEL,
    ),
]


def field_name(name: str) -> str:
    """Return the name of a field as tags store it.

    Raises
    ------
    typer.BadParameter
        if it is not a name, or that of a field that players use for something else.
    """
    name = name.strip().lower()
    if not name.isascii() or not name.replace("_", "").replace(" ", "").isalnum():
        raise typer.BadParameter("a field has a name of letters, digits and spaces.")
    if holds_no_genre(name):
        raise typer.BadParameter(
            f"players store something else in the field {name}, which a genre would replace; choose"
            " genre, grouping, mood, style or a name of your own."
        )
    return name


@dataclass(frozen=True)
class TagOutput:
    """Tags to write, as given by the options.

    Attributes
    ----------
    undo_file : file for the previous genres; None for the default one
    config : how genres are written
    """

    undo_file: Path | None = None
    config: TagConfig = field(default_factory=TagConfig)

    @property
    def log_file(self) -> Path:
        """Path of the undo file."""
        return self.undo_file or default_undo_file()


def write_tags(
    songs: Sequence[LibrarySong],
    output: TagOutput,
    names: GenreNames,
    is_interrupted: Callable[[], bool] = lambda: False,
    on_tagged: Callable[[Path, tuple[int, int]], None] = lambda *_: None,
) -> list[Outcome]:
    """Write genres into tags, with a progress bar, messages and a summary.

    Parameters
    ----------
    songs : songs
    output : tags to write
    names : names of genres
    is_interrupted : polled between two songs
    on_tagged : called with each tagged song, and its previous size and time
    """
    outcomes: list[Outcome] = []
    total = sum(song.has_genre for song in songs)
    with UndoLog(output.log_file) as log, progress() as bar:
        task = bar.add_task(f"Writing the genre of {count_of(total, 'song')}", total=total)
        for outcome in tag_songs(songs, log, output.config, names.in_tags):
            outcomes.append(outcome)
            bar.update(task, advance=1)
            if outcome.stat_before:
                on_tagged(outcome.path, outcome.stat_before)
            if outcome.action == "refused":
                bar.console.print(_refusal(outcome), markup=False, soft_wrap=True)
            if is_interrupted():
                break
    _summarise(outcomes, output)
    return outcomes


def in_use(outcomes: Sequence[Outcome]) -> set[Path]:
    """Return the songs that were refused because another program may be writing into them."""
    return {outcome.path for outcome in outcomes if outcome.is_in_use}


def is_settled(path: Path, output: TagOutput) -> bool:
    """Check whether no program seems to write into a song any more."""
    try:
        check_settled(path.lstat(), output.config.settle_seconds)
        check_unused(path)
    except FileInUseError:
        return False
    except OSError:  # the attempt to tag it gives the reason
        return True
    return True


def are_all_refused(outcomes: Sequence[Outcome]) -> bool:
    """Check whether there were songs to tag, and each of them was refused."""
    return bool(outcomes) and all(outcome.action == "refused" for outcome in outcomes)


def _summarise(outcomes: Sequence[Outcome], output: TagOutput) -> None:
    counts = Counter(outcome.action for outcome in outcomes)
    name = output.config.field if output.config.field == GENRE_FIELD else "genres"
    place = "tags" if name == GENRE_FIELD else f"tag {printable(output.config.field)}"
    print_status(f"Wrote the {name} into the {place} of {count_of(counts['changed'], 'song')}.")
    if counts["changed"]:
        named = f" {printable(str(output.undo_file))}" if output.undo_file else ""
        print_status(f"To undo that: undo-tags{named}")
    if counts["kept"]:
        hint = "" if output.config.overwrite else "; --overwrite replaces it"
        print_status(f"{count_of(counts['kept'], 'song')} kept because of an existing genre{hint}.")
    waiting = len(in_use(outcomes))
    if waiting:
        its = "its tag" if waiting == 1 else "their tags"
        print_status(
            f"{count_of(waiting, 'song')} may still be written by other programs; the next run, or"
            f" --watch, writes {its}."
        )
    if refused := counts["refused"] - waiting:
        print_status(f"{count_of(refused, 'song')} could not be tagged and stayed unchanged.")


def _refusal(outcome: Outcome) -> str:
    return f"{printable(str(outcome.path))}: {printable(outcome.reason or '')}."
