"""Plot the metrics of several runs."""

from pathlib import Path

import numpy as np
from matplotlib.ticker import PercentFormatter

from pocketgenre.training.evaluation.metrics import METRIC_NAMES
from pocketgenre.training.evaluation.run_comparison import Comparison
from pocketgenre.training.plots.figure_style import add_title, saved_figure

_FILLS = (("0.25", ""), ("0.6", "//"), ("0.85", ".."), ("1.0", "xx"))  # grey level and hatching
_BAR_HEIGHT = 0.19  # each run has a height of 1


def plot_comparison(comparison: Comparison, path: Path) -> None:
    """Plot a group of bars for each run, and a line at its network's published accuracy."""
    runs = comparison.runs
    rows = np.arange(len(runs))
    with saved_figure(path, 9.5, 2.4 + 1.1 * len(runs)) as figure:
        add_title(figure, "Comparison of runs", comparison.warnings)
        axes = figure.subplots()
        for number, (key, name) in enumerate(METRIC_NAMES.items()):
            grey, hatch = _FILLS[number]
            bars = axes.barh(
                rows + (number - 1.5) * _BAR_HEIGHT,
                [run.metrics[key] for run in runs],
                height=_BAR_HEIGHT,
                color=grey,
                hatch=hatch,
                edgecolor="black",
                label=name,
            )
            axes.bar_label(
                bars,
                fmt="{:.1%}",
                padding=3,
                fontsize=9,
                zorder=4,  # above the line of the published accuracy
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
            )
        published = [
            (row, run.published)
            for row, run in zip(rows, runs, strict=True)
            if run.published is not None
        ]
        if published:
            axes.vlines(
                [share for _, share in published],
                [row - 2.2 * _BAR_HEIGHT for row, _ in published],
                [row + 2.2 * _BAR_HEIGHT for row, _ in published],
                linestyles="dashed",
                colors="black",
                label="published (all of GTZAN, split by segment)",
            )
        names = [
            f"{run.run}\n{run.model}, {run.protocol}{': LEAKS' if run.leaks else ''}"
            for run in runs
        ]
        axes.set_yticks(rows, names)
        axes.invert_yaxis()
        axes.set(xlabel="accuracy, recall or F1", xlim=(0, 1))
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        figure.legend(loc="outside lower center", ncols=3)
