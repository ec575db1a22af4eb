"""Plot the confusion matrices, the calibration and the confidence of an evaluation."""

import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from sklearn.metrics import ConfusionMatrixDisplay

from pocketgenre.training.evaluation.metrics import (
    CALIBRATION_BINS,
    Calibration,
    ClassificationMetrics,
)
from pocketgenre.training.evaluation.report_markdown import MOST_CONFUSION_GENRES
from pocketgenre.training.evaluation.run_evaluation import Evaluation, SongConfidence
from pocketgenre.training.plots.figure_style import GREYS, add_title, saved_figure, shortened


def plot_confusion(evaluation: Evaluation, path: Path) -> None:
    """Plot the confusion matrices of songs and segments, shaded by share of the true genre.

    With many genres, cells have no counts, and only genres at equal distances are named: the names
    of all would be unreadable or need gigabytes of pixels.
    """
    labels = [shortened(label) for label in evaluation.labels]
    has_counts = len(labels) <= MOST_CONFUSION_GENRES
    size = max(4.5, 0.55 * min(len(labels), MOST_CONFUSION_GENRES))
    named = range(0, len(labels), math.ceil(len(labels) / MOST_CONFUSION_GENRES))
    with saved_figure(path, 2 * size + 2, size + 0.7) as figure:
        add_title(figure, f"{evaluation.run}: true and predicted genres", evaluation.warnings)
        matrices: tuple[tuple[str, ClassificationMetrics], ...] = (
            ("Songs by vote", evaluation.songs),
            ("Segments", evaluation.segments),
        )
        for axes, (name, metrics) in zip(figure.subplots(1, 2), matrices, strict=True):
            counts = np.array(metrics.confusion)
            shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            display = ConfusionMatrixDisplay(shares)
            display.plot(
                ax=axes,
                cmap=GREYS,
                colorbar=False,
                im_kw={"vmin": 0.0, "vmax": 1.0},
                include_values=has_counts,
                text_kw={"fontsize": 10} if has_counts else None,
            )
            if has_counts:
                for text, count in zip(display.text_.flat, counts.flat, strict=True):
                    text.set_text(str(count) if count else "")
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_ticks(named, [labels[genre] for genre in named])
            axes.tick_params(axis="x", rotation=90)
            axes.set(title=f"{name} (count)", xlabel="predicted genre", ylabel="true genre")
        figure.colorbar(display.im_, ax=figure.axes, label="share of the true genre", shrink=0.7)


def plot_reliability(evaluation: Evaluation, path: Path) -> None:
    """Plot the segments' accuracy against their top probability, and the number of segments."""
    with saved_figure(path, 6.5, 7.5) as figure:
        add_title(
            figure,
            f"{evaluation.run}: calibration of the probabilities\n"
            f"expected calibration error {evaluation.calibration.ece:.1%}",
            evaluation.warnings,
        )
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        _draw_reliability(above, below, evaluation.calibration, "segments")
        below.set(xlabel="top probability of a segment")


def plot_confidence(evaluation: Evaluation, confidence: SongConfidence, path: Path) -> None:
    """Plot the songs' accuracy against their confidence, and the risk-coverage curve."""
    with saved_figure(path, 12, 6.5) as figure:
        add_title(
            figure,
            f"{evaluation.run}: confidence of the songs, cross-fitted\n"
            f"expected calibration error {confidence.calibration.ece:.1%}",
            evaluation.warnings,
        )
        axes = figure.subplot_mosaic([["above", "curve"], ["below", "curve"]], height_ratios=[3, 1])
        _draw_reliability(axes["above"], axes["below"], confidence.calibration, "songs")
        axes["below"].set(xlabel="confidence of a song")
        curve = axes["curve"]
        coverages, risks = zip(*confidence.risk_curve, strict=True)
        curve.plot(coverages, risks, color="black", clip_on=False)
        curve.plot(
            [confidence.coverage],
            [1 - confidence.accuracy],
            "o",
            color="black",
            markersize=8,
            label=f"default threshold, confidence {confidence.min_confidence:.3f}",
        )
        curve.set(
            xlabel="share of the songs that keep a label",
            ylabel="share of wrong labels among them",
            xlim=(0, 1),
            ylim=(0, None),
        )
        curve.grid(color="0.9")
        curve.legend(loc="best")


def _draw_reliability(above: Axes, below: Axes, calibration: Calibration, unit: str) -> None:
    """Draw accuracy against probability above, and the number of items in each interval below."""
    confidences = [b.confidence for b in calibration.bins]
    above.plot([0, 1], [0, 1], linestyle="--", color="0.5", label="perfectly calibrated")
    accuracies = [b.accuracy for b in calibration.bins]
    above.plot(confidences, accuracies, "o-", color="black", label=unit, clip_on=False)
    above.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
    above.grid(color="0.9")
    above.legend(loc="best")
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    indices = np.clip(np.searchsorted(edges, confidences) - 1, 0, None)
    below.bar(
        edges[indices],
        [b.count for b in calibration.bins],
        width=1 / CALIBRATION_BINS,
        align="edge",
        color="0.8",
        edgecolor="black",
    )
    below.set(xlim=(0, 1), ylabel=unit)
