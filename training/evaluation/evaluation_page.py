"""An evaluation as a page to read, whole or in short."""

from collections.abc import Iterable, Sequence

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from pocketgenre.cli.console import printable
from pocketgenre.training.evaluation.evaluation import Evaluation
from pocketgenre.training.evaluation.figures import CALIBRATION_BINS, Level

FIGURES = {
    "song_accuracy": "song accuracy",
    "song_mean_recall": "mean recall of songs",
    "song_macro_f1": "macro-F1 of songs",
    "segment_accuracy": "segment accuracy",
}
"""What the figures of ``metrics.json`` are called on pages and in pictures."""


def markdown_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int = 1
) -> str:
    """A Markdown table that can be read as it stands, too.

    Parameters
    ----------
    columns : the header
    rows : the cells
    text_columns : how many columns on the left are text; the others are set to the right
    """
    table = Table(
        *(
            Column(name, justify="left" if i < text_columns else "right", no_wrap=True)
            for i, name in enumerate(columns)
        ),
        box=MARKDOWN,
    )
    for row in rows:
        table.add_row(*(Text(printable(cell).replace("|", "\\|")) for cell in row))
    console = Console(width=10_000, color_system=None, highlight=False, force_terminal=False)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().strip().splitlines())


def warning_lines(warnings: Iterable[str]) -> list[str]:
    """Warnings as paragraphs of a page."""
    return [line for warning in warnings for line in (f"**Warning: {printable(warning)}**", "")]


def summary_page(evaluation: Evaluation) -> str:
    """What is printed: the headline figures and the genres by song vote."""
    return "\n".join([*_head(evaluation), *_genres(evaluation.songs, "songs"), ""])


def full_page(evaluation: Evaluation) -> str:
    """The content of ``evaluation.md``, beside which the pictures stand."""
    return "\n".join(
        [
            *_head(evaluation),
            "![Accuracy and loss by epoch](curves.png)",
            "",
            *_spread(evaluation),
            "## Genres, songs by vote",
            "",
            *_genres(evaluation.songs, "songs"),
            "",
            "## Genres, segments",
            "",
            *_genres(evaluation.segments, "segments"),
            "",
            "## Confusion, songs by vote",
            "",
            *_confusion(evaluation.songs),
            "",
            "## Confusion, segments",
            "",
            *_confusion(evaluation.segments),
            "",
            "![Confusion matrices](confusion.png)",
            "",
            *_calibration(evaluation),
            *_worst(evaluation),
        ]
    )


def _head(evaluation: Evaluation) -> list[str]:
    levels = (
        ("songs by vote", evaluation.songs),
        ("songs by probability-weighted vote", evaluation.songs_by_probability),
        ("segments", evaluation.segments),
    )
    return [
        f"# Evaluation of {printable(evaluation.run)}",
        "",
        *warning_lines(evaluation.warnings),
        f"Network `{evaluation.model}`, seed {evaluation.seed}."
        f" Judged: {printable(evaluation.judged_on)}.",
        "",
        markdown_table(
            ["", "judged", "accuracy", "mean recall", "macro-F1"],
            [
                [
                    name,
                    str(level.judged),
                    f"{level.accuracy:.1%}",
                    f"{level.mean_recall:.1%}",
                    f"{level.macro_f1:.1%}",
                ]
                for name, level in levels
            ],
        ),
        "",
        f"Expected calibration error of the segments: {evaluation.calibration.ece:.1%}.",
        "",
    ]


def _spread(evaluation: Evaluation) -> list[str]:
    if not evaluation.spread:
        return []
    rows = [
        [FIGURES[name], *(f"{v:.1%}" for v in (s.mean, s.deviation, s.lowest, s.highest))]
        for name, s in evaluation.spread.items()
    ]
    return [
        f"## Spread over {evaluation.folds} folds",
        "",
        markdown_table(["", "mean", "standard deviation", "lowest", "highest"], rows),
        "",
    ]


def _genres(level: Level, unit: str) -> list[str]:
    rows = [
        [g.genre, f"{g.precision:.1%}", f"{g.recall:.1%}", f"{g.f1:.1%}", str(g.support)]
        for g in level.genres
    ]
    return [markdown_table(["genre", "precision", "recall", "F1", unit], rows)]


def _confusion(level: Level) -> list[str]:
    labels = [g.genre for g in level.genres]
    rows = [
        [label, *(str(count) if count else "·" for count in counts)]
        for label, counts in zip(labels, level.confusion, strict=True)
    ]
    return [
        "A row is a true genre, a column what it was called.",
        "",
        markdown_table(["", *labels], rows),
    ]


def _calibration(evaluation: Evaluation) -> list[str]:
    rows = [
        [str(b.segments), f"{b.confidence:.1%}", f"{b.accuracy:.1%}"]
        for b in evaluation.calibration.bins
    ]
    return [
        "## Calibration",
        "",
        "Segments by their top probability, in"
        f" {CALIBRATION_BINS} equal intervals: what was promised and what came true."
        f" Expected calibration error: {evaluation.calibration.ece:.1%}.",
        "",
        markdown_table(["segments", "mean top probability", "accuracy"], rows, text_columns=0),
        "",
        *_temperature(evaluation),
        "![Reliability](reliability.png)",
        "",
    ]


def _temperature(evaluation: Evaluation) -> list[str]:
    found = (
        f"Temperature {evaluation.temperature:.2f}: export-tflite divides the logits by it, which"
        " changes no label."
    )
    if evaluation.calibrated:
        found += (
            " With each fold at the temperature that the other folds give, the expected calibration"
            f" error is {evaluation.calibrated.ece:.1%}."
        )
    return [found, ""]


def _worst(evaluation: Evaluation) -> list[str]:
    if not evaluation.worst_songs:
        return ["## Worst songs", "", "Every song was called rightly.", ""]
    rows = [
        [
            song.song,
            song.genre,
            song.called,
            ", ".join(f"{genre} {count}" for genre, count in song.votes.items()),
            f"{song.confidence:.0%}",
            f"{song.probability:.0%}",
        ]
        for song in evaluation.worst_songs
    ]
    columns = ["song", "genre", "called", "votes", "confidence", "mean probability"]
    return [
        "## Worst songs",
        "",
        "The most confidently wrong ones, by confidence (share of the votes for the genre called),"
        " number of those votes and mean probability of that genre.",
        "",
        markdown_table(columns, rows, text_columns=4),
        "",
    ]
