"""Sample augmented training batches for the residual network."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pocketgenre.features.config import FeatureConfig
from pocketgenre.training.augmentation import Augmentation
from pocketgenre.training.data.dataset import Dataset
from pocketgenre.training.data.labelled_songs import MUSIC
from pocketgenre.training.data.mel_spectra import load_spectra
from pocketgenre.training.data.mfcc_songs import MfccSongs
from pocketgenre.training.data.not_music import recording_weights
from pocketgenre.training.data.splits import Split
from pocketgenre.training.errors import DataError
from pocketgenre.training.models.augmentation import (
    augment_mfcc,
    augment_spectra,
    mask_coefficients,
    mask_frames,
    mix_up,
)
from pocketgenre.training.models.residual.excerpts import Excerpt
from pocketgenre.training.models.residual.network import STRIDE, frames_per_view
from pocketgenre.training.models.residual.recording_pools import MfccPool, RecordingPool

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

_LABEL_SMOOTHING = 0.05
_FULL_WEIGHT_SEGMENTS = 6  # songs with fewer segments are clips, which cover little of a song
_CLIP_WEIGHT = 0.5
_SHARE_OF_MFCC_SONGS = 0.6  # share of the songs with a genre, if the data set has such songs
_MUSIC_WEIGHT = 0.5  # probability of music of unknown genre, relative to that of a genre
_BATCHES_AHEAD = 8


@dataclass(frozen=True)
class SegmentSampler:
    """Draw segments of songs, each label with the same probability.

    The target of music of unknown genre is an equal share of each genre, so that the network
    predicts neither ``not-music`` nor one genre with a high probability for such music.

    Attributes
    ----------
    feature_config : feature parameters
    recordings : recordings given by their spectra: the songs of the data set, and recordings
        without a genre
    mfcc_songs : additional songs given by their MFCC; None without any
    mfcc_share : share of the additional songs in a batch
    mean : mean of the training features, float32 [shape=(coefficients,)]
    augmentation : changes of the segments
    """

    feature_config: FeatureConfig
    recordings: RecordingPool
    mfcc_songs: MfccPool | None
    mfcc_share: float
    mean: FloatArray
    augmentation: Augmentation

    @classmethod
    def from_split(
        cls,
        dataset: Dataset,
        split: Split,
        mean: FloatArray,
        augmentation: Augmentation,
        not_music: Dataset | None = None,
    ) -> Self:
        """Sample from the training part of a split.

        Parameters
        ----------
        dataset : data set of songs with genres
        split : split of the data set
        mean : mean of the training features, float32 [shape=(coefficients,)]
        augmentation : changes of the segments
        not_music : data set with which the label ``not-music`` is trained; None without this label

        Raises
        ------
        DataError
            if the data set has no spectra, or the additional songs have too few frames.
        """
        more_songs, usable = usable_mfcc_songs(dataset, split)
        targets = np.eye(len(dataset.labels), dtype=np.float32)
        songs = _songs_of_split(dataset, split)
        genre_share, mfcc_songs = 1.0, None
        if not_music is not None:
            genres = len(dataset.labels) - 1
            genre_share = genres / (genres + 1 + _MUSIC_WEIGHT)
        mfcc_share = 0.0
        if len(usable):
            mfcc_share = _SHARE_OF_MFCC_SONGS * genre_share
            mfcc_songs = MfccPool(
                frames=more_songs.frames[usable],
                targets=targets[more_songs.targets[usable]],
                weights=_balanced(more_songs.targets[usable], np.ones(len(usable))),
            )
        if not_music is not None:
            share = (1 - genre_share) / (1 - mfcc_share)
            songs = songs.joined(_without_genre(not_music, len(dataset.labels)), share)
        return cls(dataset.feature_config, songs, mfcc_songs, mfcc_share, mean, augmentation)

    def batches(
        self, size: int, batches_per_epoch: int, seed: tuple[int, ...], first_epoch: int
    ) -> tf.data.Dataset:
        """Return endless batches of (features, targets).

        An epoch depends only on the seed and its number, so that resumed training
        continues with the same batches.

        Parameters
        ----------
        size : segments in a batch
        batches_per_epoch : number of batches in an epoch
        seed : seed of all epochs
        first_epoch : number of the first epoch

        Returns
        -------
        tf.data.Dataset
            features, float32 [shape=(size, frames_per_view, coefficients)], and the share of each
            label, float32 [shape=(size, labels)]
        """

        def generate() -> Iterator[tuple[FloatArray, FloatArray]]:
            epoch = first_epoch
            while True:
                rng = np.random.default_rng((*seed, epoch))
                for _ in range(batches_per_epoch):
                    yield self._batch(size, rng)
                epoch += 1

        frames = frames_per_view(self.feature_config.n_frames)
        shape = (size, frames, self.feature_config.n_mfcc)
        spec = (
            tf.TensorSpec(shape, tf.float32),
            tf.TensorSpec((size, self.recordings.targets.shape[1]), tf.float32),
        )
        batches = tf.data.Dataset.from_generator(generate, output_signature=spec)
        return batches.prefetch(_BATCHES_AHEAD)

    def _batch(self, size: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        from_mfcc = round(self.mfcc_share * size)
        config, augmentation = self.feature_config, self.augmentation
        views, targets = self.recordings.sample(size - from_mfcc, config, augmentation.speed, rng)
        features = augment_spectra(views, config, augmentation, rng)
        if self.mfcc_songs and from_mfcc:
            more, more_targets = self.mfcc_songs.sample(from_mfcc, config, rng)
            more = augment_mfcc(more, config, augmentation, rng)
            features = np.concatenate([features, more])
            targets = np.concatenate([targets, more_targets])
        mask_frames(features, self.mean, augmentation.time_mask, rng)
        if augmentation.coefficient_mask:
            mask_coefficients(features, self.mean, augmentation.coefficient_mask, rng)
        smooth = np.float32(_LABEL_SMOOTHING / targets.shape[1])
        targets = targets * np.float32(1 - _LABEL_SMOOTHING) + smooth
        return mix_up(features, targets, augmentation.mixup, rng)


def usable_mfcc_songs(dataset: Dataset, split: Split) -> tuple[MfccSongs, IntArray]:
    """Return a data set's additional MFCC songs and the positions of those usable for training.

    A song is not usable if it is related to a song of the data set that is held out for the test
    or left out.

    Returns
    -------
    songs, positions
        all additional songs of the data set, which may be none, and the positions of the usable
        ones, int64 [shape=(n,)].

    Raises
    ------
    DataError
        if the file of the additional songs is damaged, or they have too few frames.
    """
    more_songs = MfccSongs.load(dataset.folder)
    view = frames_per_view(dataset.feature_config.n_frames)
    if more_songs is None:
        empty = np.empty(0, np.int64)
        frames = np.empty((0, view, dataset.feature_config.n_mfcc), np.float32)
        more_songs = MfccSongs(frames, empty, empty.reshape(0, 2))
    if more_songs.frames.shape[1] < view:
        raise DataError(
            f"The additional MFCC songs of {dataset.folder} have {more_songs.frames.shape[1]}"
            f" frames each; the network needs {view}."
        )
    test_songs = dataset.segment_songs[split.test]
    train_songs = dataset.segment_songs[split.train]
    not_trained_on = np.setdiff1d(np.arange(len(dataset.songs)), train_songs)
    excluded = dataset.song_groups[np.union1d(test_songs, not_trained_on)]
    return more_songs, more_songs.unrelated_to(excluded)


def validation_views(dataset: Dataset, segments: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return the first view of each segment without augmentation, and its target.

    Shapes and types are those of :meth:`SegmentSampler.batches`.
    """
    features = np.asarray(dataset.features[segments])[:, ::STRIDE]
    return features, np.eye(len(dataset.labels), dtype=np.float32)[
        dataset.segment_targets[segments]
    ]


