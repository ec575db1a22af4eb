"""Define the published networks, each as a short function that returns its layers.

Every network takes the features of a segment, (frames, coefficients), and ends in a softmax over
the genres; a network's function returns the layers in between. A fixed standardisation of each
coefficient comes first, which the published networks lack: c0 ranges over hundreds and c12
over a few units, and with one int8 scale for both, c12 would have too few steps.
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers, regularizers
from numpy.typing import NDArray

from pocketgenre.errors import PocketGenreError

Shape = tuple[int, int]
"""(frames, coefficients) of a segment."""

HiddenLayers = Callable[[Shape], list[keras.Layer]]
"""Function that returns a network's layers between standardisation and output."""

STANDARDIZE = "standardize"
"""Name of the standardisation layer, which the export keeps in float32."""


def ann(_shape: Shape) -> list[keras.Layer]:
    """Return three hidden layers on the flattened features."""
    return [
        layers.Flatten(),
        layers.Dense(512, activation="relu"),
        layers.Dense(256, activation="relu"),
        layers.Dense(64, activation="relu"),
    ]


def ann_regularized(_shape: Shape) -> list[keras.Layer]:
    """Return the layers of :func:`ann`, each with L2 1e-4 and followed by dropout 0.3."""
    stack: list[keras.Layer] = [layers.Flatten()]
    for units in (512, 256, 64):
        stack += [
            layers.Dense(units, activation="relu", kernel_regularizer=regularizers.L2(1e-4)),
            layers.Dropout(0.3),
        ]
    return stack


def cnn(shape: Shape) -> list[keras.Layer]:
    """Return three convolutions over time and coefficients, for a shape of at least (11, 11)."""
    return [
        layers.Reshape((*shape, 1)),
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


def lstm(_shape: Shape) -> list[keras.Layer]:
    """Return two LSTM layers over time."""
    return [
        layers.LSTM(64, return_sequences=True),
        layers.LSTM(64),
        layers.Dense(64, activation="relu"),
        layers.Dropout(0.3),
    ]


NETWORKS: dict[str, HiddenLayers] = {
    "ann": ann,
    "ann-regularized": ann_regularized,
    "cnn": cnn,
    "lstm": lstm,
}
"""Layers of the published networks by the name of their trainer."""


def build_network(
    name: str,
    shape: Shape,
    genres: int,
    mean: NDArray[np.float32],
    variance: NDArray[np.float32],
) -> keras.Model:
    """Build a published network with fresh weights.

    Parameters
    ----------
    name : a key of :data:`NETWORKS`
    shape, genres, mean, variance : as in :func:`assemble_network`

    Raises
    ------
    PocketGenreError
        if there is no network of that name.
    """
    if name not in NETWORKS:
        raise PocketGenreError(
            f"There is no network {name!r}; choose one of {', '.join(NETWORKS)}."
        )
    return assemble_network(NETWORKS[name], shape, genres, mean, variance)


def assemble_network(
    hidden_layers: HiddenLayers,
    shape: Shape,
    genres: int,
    mean: NDArray[np.float32],
    variance: NDArray[np.float32],
) -> keras.Model:
    """Build a network with fresh weights: standardisation, hidden layers, softmax.

    Parameters
    ----------
    hidden_layers : function that returns the layers in between
    shape : (frames, coefficients) of a segment
    genres : number of outputs
    mean, variance : moments of the training features, float32 [shape=(coefficients,)]
    """
    standardize = layers.Normalization(mean=mean, variance=variance, name=STANDARDIZE)
    head = layers.Dense(genres, activation="softmax", name="genres")
    return keras.Sequential(
        [keras.Input(shape), standardize, *hidden_layers(shape), head], name="genre"
    )
