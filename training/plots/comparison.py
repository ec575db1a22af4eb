"""Runs side by side in one picture."""

from pathlib import Path

import numpy as np
from matplotlib.ticker import PercentFormatter

from pocketgenre.training.evaluation.evaluation_page import FIGURES
from pocketgenre.training.evaluation.run_comparison import Comparison
from pocketgenre.training.plots.figure_style import add_title, saved_figure

_FILLS = (("0.25", ""), ("0.6", "//"), ("0.85", ".."), ("1.0", "xx"))  # grey and hatching
_HEIGHT = 0.19  # of a bar, of 1 for a run


def plot_comparison(comparison: Comparison, path: Path) -> None:
    """Draw a group of bars for each run; a line marks the published figure of its network."""
    runs = comparison.runs
    rows = np.arange(len(runs))
    with saved_figure(path, 9.5, 2.4 + 1.1 * len(runs)) as figure:
        add_title(figure, "Runs side by side", comparison.warnings)
        axes = figure.subplots()
        for number, (key, name) in enumerate(FIGURES.items()):
            grey, hatch = _FILLS[number]
            bars = axes.barh(
                rows + (number - 1.5) * _HEIGHT,
                [run.figures[key] for run in runs],
                height=_HEIGHT,
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
                zorder=4,  # over the line of the published figure
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
            )
        marked = [(row, run.published) for row, run in zip(rows, runs, strict=True)]
        known = [(row, share) for row, share in marked if share is not None]
        if known:
            axes.vlines(
                [share for _, share in known],
                [row - 2.2 * _HEIGHT for row, _ in known],
                [row + 2.2 * _HEIGHT for row, _ in known],
                linestyles="dashed",
                colors="black",
                label="published (all of GTZAN, split by segment)",
            )
        names = [
            f"{run.run}\n{run.model}, {run.protocol}{': LEAKS' if run.warnings else ''}"
            for run in runs
        ]
        axes.set_yticks(rows, names)
        axes.invert_yaxis()
        axes.set(xlabel="share called rightly, or F1", xlim=(0, 1))
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        figure.legend(loc="outside lower center", ncols=3)
