"""How accuracy and loss went, epoch by epoch."""

import json
from pathlib import Path

from matplotlib.axes import Axes

from pocketgenre.training.data.songs import DataError
from pocketgenre.training.plots.figure_style import add_title, saved_figure
from pocketgenre.training.runs import Run

History = dict[str, list[float]]

_WHAT = {"accuracy": "accuracy (share of segments)", "loss": "loss (nats, with any penalty)"}


def plot_curves(run: Run, path: Path, warnings: tuple[str, ...] = ()) -> None:
    """Draw a run's curves: the network kept in black, those of its folds thin and grey.

    Parameters
    ----------
    run : the run
    path : the picture
    warnings : for its title

    Raises
    ------
    DataError
        a history can't be read.
    """
    kept = read_history(run.folder / "history.json")
    folds = [read_history(file) for file in sorted(run.folder.glob("fold-*/history.json"), key=str)]
    with saved_figure(path, 11, 4.8) as figure:
        name = run.folder.resolve().name
        add_title(figure, f"{name}: training of {run.config.model} by epoch", warnings)
        for axes, key in zip(figure.subplots(1, 2), _WHAT, strict=True):
            for number, history in enumerate(folds):
                _draw(axes, history, key, "each fold" if not number else None, "0.6", 0.9)
            _draw(axes, kept, key, "network kept" if folds else "the network", "black", 1.8)
            axes.set(xlabel="epoch", ylabel=_WHAT[key], xlim=(1, None))
            axes.set_ylim(*((0, 1) if key == "accuracy" else (0, None)))
            axes.grid(color="0.9")
        figure.axes[0].legend(loc="lower right")


def read_history(file: Path) -> History:
    """Loss and accuracy by epoch.

    Raises
    ------
    DataError
        the file can't be read as such.
    """
    try:
        history = json.loads(file.read_text(encoding="utf-8"))
        read = {str(key): [float(value) for value in values] for key, values in history.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"The history {file} cannot be read: {error}.") from error
    if not read.keys() >= _WHAT.keys():
        raise DataError(f"The history {file} lacks {' or '.join(_WHAT)}.")
    return read


def _draw(
    axes: Axes, history: History, key: str, label: str | None, colour: str, width: float
) -> None:
    for name, style, what in ((key, "-", "training"), (f"val_{key}", "--", "validation")):
        values = history.get(name)
        if values:
            epochs = range(1, len(values) + 1)
            text = f"{label}, {what}" if label else None
            axes.plot(epochs, values, style, color=colour, linewidth=width, label=text)
