"""The networks, each one short function that reads like its row in the published table.

Every network takes (frames, coefficients) MFCC and ends in a softmax over the genres; what
stands between is what its function returns. In front of all of them, and not in the
published work, stands a fixed standardisation of each coefficient: c0 spans hundreds and
c12 a few units, and one int8 scale for both would waste the range.
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers, regularizers
from numpy.typing import NDArray

from pocketgenre.errors import PocketGenreError

STANDARDIZE = "standardize"
"""Name of the standardisation layer, which the export keeps in float32."""


def ann() -> list[keras.Layer]:
    """Three hidden layers on the flattened features."""
    return [
        layers.Flatten(),
        layers.Dense(512, activation="relu"),
        layers.Dense(256, activation="relu"),
        layers.Dense(64, activation="relu"),
    ]


def ann_regularized() -> list[keras.Layer]:
    """The same with L2 1e-4 on each hidden layer and dropout 0.3 after each."""
    stack: list[keras.Layer] = [layers.Flatten()]
    for units in (512, 256, 64):
        stack += [
            layers.Dense(units, activation="relu", kernel_regularizer=regularizers.L2(1e-4)),
            layers.Dropout(0.3),
        ]
    return stack


def cnn() -> list[keras.Layer]:
    """Three convolutions over time and coefficients."""
    return [
        layers.Reshape((130, 13, 1)),
        layers.Conv2D(32, (3, 3), activation="relu"),
        layers.MaxPooling2D((3, 3), strides=2, padding="same"),
        layers.BatchNormalization(),
        layers.Conv2D(32, (3, 3), activation="relu"),
        layers.MaxPooling2D((3, 3), strides=2, padding="same"),
        layers.BatchNormalization(),
        layers.Conv2D(32, (2, 2), activation="relu"),
        layers.MaxPooling2D((2, 2), strides=2, padding="same"),
        layers.BatchNormalization(),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
    ]


def lstm() -> list[keras.Layer]:
    """Two LSTM layers over time."""
    return [
        layers.LSTM(64, return_sequences=True),
        layers.LSTM(64),
        layers.Dense(64, activation="relu"),
        layers.Dropout(0.3),
    ]


MUSICNN = "musicnn"
"""Name that ``--model`` takes for the classifier of :mod:`pocketgenre.training.models.musicnn`."""

RESIDUAL = "residual"
"""Name that ``--model`` takes for the network of :mod:`pocketgenre.training.models.residual`."""

NETWORKS: dict[str, Callable[[], list[keras.Layer]]] = {
    "ann": ann,
    "ann-regularized": ann_regularized,
    "cnn": cnn,
    "lstm": lstm,
}
"""By the name that ``--model`` takes. To add one, write its function and name it here."""


def build_network(
    name: str,
    shape: tuple[int, int],
    genres: int,
    mean: NDArray[np.float32],
    variance: NDArray[np.float32],
) -> keras.Model:
    """A network with fresh weights.

    Parameters
    ----------
    name : a key of :data:`NETWORKS`
    shape : (frames, coefficients) of a segment
    genres : number of outputs
    mean, variance : float32 [shape=(coefficients,)]
        of the training features, for the standardisation.

    Raises
    ------
    PocketGenreError
        there is no network of that name.
    """
    if name not in NETWORKS:
        raise PocketGenreError(f"There is no network {name!r}; choose of {', '.join(NETWORKS)}.")
    standardize = layers.Normalization(mean=mean, variance=variance, name=STANDARDIZE)
    head = layers.Dense(genres, activation="softmax", name="genres")
    return keras.Sequential(
        [keras.Input(shape), standardize, *NETWORKS[name](), head], name="genre"
    )
