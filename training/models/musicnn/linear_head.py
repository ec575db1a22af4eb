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
from sklearn.metrics import log_loss

from pocketgenre.training.data.batches import evaluation_batches
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.not_music import not_music_segments, recording_weights
from pocketgenre.training.models.keras_trainer import predict
from pocketgenre.training.models.musicnn.genre_regression import OtherSegments, fit_regression
from pocketgenre.training.models.musicnn.published_weights import TOWERS, Checkpoint
from pocketgenre.training.models.musicnn.tower import build_tower
from pocketgenre.training.models.networks import STANDARDIZE
from pocketgenre.training.models.trainers import TrainingContext
from pocketgenre.training.runs import History

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

_FEATURE_EXTRACTOR = "musicnn"  # name of the layer
_PATCHES = 200  # segments from which the ranges of the channels are measured


def fit_musicnn(context: TrainingContext) -> tuple[keras.Model, History]:
    """Train the classifier; the history has one entry, since there are no epochs."""
    config, dataset, split = context.config, context.dataset, context.split
    model, features = build_classifier(
        dataset, split.train, Path(config.pretrained), config.seed, context.not_music
    )
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
    dataset: Dataset,
    segments: IntArray,
    package: Path,
    seed: int,
    not_music: Dataset | None = None,
) -> tuple[keras.Model, FloatArray]:
    """Build the network from log-mel bands to labels and fit its head.

    Parameters
    ----------
    dataset : data set with log-mel features
    segments : positions of the training segments, int64 [shape=(n,)]
    package : folder of the unpacked package musicnn
    seed : seed that draws the segments from which the channels' ranges are measured
    not_music : data set that the label ``not-music`` is trained with; None without this label

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
    front = keras.Sequential([keras.Input(shape), standardize, extractor])
    features = front.predict(evaluation_batches(dataset, segments), verbose=0)
    others = None
    if not_music is not None:
        every = np.arange(len(not_music.segment_songs))
        others = OtherSegments(
            features=front.predict(evaluation_batches(not_music, every), verbose=0),
            is_music=~not_music_segments(not_music),
            weights=recording_weights(not_music),
        )
    kernel, bias = fit_regression(features, dataset.segment_targets[segments], others)
    head = layers.Dense(len(dataset.labels), activation="softmax", name="genres")
    model = keras.Sequential([keras.Input(shape), standardize, extractor, head], name="genre")
    head.set_weights([kernel, bias])
    return model, features
