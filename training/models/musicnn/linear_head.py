"""Train a linear genre classifier on the features of musicnn's network.

musicnn's own weights are frozen: cross-validation shows that 422 songs are too few to improve
weights that were trained on 200,000 songs. The head is a logistic regression, stored as the last
layer.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.metrics import log_loss

from pocketgenre.training.data.batches import evaluation_batches
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.not_music import not_music_segments, recording_weights
from pocketgenre.training.models.augmentation import augment_features
from pocketgenre.training.models.musicnn.genre_regression import OtherSegments, fit_regression
from pocketgenre.training.models.musicnn.published_weights import Checkpoint
from pocketgenre.training.models.musicnn.tower import Tower, build_tower
from pocketgenre.training.models.networks import STANDARDIZE
from pocketgenre.training.models.trainers import TrainingContext
from pocketgenre.training.runs import History

FloatArray = NDArray[np.float32]

_FEATURE_EXTRACTOR = "musicnn"  # name of the layer
_BLOCK, _BATCH = 512, 32  # segments changed at a time, segments in a batch of the network
_PATCHES = 200  # segments from which the ranges of the channels are measured


def fit_musicnn(context: TrainingContext) -> tuple[keras.Model, History]:
    """Train the classifier; the history has one entry, since there are no epochs.

    Raises
    ------
    DataError
        if the package musicnn is missing.
    """
    config, dataset, split = context.config, context.dataset, context.split
    frozen = extract_features(dataset, context.not_music, Path(config.pretrained), config.seed)
    features, targets = frozen.features[split.train], dataset.segment_targets[split.train]
    if config.augmentation.is_on:
        features = np.concatenate([features, _changed_features(context, frozen)])
        targets = np.concatenate([targets, targets])
    kernel, bias = fit_regression(features, targets, frozen.others)
    history: History = {}
    for prefix, segments in (("", split.train), ("val_", split.validation)):
        if len(segments):
            probabilities = softmax(frozen.features[segments] @ kernel + bias, axis=1)
            expected = dataset.segment_targets[segments]
            labels = np.arange(len(dataset.labels))
            history[f"{prefix}loss"] = [float(log_loss(expected, probabilities, labels=labels))]
            correct = probabilities.argmax(axis=1) == expected
            history[f"{prefix}accuracy"] = [float(correct.mean())]
    context.on_epoch(history)
    return frozen.with_head(kernel, bias), history


def _changed_features(context: TrainingContext, frozen: "FrozenFeatures") -> FloatArray:
    """Compute the features of one changed copy of each training segment."""
    config, dataset = context.config, context.dataset
    front = keras.Sequential(
        [keras.Input(dataset.feature_config.shape), frozen.standardize, frozen.tower.network]
    )
    fill = frozen.standardize.mean.numpy().ravel()
    rows = []
    for number, start in enumerate(range(0, len(context.split.train), _BLOCK)):
        block = np.asarray(dataset.features[context.split.train[start : start + _BLOCK]])
        rng = np.random.default_rng((config.seed, number))
        changed = augment_features(block, fill, dataset.feature_config, config.augmentation, rng)
        rows.append(front.predict(changed, batch_size=_BATCH, verbose=0) @ frozen.tower.basis)
    return np.concatenate(rows)


@dataclass(frozen=True, eq=False)
class FrozenFeatures:
    """Frozen part of the network, and its features for all segments.

    The regression's features are the network's in another basis, the means of the stages. There,
    the same regularisation makes more of the songs correct (docs/results/accuracy.md).

    Attributes
    ----------
    standardize : first layer
    tower : network from standardised bands to features
    features : features of the data set's segments, float32 [shape=(segments, features)]
    others : features of the segments without a genre; None without the label ``not-music``
    """

    standardize: keras.Layer
    tower: Tower
    features: FloatArray
    others: OtherSegments | None

    def with_head(self, kernel: FloatArray, bias: FloatArray) -> keras.Model:
        """Return the whole network, which ends in a linear layer with a softmax.

        Parameters
        ----------
        kernel : float32 [shape=(features, labels)]
        bias : float32 [shape=(labels,)]
        """
        head = layers.Dense(len(bias), activation="softmax", name="genres")
        network = self.tower.network
        inputs = keras.Input(network.input_shape[1:])
        model = keras.Sequential([inputs, self.standardize, network, head], name="genre")
        head.set_weights([self.tower.basis @ kernel, bias])
        return model


@lru_cache(maxsize=1)  # the networks of all folds have the same features
def extract_features(
    dataset: Dataset, not_music: Dataset | None, package: Path, seed: int
) -> FrozenFeatures:
    """Build the network of musicnn and compute the features of all segments.

    The ranges of the channels, which only scale the values for int8, are measured on segments of
    all songs. Genres are not used.

    Parameters
    ----------
    dataset : data set with log-mel features
    not_music : data set with which the label ``not-music`` is trained; None without this label
    package : folder of the unpacked package musicnn
    seed : seed that draws the segments from which the channels' ranges are measured

    Raises
    ------
    DataError
        if the package is missing.
    """
    every = np.arange(len(dataset.segment_songs))
    drawn = np.random.default_rng(seed).choice(every, min(_PATCHES, len(every)), replace=False)
    patches = np.asarray(dataset.features[np.sort(drawn)])
    mean, deviation = float(patches.mean()), float(patches.std())
    shape = dataset.feature_config.shape
    bands = np.ones(shape[1], np.float32)
    standardize = layers.Normalization(
        mean=mean * bands, variance=deviation**2 * bands, name=STANDARDIZE
    )
    checkpoint = Checkpoint.load(package)
    tower = build_tower(checkpoint, patches, mean, deviation, _FEATURE_EXTRACTOR)
    tower.network.trainable = False
    front = keras.Sequential([keras.Input(shape), standardize, tower.network])

    def features_of(data: Dataset) -> FloatArray:
        segments = np.arange(len(data.segment_songs))
        features: FloatArray = front.predict(evaluation_batches(data, segments), verbose=0)
        return features @ tower.basis

    others = None
    if not_music is not None:
        others = OtherSegments(
            features=features_of(not_music),
            is_music=~not_music_segments(not_music),
            weights=recording_weights(not_music),
        )
    return FrozenFeatures(standardize, tower, features_of(dataset), others)
