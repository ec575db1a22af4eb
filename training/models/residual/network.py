"""Residual convolutions over time, the coefficients as channels.

He et al., "Deep Residual Learning for Image Recognition" (2016), in one dimension. What a genre
sounds like shows at several scales, so the maxima and the means over time are taken at three
depths. The convolutions are two-dimensional with a kernel one wide, and the second dimension holds
the views of a segment, each of which is heard by itself with the same weights.
"""

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from pocketgenre.training.models.networks import STANDARDIZE

FloatArray = NDArray[np.float32]

STRIDE = 3
"""The network looks at every third frame."""

LISTENER = "residual"

_WIDTH = 64
_BLOCKS = 4
_FEATURES = 128
_DROPOUT = 0.3


def frames_seen(n_frames: int) -> int:
    """Frames of one view of a segment."""
    return -(-n_frames // STRIDE)


def build_encoder(frames: int, views: int, coefficients: int) -> keras.Model:
    """From views of a segment to 128 features, their mean over the views.

    The weights don't depend on the number of views.

    Returns
    -------
    keras.Model
        from (frames, views, coefficients), standardised, to (128,)
    """
    inputs = keras.Input((frames, views, coefficients))
    y = _convolution(inputs)
    statistics = [_over_time(y)]
    for block in range(_BLOCKS):
        z = layers.SpatialDropout2D(0.1)(_convolution(y))
        z = layers.Conv2D(_WIDTH, (3, 1), padding="same", use_bias=False)(z)
        y = layers.ReLU()(layers.Add()([y, layers.BatchNormalization()(z)]))
        if block % 2 == 0:
            y = layers.MaxPooling2D((2, 1), padding="same")(y)
        else:
            statistics.append(_over_time(y))
    y = layers.Dropout(_DROPOUT)(layers.Concatenate()(statistics))
    y = layers.Dense(_FEATURES, activation="relu")(y)
    if views > 1:
        y = layers.AveragePooling2D((1, views))(y)
    return keras.Model(inputs, layers.Flatten()(y), name="encoder")


def training_network(
    frames: int, genres: int, mean: FloatArray, variance: FloatArray
) -> keras.Sequential:
    """One encoder and a head on one view of a segment: what is trained.

    Parameters
    ----------
    frames : of a view
    genres : number of outputs
    mean, variance : float32 [shape=(coefficients,)], of the training features
    """
    coefficients = len(mean)
    standardize = layers.Normalization(mean=mean, variance=variance, name=STANDARDIZE)
    return keras.Sequential(
        [
            keras.Input((frames, coefficients)),
            standardize,
            layers.Reshape((frames, 1, coefficients)),
            build_encoder(frames, 1, coefficients),
            layers.Dropout(_DROPOUT),
            layers.Dense(genres, activation="softmax", name="genres"),
        ],
        name="genre",
    )


def whole_network(trained: Sequence[keras.Sequential], n_frames: int) -> keras.Sequential:
    """The network that is kept: all views of a segment, all that were trained.

    Their logits are averaged, which is one dense layer on the features of all of them.

    Parameters
    ----------
    trained : of :func:`training_network`, the same standardisation in all
    n_frames : of a segment
    """
    standardize = trained[0].get_layer(STANDARDIZE)
    coefficients = trained[0].input_shape[-1]
    frames = frames_seen(n_frames)
    shape = (n_frames, coefficients)
    inputs = keras.Input(shape)
    missing = frames * STRIDE - n_frames  # filled with zeros, the mean of standardised features
    y = layers.ZeroPadding1D((0, missing))(inputs) if missing else inputs
    y = layers.Reshape((frames, STRIDE, coefficients))(y)
    parts = []
    for number, network in enumerate(trained, start=1):
        encoder = build_encoder(frames, STRIDE, coefficients)
        encoder.set_weights(network.get_layer("encoder").get_weights())
        encoder.name = f"encoder-{number}"
        parts.append(encoder(y))
    features = layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    listener = keras.Model(inputs, features, name=LISTENER)
    heads = [network.get_layer("genres") for network in trained]
    head = layers.Dense(heads[0].units, activation="softmax", name="genres")
    model = keras.Sequential([keras.Input(shape), standardize, listener, head], name="genre")
    kernels, biases = zip(*(layer.get_weights() for layer in heads), strict=True)
    share = 1 / len(trained)
    kernel = keras.ops.concatenate(kernels, axis=0)
    head.set_weights([kernel * share, sum(biases) * share])
    return model


def _convolution(inputs: keras.KerasTensor) -> keras.KerasTensor:
    y = layers.Conv2D(_WIDTH, (3, 1), padding="same", use_bias=False)(inputs)
    return layers.ReLU()(layers.BatchNormalization()(y))


def _over_time(inputs: keras.KerasTensor) -> keras.KerasTensor:
    """Maximum and mean over the frames, side by side."""
    over = (inputs.shape[1], 1)
    maxima, means = layers.MaxPooling2D(over)(inputs), layers.AveragePooling2D(over)(inputs)
    return layers.Concatenate()([maxima, means])
