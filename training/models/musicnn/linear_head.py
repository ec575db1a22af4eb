"""Train a linear genre classifier on the features of both musicnn networks.

musicnn's own weights are frozen: cross-validation shows that 422 songs are too few to improve
weights that were trained on 200,000 songs. The head is a logistic regression, stored as the last
layer.
"""

from pathlib import Path

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from pocketgenre.training.data.batches import evaluation_batches
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.models.keras_trainer import predict
from pocketgenre.training.models.musicnn.published_weights import TOWERS, Checkpoint
from pocketgenre.training.models.musicnn.tower import build_tower
from pocketgenre.training.models.networks import STANDARDIZE
from pocketgenre.training.models.trainers import TrainingContext
from pocketgenre.training.runs import History

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

_FEATURE_EXTRACTOR = "musicnn"  # name of the layer
_PATCHES = 200  # segments from which the ranges of the channels are measured
_INVERSE_REGULARIZATION = 1e-3


def fit_musicnn(context: TrainingContext) -> tuple[keras.Model, History]:
    """Train the classifier; the history has one entry, since there are no epochs."""
    config, dataset, split = context.config, context.dataset, context.split
    model, features = build_classifier(dataset, split.train, Path(config.pretrained), config.seed)
    predictions = {"": (split.train, np.asarray(model.layers[-1](features)))}
    if len(split.validation):
        predictions["val_"] = (split.validation, predict(model, dataset, split.validation))
    history: History = {}
    for prefix, (segments, probabilities) in predictions.items():
        targets = dataset.segment_targets[segments]
        genres = np.arange(len(dataset.labels))
        history[f"{prefix}loss"] = [float(log_loss(targets, probabilities, labels=genres))]
        correct = probabilities.argmax(axis=1) == targets
        history[f"{prefix}accuracy"] = [float(correct.mean())]
    context.on_epoch(history)
    return model, history


def build_classifier(
    dataset: Dataset, segments: IntArray, package: Path, seed: int
) -> tuple[keras.Model, FloatArray]:
    """Build the network from log-mel bands to genres and fit its head.

    Parameters
    ----------
    dataset : data set with log-mel features
    segments : positions of the training segments, int64 [shape=(n,)]
    package : folder of the unpacked package musicnn
    seed : seed that draws the segments from which the channels' ranges are measured

    Returns
    -------
    model, features
        network, and the input of its last layer for the training segments, float32
        [shape=(n, features)], since computing it again would double the time.

    Raises
    ------
    DataError
        if the package is missing.
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
    outputs = layers.Concatenate()([tower(inputs) for tower in towers])
    extractor = keras.Model(inputs, outputs, name=_FEATURE_EXTRACTOR)
    extractor.trainable = False
    features = keras.Sequential([keras.Input(shape), standardize, extractor]).predict(
        evaluation_batches(dataset, segments), verbose=0
    )
    kernel, bias = fit_head(features, dataset, segments)
    head = layers.Dense(len(dataset.labels), activation="softmax", name="genres")
    model = keras.Sequential([keras.Input(shape), standardize, extractor, head], name="genre")
    head.set_weights([kernel, bias])
    return model, features


def fit_head(
    features: FloatArray, dataset: Dataset, segments: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Fit a logistic regression to features, with equal weight for each genre.

    A song's segments are similar, so their total weight is the square root of their number.

    Parameters
    ----------
    features : features of the segments, float32 [shape=(n, features)]
    dataset : data set of the segments
    segments : positions in the data set, int64 [shape=(n,)]

    Returns
    -------
    kernel, bias : float32 [shape=(features, genres)], [shape=(genres,)]
    """
    songs = dataset.segment_songs[segments]
    weights = 1 / np.sqrt(np.bincount(songs)[songs])
    scaler = StandardScaler().fit(features)
    regression = LogisticRegression(
        C=_INVERSE_REGULARIZATION, class_weight="balanced", max_iter=2_000
    )
    regression.fit(scaler.transform(features), dataset.segment_targets[segments], weights)
    rows, intercept = regression.coef_, regression.intercept_
    if len(rows) == 1:  # two genres: the sigmoid of a logit is the softmax of plus and minus half
        rows, intercept = np.vstack([-rows, rows]) / 2, np.append(-intercept, intercept) / 2
    kernel = rows.T / scaler.scale_[:, np.newaxis]
    bias = intercept - scaler.mean_ @ kernel
    return kernel.astype(np.float32), bias.astype(np.float32)