def _songs_of_split(dataset: Dataset, split: Split) -> RecordingPool:
    """Return the training excerpts of the songs, clips with less weight than full songs."""
    spectra = load_spectra(dataset)
    segment_songs = dataset.segment_songs[split.train]
    songs = np.unique(segment_songs)
    first = np.cumsum(dataset.segment_counts) - dataset.segment_counts
    excerpts = [
        _excerpts(spectra[song], split.train[segment_songs == song] - first[song], dataset, song)
        for song in songs
    ]
    targets = dataset.song_targets[songs]
    has_full_weight = dataset.segment_counts[songs] >= _FULL_WEIGHT_SEGMENTS
    return RecordingPool(
        excerpts,
        np.eye(len(dataset.labels), dtype=np.float32)[targets],
        _balanced(targets, np.where(has_full_weight, 1.0, _CLIP_WEIGHT)),
    )


def _without_genre(not_music: Dataset, labels: int) -> RecordingPool:
    """Return the recordings without a genre; ``not-music`` is the last of ``labels`` labels."""
    is_music = not_music.song_targets == not_music.labels.index(MUSIC)
    targets = np.zeros((len(is_music), labels), np.float32)
    targets[is_music, :-1] = 1 / (labels - 1)
    targets[~is_music, -1] = 1
    by_recording = np.bincount(not_music.segment_songs, recording_weights(not_music))
    weights = _balanced(is_music.astype(np.int64), by_recording.astype(np.float64))
    weights *= np.where(is_music, _MUSIC_WEIGHT, 1.0)
    excerpts = [[Excerpt(spectrum)] for spectrum in load_spectra(not_music)]
    return RecordingPool(excerpts, targets, weights / weights.sum())


def _excerpts(
    spectrum: NDArray[np.float16], numbers: IntArray, dataset: Dataset, song: np.intp
) -> list[Excerpt]:
    """Cut the frames of a song's segments, successive segments together.

    Parameters
    ----------
    spectrum : mel spectrum of the song, float16 [shape=(frames, mel bands)]
    numbers : numbers of the segments within the song, int64 [shape=(n,)]
    dataset : data set of the song
    song : position of the song in the data set
    """
    feature_config = dataset.feature_config
    per_segment = feature_config.segment_samples / feature_config.hop_length
    excerpts = []
    for run in np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1):
        is_end = run[-1] == dataset.segment_counts[song] - 1
        start = int(np.ceil(run[0] * per_segment))
        stop = len(spectrum) if is_end else int((run[-1] + 1) * per_segment) + 1
        excerpts.append(Excerpt(spectrum[start:stop]))
    return excerpts


def _balanced(targets: IntArray, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normalise weights to probabilities with the same sum for each target."""
    if not len(targets):
        return weights
    totals = np.bincount(targets, weights)
    shares: NDArray[np.float64] = weights / totals[targets] / np.count_nonzero(totals)
    return shares
