"""Measure what a few songs teach: ``python -m benchmarks.own_genres DATASET MODEL [GTZAN]``.

``DATASET`` is a folder of ``prepare-dataset`` with songs of at least two genres, and ``MODEL`` a
model with the same input. With ``GTZAN``, the folder of the songs, YAMNet's 521 scores are compared
with the same regression. Songs of one artist are never in training and test at once.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from benchmarks.yamnet import SAMPLE_RATE, YAMNet
from pocketgenre.audio.decoding import stream_mono
from pocketgenre.learning.regression import Layer, fit_layer
from pocketgenre.learning.teaching import TaughtSongs, fit_taught
from pocketgenre.models.model_card import read_model
from pocketgenre.models.output_layer import find_output_layer
from pocketgenre.models.tflite_model import TFLiteModel
from pocketgenre.training.data.dataset import Dataset, load_dataset

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

COUNTS = (1, 2, 5, 10, 20)
DRAWS = 10
NEW_DRAWS = 2
_SHARPENING = np.float32(1 / 0.6)  # the inverse of a usual temperature
_NEW = "new genre"


@dataclass(frozen=True)
class Songs:
    """Mean features of songs, with genres and artists."""

    means: FloatArray
    targets: IntArray
    groups: IntArray

    def folds(self, seed: int) -> list[tuple[IntArray, IntArray]]:
        """Return five pairs of training and test songs."""
        splitter = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
        return list(splitter.split(self.means, self.targets, self.groups))

    def recall(self, songs: IntArray, predicted: IntArray, genres: Sequence[int]) -> float:
        """Return the mean recall of genres."""
        correct = predicted == self.targets[songs]
        return float(np.mean([correct[self.targets[songs] == genre].mean() for genre in genres]))


def from_nothing(songs: Songs, count: int | None) -> tuple[float, float]:
    """Return mean and deviation of the recall with ``count`` songs a genre, without a prior."""
    genres, recalls = np.unique(songs.targets), []
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        tested, predicted = [], []
        for train, test in songs.folds(seed):
            order = rng.permutation(train)
            drawn = np.concatenate([order[songs.targets[order] == g][:count] for g in genres])
            start = _zeros(songs.means.shape[1], tuple(map(str, genres)))
            layer = fit_layer(songs.means[drawn], songs.targets[drawn], start, has_prior=False)
            tested.append(test)
            predicted.append(layer.logits(songs.means[test]).argmax(axis=1))
        recalls.append(songs.recall(np.concatenate(tested), np.concatenate(predicted), genres))
    return float(np.mean(recalls)), float(np.std(recalls))


def eleventh(songs: Songs, count: int) -> tuple[float, float, float]:
    """Teach one genre to a layer that knows the others; return mean recalls.

    Returns
    -------
    new, old, before
        recall of the new genre, and of the others with and without it; each genre is once the new
        one, and the other songs of the training folds are the untaught ones of the library
    """
    genres, results = np.unique(songs.targets), []
    for seed in range(NEW_DRAWS):
        for train, test in songs.folds(seed)[:2]:
            order = np.random.default_rng(seed).permutation(train)
            for new in genres:
                drawn = order[songs.targets[order] == new][:count]
                results.append(_teach_one(songs, train, test, drawn, int(new)))
    new, old, before = np.mean(results, axis=0)
    return float(new), float(old), float(before)


def _teach_one(
    songs: Songs, train: IntArray, test: IntArray, drawn: IntArray, new: int
) -> tuple[float, float, float]:
    known = [int(genre) for genre in np.unique(songs.targets) if genre != new]
    others = train[songs.targets[train] != new]
    targets = np.searchsorted(known, songs.targets[others])
    start = _zeros(songs.means.shape[1], tuple(map(str, known)))
    fitted = fit_layer(songs.means[others], targets, start, has_prior=False)
    old = Layer(fitted.labels, fitted.kernel * _SHARPENING, fitted.bias * _SHARPENING)
    taught = TaughtSongs(
        [songs.means[i : i + 1] for i in drawn],
        [_NEW] * len(drawn),
        np.arange(len(drawn)),
        songs.means[np.setdiff1d(train, drawn)],
    )
    layer = fit_taught(taught, old, (*old.labels, _NEW))
    columns = np.array([*known, new])
    before = columns[old.logits(songs.means[test]).argmax(axis=1)]
    after = columns[layer.logits(songs.means[test]).argmax(axis=1)]
    tested = [genre for genre in known if (songs.targets[test] == genre).any()]
    return (
        songs.recall(test, after, [new]),
        songs.recall(test, after, tested),
        songs.recall(test, before, tested),
    )


def features_of(dataset: Dataset, model_file: Path) -> Songs:
    """Compute the mean features of a data set's songs."""
    content, card = read_model(model_file)
    layer = find_output_layer(content)
    if layer is None or card.feature_config != dataset.feature_config:
        sys.exit(f"{model_file} has no features of {dataset.folder}.")
    model = TFLiteModel(content, card, with_features=True)
    rows = np.stack([model.features(np.asarray(segment)) for segment in dataset.features])
    owners = dataset.segment_songs
    means = [layer.dequantize(rows[owners == song]).mean(axis=0) for song in np.unique(owners)]
    return Songs(np.stack(means), dataset.song_targets, dataset.song_groups)


def yamnet_scores(dataset: Dataset, gtzan: Path) -> Songs:
    """Compute the logits of YAMNet's 521 scores, and their means over each song."""
    yamnet = YAMNet()
    means = []
    for song in dataset.songs:
        samples = np.concatenate(list(stream_mono(gtzan / song.path, SAMPLE_RATE)))
        scores = yamnet.all_scores(samples).clip(1e-4, 1 - 1e-4)
        means.append(np.log(scores / (1 - scores)).mean(axis=0))
    return Songs(np.stack(means), dataset.song_targets, dataset.song_groups)


def main(arguments: Sequence[str]) -> None:
    """Print tables in Markdown."""
    dataset = load_dataset(Path(arguments[0]))
    ours = features_of(dataset, Path(arguments[1]))
    sets: dict[str, Callable[[], Songs]] = {"features": lambda: ours}
    if len(arguments) > 2:
        sets["YAMNet's scores"] = lambda: yamnet_scores(dataset, Path(arguments[2]))
    for name, compute in sets.items():
        songs = compute()
        for count in (*COUNTS, None):
            mean, deviation = from_nothing(songs, count)
            print(f"| {name} | {count or 'all'} | {mean:.1%} ± {deviation:.1%} |", flush=True)
    for count in COUNTS:
        new, old, before = eleventh(ours, count)
        print(f"| {count} | {new:.1%} | {old:.1%} | {before:.1%} |", flush=True)


def _zeros(width: int, labels: tuple[str, ...]) -> Layer:
    return Layer(
        labels, np.zeros((width, len(labels)), np.float32), np.zeros(len(labels), np.float32)
    )


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1:])
