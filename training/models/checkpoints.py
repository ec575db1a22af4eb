"""Save each epoch, resume interrupted training, and stop early.

After each epoch, one file holds the network, its optimizer and the state of its random layers,
and another one the history. Early stopping is decided from the history, so that resumed
training gives the same network as uninterrupted training.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import keras
import numpy as np

from pocketgenre.atomic_write import write_atomic
from pocketgenre.suppress_stderr import suppress_stderr
from pocketgenre.training.errors import DataError
from pocketgenre.training.runs import History

_LAST, _BEST, _HISTORY = "last.keras", "best.keras", "history.json"
# Keras raises any of these for a damaged file, depending on the position of the damage.
_DAMAGED = (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, BadZipFile)


class Checkpoints(keras.callbacks.Callback):  # type: ignore[misc]
    """Save each epoch into a folder, and stop early.

    Parameters
    ----------
    folder : folder of the checkpoints
    history : history of the epochs before an interruption
    patience : epochs without a lower ``val_loss`` after which to stop; 0 to never stop early
    on_epoch : callback that gets the history after each epoch
    """

    def __init__(
        self,
        folder: Path,
        history: History,
        patience: int,
        on_epoch: Callable[[History], None],
    ) -> None:
        super().__init__()
        self.history = history
        self._folder = folder
        self._patience = patience
        self._on_epoch = on_epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Save the epoch, then stop if patience is exhausted."""
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        # The history is written first: if it is one epoch ahead of the network, resuming cuts it.
        write_atomic(self._folder / _HISTORY, json.dumps(self.history).encode())
        if self._patience and best_epoch(self.history) == epoch:
            save_network(self.model, self._folder / _BEST)
        save_network(self.model, self._folder / _LAST)
        self._on_epoch(self.history)
        if is_patience_exhausted(self.history, self._patience):
            self.model.stop_training = True


def resume_last(
    folder: Path, fresh: keras.Model, steps_per_epoch: int
) -> tuple[keras.Model, History]:
    """Load network and history of the last complete epoch.

    The number of epochs follows from the optimizer's count of steps, which is in the same file
    as the weights, so that the two always agree. Keras doesn't save the counters of the random
    number generators of dropout. Each step draws once, so the number of steps restores them.

    Parameters
    ----------
    folder : folder of the checkpoints, which may be empty
    fresh : network with its initial weights, returned if there is no checkpoint
    steps_per_epoch : batches in an epoch

    Returns
    -------
    model, history
        network and history of the epochs done.
    """
    if not (folder / _LAST).exists():
        return fresh, {}
    model = keras.models.load_model(folder / _LAST)
    steps = int(model.optimizer.iterations)
    for state, first in zip(_random_states(model), _random_states(fresh), strict=True):
        state.assign([int(np.asarray(first)[0]), steps])
    history: History = json.loads((folder / _HISTORY).read_bytes())
    epochs = steps // steps_per_epoch
    return model, {name: values[:epochs] for name, values in history.items()}


def load_best(folder: Path) -> keras.Model:
    """Load the network of the epoch with the lowest ``val_loss``."""
    return keras.models.load_model(folder / _BEST)


def best_epoch(history: History) -> int:
    """Return the index of the epoch with the lowest ``val_loss``, the first of equal ones."""
    losses = history["val_loss"]
    return losses.index(min(losses))


def is_patience_exhausted(history: History, patience: int) -> bool:
    """Check whether ``val_loss`` didn't improve in the last ``patience`` epochs."""
    return bool(patience) and len(history["val_loss"]) - 1 - best_epoch(history) >= patience


def _random_states(model: keras.Model) -> list[keras.Variable]:
    """Return seed and counter of each random layer."""
    return [v for v in model.non_trainable_variables if v.path.endswith("seed_generator_state")]


def load_network(path: Path) -> keras.Model:
    """Load a trained network for inference.

    Raises
    ------
    DataError
        if the file is missing or not a Keras model.
    """
    try:
        with suppress_stderr():
            return keras.models.load_model(path, compile=False)
    except _DAMAGED as error:
        raise DataError(f"{path} is not a Keras model of this project: {error}") from error


def save_network(model: keras.Model, path: Path) -> None:
    """Write a ``.keras`` file atomically.

    Raises
    ------
    OSError
        if the file can't be written; an existing file stays unchanged.
    """
    temporary = path.with_name(f"part-{path.name}")
    try:
        model.save(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
