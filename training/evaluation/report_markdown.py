"""Write evaluations, comparisons and other results as Markdown."""

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from pocketgenre.text import printable
from pocketgenre.training.data.splits import PROTOCOLS
from pocketgenre.training.evaluation.label_issues import LabelIssue
from pocketgenre.training.evaluation.metrics import (
    CALIBRATION_BINS,
    METRIC_NAMES,
    Calibration,
    ClassificationMetrics,
)
from pocketgenre.training.evaluation.run_comparison import PUBLISHED_CONDITIONS, Comparison
from pocketgenre.training.evaluation.run_evaluation import Evaluation

if TYPE_CHECKING:  # importing it starts TensorFlow
    from pocketgenre.training.evaluation.robustness import Robustness

_LINE_WIDTH = 120  # characters; tables may be wider

MOST_CONFUSION_GENRES = 40
"""Genres up to which a confusion matrix has a row and a column for each genre."""


def markdown_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int = 1
) -> str:
    """Format a Markdown table with aligned columns.

    Parameters
    ----------
    columns : header cells
    rows : body cells
    text_columns : number of left-aligned columns; the others are right-aligned
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


def evaluation_summary(evaluation: Evaluation) -> str:
    """Return the main metrics and the metrics of each genre by song."""
    return "\n".join([*_head(evaluation), *_genres(evaluation.songs, "songs"), ""])


def evaluation_report(evaluation: Evaluation, *, has_curves: bool = True) -> str:
    """Return the content of ``evaluation.md``, which links the pictures in the same folder.

    Parameters
    ----------
    evaluation : results to write
    has_curves : False if there is no picture of the training by epoch
    """
    return "\n".join(
        [
            *_head(evaluation),
            *(["![Accuracy and loss by epoch](curves.png)", ""] if has_curves else []),
            *_fold_statistics(evaluation),
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
            *_lengths(evaluation),
            *_calibration(evaluation),
            *_confidence(evaluation),
            *_worst_songs(evaluation),
        ]
    )


def comparison_report(comparison: Comparison) -> str:
    """Return the content of ``comparison.md`` without its picture."""
    lines = ["# Comparison of runs", "", *_warnings(comparison.warnings)]
    columns = ["run", "network", "protocol", "folds", "epochs", "seed", *METRIC_NAMES.values()]
    columns += ["parameters", "published"]
    rows = [
        [
            run.run,
            run.model,
            f"{run.protocol} (LEAKS)" if run.leaks else run.protocol,
            str(run.folds or "-"),
            str(run.epochs),
            str(run.seed),
            *(f"{run.metrics[name]:.1%}" for name in METRIC_NAMES),
            f"{run.parameters:,}" if run.parameters else "-",
            f"{run.published:.1%}" if run.published else "-",
        ]
        for run in comparison.runs
    ]
    lines += [markdown_table(columns, rows, text_columns=3), ""]
    lines += _paragraph(f"Last column: {PUBLISHED_CONDITIONS}.")
    if comparison.across_seeds:
        lines += ["## Across seeds", ""]
        lines += _paragraph("Mean ± standard deviation of runs that differ only in their seed.")
        rows = [
            [
                group.model,
                f"{group.protocol} (LEAKS)" if group.leaks else group.protocol,
                ", ".join(map(str, group.seeds)),
                *(
                    f"{statistics.mean:.1%} ± {statistics.standard_deviation:.1%}"
                    for statistics in map(group.seed_statistics.__getitem__, METRIC_NAMES)
                ),
            ]
            for group in comparison.across_seeds
        ]
        columns = ["network", "protocol", "seeds", *METRIC_NAMES.values()]
        lines += [markdown_table(columns, rows, text_columns=3), ""]
    return "\n".join(lines)


def robustness_report(robustness: "Robustness") -> str:
    """Return the content of ``robustness.md``."""
    networks = (
        f"each of the {robustness.folds} folds' networks" if robustness.folds else "the network"
    )
    rows = [
        [
            result.perturbation,
            result.description,
            f"{result.song_accuracy:.1%}",
            f"{result.song_mean_recall:.1%}",
            str(result.segments),
            f"{result.segment_accuracy:.1%}",
            f"{result.label_agreement:.1%}",
        ]
        for result in robustness.perturbations
    ]
    columns = ["perturbation", "change", "song accuracy", "mean recall"]
    columns += ["segments", "segment accuracy", "label agreement"]
    return "\n".join(
        [
            f"# Robustness of {printable(robustness.run)}",
            "",
            *_paragraph(
                f"Network `{robustness.model}`, seed {robustness.seed}. Evaluated on"
                f" {robustness.songs} songs: {networks} on the songs not used to train it"
                f" ({PROTOCOLS[robustness.protocol]})."
            ),
            markdown_table(columns, rows, text_columns=2),
            "",
            *_paragraph(
                "Songs are labelled by majority vote. Label agreement is the share of songs with"
                " the same predicted genre as the unchanged song, correct or not."
            ),
        ]
    )


def label_issues_table(issues: Sequence[LabelIssue]) -> str:
    """Return the label issues as a table."""
    columns = ["song", "label", "suggested", "P(label)", "P(suggested)", "segments", "runs"]
    rows = [
        [
            issue.song,
            issue.label,
            issue.suggested,
            f"{issue.label_probability:.1%}",
            f"{issue.suggested_probability:.1%}",
            f"{issue.vote_share:.0%}",
            f"{issue.runs_agreeing} of {issue.runs}",
        ]
        for issue in issues
    ]
    return markdown_table(columns, rows, text_columns=3)


def _paragraph(text: str) -> list[str]:
    lines = textwrap.wrap(text, _LINE_WIDTH, break_long_words=False, break_on_hyphens=False)
    return [*lines, ""]


def _warnings(warnings: Iterable[str]) -> list[str]:
    return [
        line for warning in warnings for line in _paragraph(f"**Warning: {printable(warning)}**")
    ]


def _head(evaluation: Evaluation) -> list[str]:
    rows = (
        ("songs by vote", evaluation.songs),
        ("songs by probability-weighted vote", evaluation.songs_by_probability),
        ("segments", evaluation.segments),
    )
    return [
        f"# Evaluation of {printable(evaluation.run)}",
        "",
        *_warnings(evaluation.warnings),
        *_paragraph(
            f"Network `{evaluation.model}`, seed {evaluation.seed}."
            f" Evaluated: {printable(evaluation.evaluated_on)}."
        ),
        markdown_table(
            ["", "count", "accuracy", "mean recall", "macro-F1"],
            [
                [
                    name,
                    str(metrics.count),
                    f"{metrics.accuracy:.1%}",
                    f"{metrics.mean_recall:.1%}",
                    f"{metrics.macro_f1:.1%}",
                ]
                for name, metrics in rows
            ],
        ),
        "",
        f"Expected calibration error of the segments: {evaluation.calibration.ece:.1%}.",
        "",
    ]


def _fold_statistics(evaluation: Evaluation) -> list[str]:
    if not evaluation.fold_statistics:
        return []
    rows = [
        [
            METRIC_NAMES[name],
            *(f"{v:.1%}" for v in (s.mean, s.standard_deviation, s.minimum, s.maximum)),
        ]
        for name, s in evaluation.fold_statistics.items()
    ]
    return [
        f"## Statistics over {evaluation.folds} folds",
        "",
        markdown_table(["", "mean", "standard deviation", "minimum", "maximum"], rows),
        "",
    ]


def _genres(metrics: ClassificationMetrics, unit: str) -> list[str]:
    rows = [
        [g.genre, f"{g.precision:.1%}", f"{g.recall:.1%}", f"{g.f1:.1%}", str(g.support)]
        for g in metrics.genres
        if g.support
    ]
    return [markdown_table(["genre", "precision", "recall", "F1", unit], rows)]


def _confusion(metrics: ClassificationMetrics) -> list[str]:
    labels = [g.genre for g in metrics.genres]
    if len(labels) > MOST_CONFUSION_GENRES:
        return _frequent_confusions(metrics, labels)
    rows = [
        [label, *(str(count) if count else "·" for count in counts)]
        for label, counts in zip(labels, metrics.confusion, strict=True)
        if any(counts)
    ]
    return [
        "A row is a true genre, a column the predicted one.",
        "",
        markdown_table(["", *labels], rows),
    ]


def _frequent_confusions(metrics: ClassificationMetrics, labels: Sequence[str]) -> list[str]:
    """List the most frequent errors, where a matrix would be too wide to read."""
    counts = {
        (true, predicted): count
        for true, row in enumerate(metrics.confusion)
        for predicted, count in enumerate(row)
        if count and true != predicted
    }
    frequent = sorted(counts, key=counts.__getitem__, reverse=True)[:MOST_CONFUSION_GENRES]
    rows = [
        [labels[true], labels[predicted], str(counts[true, predicted])]
        for true, predicted in frequent
    ]
    return [
        f"The {len(rows)} most frequent errors of {len(counts)}; `evaluation.json` has all.",
        "",
        markdown_table(["true genre", "predicted genre", "count"], rows, text_columns=2),
    ]


def _calibration(evaluation: Evaluation) -> list[str]:
    return [
        "## Calibration",
        "",
        *_paragraph(
            f"Segments grouped by top probability into {CALIBRATION_BINS} equal intervals."
            f" Expected calibration error: {evaluation.calibration.ece:.1%}."
        ),
        _bins_table(evaluation.calibration, "segments", "mean top probability"),
        "",
        *_temperature(evaluation),
        "![Reliability](reliability.png)",
        "",
    ]


def _bins_table(calibration: Calibration, unit: str, mean: str) -> str:
    rows = [[str(b.count), f"{b.confidence:.1%}", f"{b.accuracy:.1%}"] for b in calibration.bins]
    return markdown_table([unit, mean, "accuracy"], rows, text_columns=0)


def _temperature(evaluation: Evaluation) -> list[str]:
    text = (
        f"Temperature {evaluation.temperature:.2f}: export-tflite divides the logits by it, which"
        " changes no label."
    )
    if evaluation.scaled_calibration:
        text += (
            " With each fold at the temperature of the other folds, the expected calibration"
            f" error is {evaluation.scaled_calibration.ece:.1%}."
        )
    return _paragraph(text)


def _lengths(evaluation: Evaluation) -> list[str]:
    rows = [
        [
            length.description,
            str(length.songs),
            f"{length.accuracy:.1%}",
            f"{length.mean_recall:.1%}",
        ]
        for length in evaluation.lengths
    ]
    return [
        "## Length of the classified audio",
        "",
        markdown_table(["", "songs", "accuracy", "mean recall"], rows),
        "",
    ]


def _confidence(evaluation: Evaluation) -> list[str]:
    confidence = evaluation.confidence
    if confidence is None:
        return []
    return [
        "## Confidence of the songs",
        "",
        *_paragraph(
            "The confidence of a song is the estimated probability that its label is correct,"
            " computed from its votes and probabilities. For the confidences below, the model is"
            " fitted without the songs of the same group."
            f" Expected calibration error: {confidence.calibration.ece:.1%}."
        ),
        _bins_table(confidence.calibration, "songs", "mean confidence"),
        "",
        *_paragraph(
            f"At the default threshold of {confidence.min_confidence:.3f},"
            f" {confidence.coverage:.1%} of the songs keep their label, and"
            f" {confidence.accuracy:.1%} of these are correct. The others are labelled uncertain."
        ),
        "![Confidence and risk](confidence.png)",
        "",
    ]


def _worst_songs(evaluation: Evaluation) -> list[str]:
    if not evaluation.worst_songs:
        return ["## Worst songs", "", "Every song was predicted correctly.", ""]
    rows = [
        [
            song.song,
            song.true_genre,
            song.predicted_genre,
            ", ".join(f"{genre} {count}" for genre, count in song.votes.items()),
            f"{song.confidence:.0%}",
            f"{song.probability:.0%}",
        ]
        for song in evaluation.worst_songs
    ]
    columns = ["song", "genre", "predicted", "votes", "confidence", "mean probability"]
    return [
        "## Worst songs",
        "",
        *_paragraph(
            "The most confidently wrong songs, sorted by confidence (the predicted genre's share"
            " of the votes), number of those votes and mean probability of the predicted genre."
        ),
        markdown_table(columns, rows, text_columns=4),
        "",
    ]
