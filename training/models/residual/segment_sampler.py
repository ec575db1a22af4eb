"""What the residual network learns from: endless batches of changed segments."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pocketgenre.features.config import FeatureConfig
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.mel_spectra import load_spectra
from pocketgenre.training.data.mfcc_songs import MfccSongs
from pocketgenre.training.data.songs import DataError
from pocketgenre.training.data.splits import Split
from pocketgenre.training.models.residual.augmentation import (
    Excerpt,
    augment_mfcc,
    augment_spectra,
    mask_frames,
    mix_up,
)
from pocketgenre.training.models.residual.network import STRIDE, frames_seen

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

_SMOOTHING = 0.05  # of the targets
_CLIP_SEGMENTS = 6  # fewer make a clip, which shows little of a song
_CLIP_WEIGHT = 0.5
_SHARE_OF_MFCC_SONGS = 0.6  # of a batch, where there are such songs
_BATCHES_AHEAD = 8


@dataclass(frozen=True)
class SegmentSampler:
    """Songs to draw segments of, genres alike.

    Attributes
    ----------
    feature_config : what the features are computed with
    genres : how many there are
    stretches : of each song, what may be learned from
    targets, weights : of each song: its genre, and how probable it is to be drawn
    mfcc_frames : float32 [shape=(songs, frames, coefficients)], of songs known by their MFCC
    mfcc_targets, mfcc_weights : of each of those
    mean : float32 [shape=(coefficients,)], of the features
    """

    feature_config: FeatureConfig
    genres: int
    stretches: list[list[Excerpt]]
    targets: IntArray
    weights: NDArray[np.float64]
    mfcc_frames: FloatArray
    mfcc_targets: IntArray
    mfcc_weights: NDArray[np.float64]
    mean: FloatArray

    @classmethod
    def of(cls, dataset: Dataset, split: Split, mean: FloatArray) -> Self:
        """What may be learned from by a split.

        Raises
        ------
        DataError
            the data set has no spectra, or too little of the songs known by their MFCC.
        """
        more, kept = known_by_mfcc(dataset, split)
        spectra = load_spectra(dataset)
        owners = dataset.segment_songs[split.train]
        songs = np.unique(owners)
        first = np.cumsum(dataset.segment_counts) - dataset.segment_counts
        stretches = [
            _stretches(spectra[song], split.train[owners == song] - first[song], dataset, song)
            for song in songs
        ]
        targets = dataset.song_targets[songs]
        whole = dataset.segment_counts[songs] >= _CLIP_SEGMENTS
        weights = _balanced(targets, np.where(whole, 1.0, _CLIP_WEIGHT))
        of_kept = more.targets[kept]
        return cls(
            feature_config=dataset.feature_config,
            genres=len(dataset.labels),
            stretches=stretches,
            targets=targets,
            weights=weights,
            mfcc_frames=more.frames[kept],
            mfcc_targets=of_kept,
            mfcc_weights=_balanced(of_kept, np.ones(len(kept))),
            mean=mean,
        )

    def batches(
        self, size: int, batches_an_epoch: int, seed: tuple[int, ...], first_epoch: int
    ) -> tf.data.Dataset:
        """Endless batches of (features, targets); an epoch depends on seed and number alone.

        Features are float32 [shape=(size, frames_seen, coefficients)], targets shares of the
        genres, float32 [shape=(size, genres)].
        """

        def generate() -> Iterator[tuple[FloatArray, FloatArray]]:
            epoch = first_epoch
            while True:
                rng = np.random.default_rng((*seed, epoch))
                for _ in range(batches_an_epoch):
                    yield self._batch(size, rng)
                epoch += 1

        shape = (size, frames_seen(self.feature_config.n_frames), self.feature_config.n_mfcc)
        spec = (
            tf.TensorSpec(shape, tf.float32),
            tf.TensorSpec((size, self.genres), tf.float32),
        )
        batches = tf.data.Dataset.from_generator(generate, output_signature=spec)
        return batches.prefetch(_BATCHES_AHEAD)

    def _batch(self, size: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        of_mfcc = round(_SHARE_OF_MFCC_SONGS * size) if len(self.mfcc_targets) else 0
        songs = rng.choice(len(self.targets), size - of_mfcc, p=self.weights)
        cuts = [self._cut(song, rng) for song in songs]
        features = augment_spectra(np.stack(cuts), self.feature_config, rng)
        targets = self.targets[songs]
        if of_mfcc:
            others = rng.choice(len(self.mfcc_targets), of_mfcc, p=self.mfcc_weights)
            known = augment_mfcc(self._mfcc_views(others, rng), self.feature_config, rng)
            features = np.concatenate([features, known])
            targets = np.concatenate([targets, self.mfcc_targets[others]])
        mask_frames(features, self.mean, rng)
        smooth = np.eye(self.genres, dtype=np.float32)[targets] * (1 - _SMOOTHING)
        return mix_up(features, smooth + np.float32(_SMOOTHING / self.genres), rng)

    def _cut(self, song: int, rng: np.random.Generator) -> FloatArray:
        stretches = self.stretches[song]
        lengths = np.array([len(stretch.decibels) for stretch in stretches])
        drawn = rng.choice(len(stretches), p=lengths / lengths.sum())
        return stretches[drawn].cut(self.feature_config, rng)

    def _mfcc_views(self, songs: IntArray, rng: np.random.Generator) -> FloatArray:
        """As many successive known frames as a view of a segment has, anywhere in each song."""
        view = frames_seen(self.feature_config.n_frames)
        starts = rng.integers(0, self.mfcc_frames.shape[1] - view + 1, len(songs))
        frames = starts[:, np.newaxis] + np.arange(view)
        views: FloatArray = self.mfcc_frames[songs[:, np.newaxis], frames]
        return views


def known_by_mfcc(dataset: Dataset, split: Split) -> tuple[MfccSongs, IntArray]:
    """The songs known by their MFCC, perhaps none, and which of them may be learned from.

    They count only where they are kin with none of the data set's that is not learned from:
    neither with one that is judged, nor with one that is left out.

    Returns
    -------
    songs, positions
        those beside the data set, and int64 [shape=(n,)] of those that may be learned from.

    Raises
    ------
    DataError
        their file is damaged, or too little of them is known.
    """
    more = MfccSongs.load(dataset.folder)
    view = frames_seen(dataset.feature_config.n_frames)
    if more is None:
        none = np.empty(0, np.int64)
        frames = np.empty((0, view, dataset.feature_config.n_mfcc), np.float32)
        more = MfccSongs(frames, none, none.reshape(0, 2))
    if more.frames.shape[1] < view:
        raise DataError(
            f"The songs known by their MFCC beside {dataset.folder} have {more.frames.shape[1]}"
            f" frames each; a network hears {view}."
        )
    judged = dataset.segment_songs[split.test]
    learned_from = dataset.segment_songs[split.train]
    left_out = np.setdiff1d(np.arange(len(dataset.songs)), learned_from)
    return more, more.unrelated_to(dataset.song_groups[np.union1d(judged, left_out)])


def watched(dataset: Dataset, segments: IntArray) -> tuple[FloatArray, FloatArray]:
    """One view of each segment as it is, and its target, as :meth:`SegmentSampler.batches` has them."""
    features = np.asarray(dataset.features[segments])[:, ::STRIDE]
    return features, np.eye(len(dataset.labels), dtype=np.float32)[
        dataset.segment_targets[segments]
    ]


def _stretches(
    spectrum: NDArray[np.float16], numbers: IntArray, dataset: Dataset, song: np.intp
) -> list[Excerpt]:
    """The frames of a song's segments, those of successive segments together."""
    feature_config = dataset.feature_config
    per_segment = feature_config.segment_samples / feature_config.hop_length
    found = []
    for run in np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1):
        is_end = run[-1] == dataset.segment_counts[song] - 1
        start = int(np.ceil(run[0] * per_segment))
        stop = len(spectrum) if is_end else int((run[-1] + 1) * per_segment) + 1
        found.append(Excerpt(spectrum[start:stop]))
    return found


def _balanced(targets: IntArray, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities in proportion to the weights, their sums alike for all genres."""
    if not len(targets):
        return weights
    totals = np.bincount(targets, weights)
    shares: NDArray[np.float64] = weights / totals[targets] / np.count_nonzero(totals)
    return shares
