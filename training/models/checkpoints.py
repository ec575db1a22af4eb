"""Stop at any moment, go on from the last epoch, and end as if nothing had happened.

All that decides what comes next is on disk after each epoch: the network with its
optimizer and the state of its random layers in one file, and the history. Early stopping
is a question asked of the history, so that it survives an interruption as well.
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
from pocketgenre.training.data.songs import DataError

History = dict[str, list[float]]

_LAST, _BEST, _HISTORY = "last.keras", "best.keras", "history.json"
# What Keras says of a file with wrong bytes; which of these depends on where they stand.
_DAMAGED = (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, BadZipFile)


class Checkpoints(keras.callbacks.Callback):  # type: ignore[misc]
    """Save each epoch into a folder, and stop where patience ends.

    Parameters
    ----------
    folder : for the checkpoints
    history : of the epochs done before
    patience : epochs without a lower ``val_loss`` after which to stop; 0: never
    on_epoch : called after each epoch with the history so far
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
        """Save, then see whether to stop."""
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        # The history first: one epoch ahead of its network, it is cut on resuming.
        write_atomic(self._folder / _HISTORY, json.dumps(self.history).encode())
        if self._patience and best_epoch(self.history) == epoch:
            save_network(self.model, self._folder / _BEST)
        save_network(self.model, self._folder / _LAST)
        self._on_epoch(self.history)
        if has_lost_patience(self.history, self._patience):
            self.model.stop_training = True


def resume_last(
    folder: Path, fresh: keras.Model, steps_per_epoch: int
) -> tuple[keras.Model, History]:
    """The network and history of the last whole epoch; before the first, the fresh network.

    The number of epochs is read from the optimizer's count of steps, which is in the same file
    as the weights: the two can't disagree. Keras doesn't save how far the random numbers of
    dropout have come; each step draws once, so that is known as well.

    Parameters
    ----------
    folder : with checkpoints or without
    fresh : the network as a training from scratch begins with it
    steps_per_epoch : batches in an epoch
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
    """The network of the epoch with the lowest ``val_loss``."""
    return keras.models.load_model(folder / _BEST)


def best_epoch(history: History) -> int:
    """Index of the epoch with the lowest ``val_loss``, the first of equals."""
    losses = history["val_loss"]
    return losses.index(min(losses))


def has_lost_patience(history: History, patience: int) -> bool:
    """Whether the last ``patience`` epochs brought no lower ``val_loss``."""
    return bool(patience) and len(history["val_loss"]) - 1 - best_epoch(history) >= patience


def _random_states(model: keras.Model) -> list[keras.Variable]:
    """Seed and counter of each random layer."""
    return [v for v in model.non_trainable_variables if v.path.endswith("seed_generator_state")]


def load_network(path: Path) -> keras.Model:
    """A trained network to ask, not to train on.

    Raises
    ------
    DataError
        the file is missing or not such a network.
    """
    try:
        with suppress_stderr():
            return keras.models.load_model(path, compile=False)
    except _DAMAGED as error:
        raise DataError(f"{path} is not a Keras model of this project: {error}") from error


def save_network(model: keras.Model, path: Path) -> None:
    """Save a whole ``.keras`` file, or nothing.

    Raises
    ------
    OSError
        it can't be written; what stood there is untouched.
    """
    temporary = path.with_name(f"part-{path.name}")
    try:
        model.save(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
