"""Plot the confusion matrices and the calibration of an evaluation."""

from pathlib import Path

import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay

from pocketgenre.training.evaluation.metrics import CALIBRATION_BINS, ClassificationMetrics
from pocketgenre.training.evaluation.run_evaluation import Evaluation
from pocketgenre.training.plots.figure_style import GREYS, add_title, saved_figure


def plot_confusion(evaluation: Evaluation, path: Path) -> None:
    """Plot the confusion matrices of songs and segments, shaded by share of the true genre."""
    size = max(4.5, 0.55 * len(evaluation.labels))
    with saved_figure(path, 2 * size + 2, size + 0.7) as figure:
        add_title(figure, f"{evaluation.run}: true and predicted genres", evaluation.warnings)
        matrices: tuple[tuple[str, ClassificationMetrics], ...] = (
            ("Songs by vote", evaluation.songs),
            ("Segments", evaluation.segments),
        )
        for axes, (name, metrics) in zip(figure.subplots(1, 2), matrices, strict=True):
            counts = np.array(metrics.confusion)
            shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            display = ConfusionMatrixDisplay(shares, display_labels=evaluation.labels)
            display.plot(
                ax=axes,
                cmap=GREYS,
                colorbar=False,
                xticks_rotation="vertical",
                im_kw={"vmin": 0.0, "vmax": 1.0},
                text_kw={"fontsize": 10},
            )
            for text, count in zip(display.text_.flat, counts.flat, strict=True):
                text.set_text(str(count) if count else "")
            axes.set(title=f"{name} (count)", xlabel="predicted genre", ylabel="true genre")
        figure.colorbar(display.im_, ax=figure.axes, label="share of the true genre", shrink=0.7)


def plot_reliability(evaluation: Evaluation, path: Path) -> None:
    """Plot the segments' accuracy against their top probability, and the number of segments."""
    bins = evaluation.calibration.bins
    confidences = [b.confidence for b in bins]
    with saved_figure(path, 6.5, 7.5) as figure:
        add_title(
            figure,
            f"{evaluation.run}: calibration of the probabilities\n"
            f"expected calibration error {evaluation.calibration.ece:.1%}",
            evaluation.warnings,
        )
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        above.plot([0, 1], [0, 1], linestyle="--", color="0.5", label="perfectly calibrated")
        above.plot(
            confidences,
            [b.accuracy for b in bins],
            "o-",
            color="black",
            label="segments",
            clip_on=False,
        )
        above.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
        above.grid(color="0.9")
        above.legend(loc="lower right")
        edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
        indices = np.clip(np.searchsorted(edges, confidences) - 1, 0, None)
        below.bar(
            edges[indices],
            [b.segments for b in bins],
            width=1 / CALIBRATION_BINS,
            align="edge",
            color="0.8",
            edgecolor="black",
        )
        below.set(xlabel="top probability of a segment", ylabel="segments")
