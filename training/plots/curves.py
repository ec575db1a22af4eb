"""Plot accuracy and loss by epoch."""

import json
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from pocketgenre.training.errors import DataError
from pocketgenre.training.plots.figure_style import add_title, saved_figure
from pocketgenre.training.runs import History, Run

_AXIS_LABELS = {"accuracy": "accuracy (share of segments)", "loss": "loss (nats, with any penalty)"}


def plot_curves(run: Run, path: Path, warnings: tuple[str, ...] = ()) -> None:
    """Plot a run's training curves: the final network in black, each fold's in thin grey.

    Parameters
    ----------
    run : run with a training history
    path : PNG file to write
    warnings : warnings for the title

    Raises
    ------
    DataError
        if a history can't be read.
    """
    final = read_history(run.folder / "history.json")
    folds = [read_history(file) for file in sorted(run.folder.glob("fold-*/history.json"), key=str)]
    with saved_figure(path, 11, 4.8) as figure:
        name = run.folder.resolve().name
        add_title(figure, f"{name}: training of {run.config.model} by epoch", warnings)
        for axes, key in zip(figure.subplots(1, 2), _AXIS_LABELS, strict=True):
            for number, history in enumerate(folds):
                _plot(axes, history, key, "each fold" if not number else None, "0.6", 0.9)
            _plot(axes, final, key, "final network" if folds else "network", "black", 1.8)
            axes.set(xlabel="epoch", ylabel=_AXIS_LABELS[key], xlim=(1, None))
            axes.set_ylim(*((0, 1) if key == "accuracy" else (0, None)))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(color="0.9")
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))


def read_history(file: Path) -> History:
    """Read loss and accuracy by epoch.

    Raises
    ------
    DataError
        if the file can't be read or lacks loss or accuracy.
    """
    try:
        history = json.loads(file.read_text(encoding="utf-8"))
        read = {str(key): [float(value) for value in values] for key, values in history.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"The history {file} cannot be read: {error}.") from error
    if not read.keys() >= _AXIS_LABELS.keys():
        raise DataError(f"The history {file} lacks {' or '.join(_AXIS_LABELS)}.")
    return read


def _plot(
    axes: Axes, history: History, key: str, label: str | None, colour: str, width: float
) -> None:
    for name, style, split in ((key, "-", "training"), (f"val_{key}", "--", "validation")):
        values = history.get(name)
        if values:
            epochs = range(1, len(values) + 1)
            legend = f"{label}, {split}" if label else None
            axes.plot(epochs, values, style, color=colour, linewidth=width, label=legend)
