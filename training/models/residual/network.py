"""Build networks of residual convolutions over time, with the coefficients as channels.

This is He et al., "Deep Residual Learning for Image Recognition" (2016), in one dimension. Genres
differ at several time scales, so the maxima and the means over time are taken at three depths. The
convolutions are two-dimensional with a kernel of width one. The second dimension holds the views of
a segment, which are processed separately with the same weights.
"""

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from pocketgenre.training.models.networks import STANDARDIZE

FloatArray = NDArray[np.float32]

STRIDE = 3
"""Distance between the frames of a view, and number of views of a segment."""

_FEATURE_EXTRACTOR = "residual"  # name of the layer
_WIDTH = 64
_BLOCKS = 4
_FEATURES = 128
_DROPOUT = 0.3


def frames_per_view(n_frames: int) -> int:
    """Return the number of frames in one view of a segment."""
    return -(-n_frames // STRIDE)


def build_encoder(frames: int, views: int, coefficients: int) -> keras.Model:
    """Build the network from views of a segment to 128 features, averaged over the views.

    The weights don't depend on the number of views.

    Returns
    -------
    keras.Model
        from standardised features (frames, views, coefficients) to (128,)
    """
    inputs = keras.Input((frames, views, coefficients))
    y = _convolution(inputs)
    statistics = [_max_and_mean_over_time(y)]
    for block in range(_BLOCKS):
        z = layers.SpatialDropout2D(0.1)(_convolution(y))
        z = layers.Conv2D(_WIDTH, (3, 1), padding="same", use_bias=False)(z)
        y = layers.ReLU()(layers.Add()([y, layers.BatchNormalization()(z)]))
        if block % 2 == 0:
            y = layers.MaxPooling2D((2, 1), padding="same")(y)
        else:
            statistics.append(_max_and_mean_over_time(y))
    y = layers.Dropout(_DROPOUT)(layers.Concatenate()(statistics))
    y = layers.Dense(_FEATURES, activation="relu")(y)
    if views > 1:
        y = layers.AveragePooling2D((1, views))(y)
    return keras.Model(inputs, layers.Flatten()(y), name="encoder")


def build_member(
    frames: int, genres: int, mean: FloatArray, variance: FloatArray
) -> keras.Sequential:
    """Build one ensemble member for training: an encoder and a head on one view of a segment.

    Parameters
    ----------
    frames : number of frames in a view
    genres : number of outputs
    mean, variance : moments of the training features, float32 [shape=(coefficients,)]
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


def build_ensemble(members: Sequence[keras.Sequential], n_frames: int) -> keras.Sequential:
    """Join trained members to the network that the run keeps, on all views of a segment.

    The logits of the members are averaged by one dense layer on the features of all of them.

    Parameters
    ----------
    members : trained networks of :func:`build_member` with the same standardisation
    n_frames : number of frames in a segment
    """
    standardize = members[0].get_layer(STANDARDIZE)
    coefficients = members[0].input_shape[-1]
    frames = frames_per_view(n_frames)
    shape = (n_frames, coefficients)
    inputs = keras.Input(shape)
    missing = frames * STRIDE - n_frames  # padded with zeros, the mean of standardised features
    y = layers.ZeroPadding1D((0, missing))(inputs) if missing else inputs
    y = layers.Reshape((frames, STRIDE, coefficients))(y)
    parts = []
    for number, member in enumerate(members, start=1):
        encoder = build_encoder(frames, STRIDE, coefficients)
        encoder.set_weights(member.get_layer("encoder").get_weights())
        encoder.name = f"encoder-{number}"
        parts.append(encoder(y))
    features = layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    extractor = keras.Model(inputs, features, name=_FEATURE_EXTRACTOR)
    heads = [member.get_layer("genres") for member in members]
    head = layers.Dense(heads[0].units, activation="softmax", name="genres")
    model = keras.Sequential([keras.Input(shape), standardize, extractor, head], name="genre")
    kernels, biases = zip(*(layer.get_weights() for layer in heads), strict=True)
    share = 1 / len(members)
    kernel = keras.ops.concatenate(kernels, axis=0)
    head.set_weights([kernel * share, sum(biases) * share])
    return model


def _convolution(inputs: keras.KerasTensor) -> keras.KerasTensor:
    y = layers.Conv2D(_WIDTH, (3, 1), padding="same", use_bias=False)(inputs)
    return layers.ReLU()(layers.BatchNormalization()(y))


def _max_and_mean_over_time(inputs: keras.KerasTensor) -> keras.KerasTensor:
    """Concatenate maximum and mean over the frames."""
    window = (inputs.shape[1], 1)
    maxima, means = layers.MaxPooling2D(window)(inputs), layers.AveragePooling2D(window)(inputs)
    return layers.Concatenate()([maxima, means])
