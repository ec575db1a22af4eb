"""A linear classifier of genres on the features of both musicnn networks, as one network.

Nothing of musicnn is trained further: 422 songs are too few to better what 200,000 have taught
it, and the cross-validation says so. The head is a logistic regression, which becomes the last
layer.
"""

from pathlib import Path

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from pocketgenre.training.data.batches import evaluation_batches
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.models.musicnn.checkpoint import TOWERS, Checkpoint
from pocketgenre.training.models.musicnn.tower import build_tower
from pocketgenre.training.models.networks import STANDARDIZE

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

LISTENER = "musicnn"

_PATCHES = 200  # to see the ranges of the channels
_INVERSE_REGULARIZATION = 1e-3


def build_classifier(
    dataset: Dataset, segments: IntArray, package: Path, seed: int
) -> tuple[keras.Model, FloatArray]:
    """A network from log-mel bands to genres, its head fitted to some segments.

    Parameters
    ----------
    dataset : the features, log-mel
    segments : int64 [shape=(n,)], positions of those to learn from
    package : folder of the unpacked package
    seed : draws the patches on which the channels' ranges are seen

    Returns
    -------
    model, features
        the network, and what its head, the last layer, takes for the segments: float32
        [shape=(n, features)]. To hear them a second time would take as long as all the rest.

    Raises
    ------
    DataError
        the package isn't there.
    """
    drawn = np.random.default_rng(seed).choice(segments, min(_PATCHES, len(segments)), False)
    patches = np.asarray(dataset.features[np.sort(drawn)])
    mean, deviation = float(patches.mean()), float(patches.std())
    shape = dataset.feature_config.shape
    bands = np.ones(shape[1], np.float32)
    standardize = layers.Normalization(
        mean=mean * bands, variance=deviation**2 * bands, name=STANDARDIZE
    )
    inputs = keras.Input(shape)
    towers = [
        build_tower(Checkpoint.load(package, name), patches, mean, deviation, name)
        for name in TOWERS
    ]
    features = layers.Concatenate()([tower(inputs) for tower in towers])
    listener = keras.Model(inputs, features, name=LISTENER)
    listener.trainable = False
    heard = keras.Sequential([keras.Input(shape), standardize, listener]).predict(
        evaluation_batches(dataset, segments), verbose=0
    )
    kernel, bias = fit_head(heard, dataset, segments)
    head = layers.Dense(len(dataset.labels), activation="softmax", name="genres")
    model = keras.Sequential([keras.Input(shape), standardize, listener, head], name="genre")
    head.set_weights([kernel, bias])
    return model, heard


def fit_head(
    features: FloatArray, dataset: Dataset, segments: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Logistic regression on features, genres weighted alike.

    A song's segments are much alike: together they weigh as the square root of their number.

    Parameters
    ----------
    features : float32 [shape=(n, features)]
    dataset, segments : whose features they are

    Returns
    -------
    kernel, bias : float32 [shape=(features, genres)], [shape=(genres,)]
    """
    owners = dataset.segment_songs[segments]
    weights = 1 / np.sqrt(np.bincount(owners)[owners])
    scaler = StandardScaler().fit(features)
    regression = LogisticRegression(
        C=_INVERSE_REGULARIZATION, class_weight="balanced", max_iter=2_000
    )
    regression.fit(scaler.transform(features), dataset.segment_targets[segments], weights)
    rows, intercept = regression.coef_, regression.intercept_
    if len(rows) == 1:  # of two genres, the sigmoid of one logit is the softmax of its halves
        rows, intercept = np.vstack([-rows, rows]) / 2, np.append(-intercept, intercept) / 2
    kernel = rows.T / scaler.scale_[:, np.newaxis]
    bias = intercept - scaler.mean_ @ kernel
    return kernel.astype(np.float32), bias.astype(np.float32)
