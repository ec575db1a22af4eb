"""Find one recording in several files: in another encoding, at another offset or volume.

::

    DATASET/
        near_duplicates.csv     one row for each pair: song, other, difference

The fingerprint is that of Haitsma and Kalker ("A Highly Robust Audio Fingerprinting System", 2002),
computed from the features of the data set: for each frame and cepstral coefficient, one bit says
whether the coefficient rises. Volume and equalisation shift coefficients, but not their changes.
Only frames with a large change are looked up, so that the time grows with the number of songs, not
with that of their pairs.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.ndimage import maximum_filter1d

from pocketgenre.features.config import FeatureConfig
from pocketgenre.training.data.storage import Store
from pocketgenre.training.errors import DataError

NEAR_DUPLICATES_FILE = "near_duplicates.csv"

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

MAX_SONGS = 10_000
"""Number of songs above which near duplicates are not searched."""

MAX_DIFFERENCE = 0.16
"""Largest share of different bits in two stretches of one recording."""

COEFFICIENTS = 12
"""Number of cepstral coefficients of a fingerprint, from c1 on."""

FRAME_SECONDS = 0.025
"""Distance of two frames of a fingerprint."""

# In frames of a fingerprint:
_RISE = 8  # length of each of the two stretches whose means a bit compares
_SECOND_WORD = 16  # from a landmark to the second word of its hash
_NEIGHBOURHOOD = 5  # in which a landmark has the largest change
_WINDOW = 60  # length of the stretches of two songs that are compared
_MIN_COMMON = 40  # frames of the stretch in which both songs change

_MIN_CHANGE = 0.01  # relative to the coefficients; smaller changes are silence or rounding
_UNCERTAIN_BITS = 3  # of a hash, which are looked up both ways
_MAX_BUCKET = 256  # landmarks with one hash; those of more are typical of all music
_EDGE = 2  # frames at both ends of a segment that its padding distorts
_MAX_SEGMENTS = 200  # of a song
_CHUNK = 20_000  # pairs of landmarks compared at a time


@dataclass(frozen=True)
class NearDuplicate:
    """Two songs that contain a stretch of one recording.

    Attributes
    ----------
    song, other : names of the songs
    difference : smallest share of different bits in a stretch of 1.5 s, in [0, 1]
    """

    song: str
    other: str
    difference: float


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """Changes of a song's cepstral coefficients, at :data:`FRAME_SECONDS`.

    Attributes
    ----------
    words : uint16 [shape=(frames,)], a bit for each coefficient that rises, and the highest bit
        where anything changes
    landmarks : int32 [shape=(n,)], frames with the largest change in their neighbourhood
    hashes : uint32 [shape=(n,)], bits at each landmark and a while later
    uncertain : uint8 [shape=(n, 3)], numbers of the bits of each hash that are the least certain
    """

    words: NDArray[np.uint16]
    landmarks: NDArray[np.int32]
    hashes: NDArray[np.uint32]
    uncertain: NDArray[np.uint8]


def fingerprint(features: FloatArray, config: FeatureConfig) -> Fingerprint:
    """Compute the fingerprint of a song; a song of less than a second has no landmarks.

    Parameters
    ----------
    features : float32 [shape=(segments, frames, coefficients)]
    config : parameters of the features
    """
    coefficients = _timeline(_cepstrum(features[:_MAX_SEGMENTS], config), config)
    sums = np.cumsum(np.vstack([np.zeros_like(coefficients[:1]), coefficients]), axis=0)
    means = (sums[_RISE:] - sums[:-_RISE]) / _RISE
    change = means[_RISE:] - means[:-_RISE]
    size, level = np.linalg.norm(change, axis=1), np.linalg.norm(means, axis=1)
    is_valid = size > _MIN_CHANGE * np.maximum(level[_RISE:], level[:-_RISE])
    is_landmark = is_valid & (size == maximum_filter1d(size, _NEIGHBOURHOOD, mode="nearest"))
    landmarks = np.flatnonzero(is_landmark[: max(0, len(size) - _SECOND_WORD)]).astype(np.int32)
    words = (_bits(change) | _VALID * is_valid).astype(np.uint16)
    changes = np.hstack([change[landmarks], change[landmarks + _SECOND_WORD]])
    spread = np.abs(change).mean(axis=0) + np.finfo(np.float32).tiny
    certainty = np.abs(changes) / np.hstack([spread, spread])
    uncertain = np.argsort(certainty, axis=1)[:, :_UNCERTAIN_BITS].astype(np.uint8)
    return Fingerprint(words, landmarks, _bits(changes).astype(np.uint32), uncertain)


def has_fingerprints(config: FeatureConfig) -> bool:
    """Check whether features have enough coefficients for a fingerprint."""
    return config.n_coefficients > COEFFICIENTS


def find_near_duplicates(fingerprints: Mapping[str, Fingerprint]) -> list[NearDuplicate]:
    """Return the pairs of songs that contain a stretch of one recording, sorted by name.

    Parameters
    ----------
    fingerprints : fingerprint of each song, of one feature configuration
    """
    names = list(fingerprints)
    closest = closest_stretches(list(fingerprints.values()))
    pairs = []
    for positions, difference in closest.items():
        if difference <= MAX_DIFFERENCE:
            one, other = sorted(names[position] for position in positions)
            pairs.append(NearDuplicate(one, other, difference))
    return sorted(pairs, key=lambda pair: (pair.song, pair.other))


def closest_stretches(fingerprints: Sequence[Fingerprint]) -> dict[tuple[int, int], float]:
    """Return the smallest difference of two songs around their landmarks with a common hash.

    Returns
    -------
    dict
        smallest share of different bits, by the positions of the two songs, the lower first; pairs
        without a common hash are missing
    """
    index = _Index.of(fingerprints)
    closest: dict[tuple[int, int], float] = {}
    for song, of_song in enumerate(fingerprints):
        landmarks, found = index.find(song, of_song)
        songs, differences = index.songs[found], index.compare(song, landmarks, found)
        lowest = np.full(len(fingerprints), 1.0)
        np.minimum.at(lowest, songs, differences)
        for other in np.unique(songs).tolist():
            pair = (min(song, other), max(song, other))
            closest[pair] = min(float(lowest[other]), closest.get(pair, 1.0))
    return closest


@dataclass(frozen=True, eq=False)
class _Index:
    """All landmarks by their hashes, and the words of all songs in one sequence.

    Attributes
    ----------
    hashes : uint32 [shape=(landmarks,)], ascending
    songs, frames : int32, int64 [shape=(landmarks,)], song and position in the sequence
    starts : int64 [shape=(songs,)], position of each song in the sequence
    words : the sequence, uint16, with invalid frames between the songs
    """

    hashes: NDArray[np.uint32]
    songs: NDArray[np.int32]
    frames: IntArray
    starts: IntArray
    words: NDArray[np.uint16]

    @classmethod
    def of(cls, fingerprints: Sequence[Fingerprint]) -> "_Index":
        gap = np.zeros(_WINDOW, np.uint16)
        lengths = [len(one.words) + _WINDOW for one in fingerprints]
        starts = np.cumsum([_WINDOW, *lengths[:-1]])
        words = np.concatenate([gap, *(part for one in fingerprints for part in (one.words, gap))])
        hashes = np.concatenate([one.hashes for one in fingerprints])
        frames = np.concatenate(
            [start + one.landmarks for start, one in zip(starts, fingerprints, strict=True)]
        )
        counts = [len(one.landmarks) for one in fingerprints]
        songs = np.repeat(np.arange(len(fingerprints), dtype=np.int32), counts)
        order = np.argsort(hashes, kind="stable")
        return cls(hashes[order], songs[order], frames[order], starts, words)

    def find(self, song: int, of_song: Fingerprint) -> tuple[IntArray, IntArray]:
        """Look up a song's hashes, each with its uncertain bits both ways.

        Returns
        -------
        landmarks, found : int64 [shape=(n,)]
            frames of the song, and positions in the index of equal hashes of other songs
        """
        variants = [of_song.hashes]
        for column in of_song.uncertain.T:
            variants += [hashes ^ (np.uint32(1) << column) for hashes in variants]
        looked_up = np.concatenate(variants)
        first = np.searchsorted(self.hashes, looked_up, side="left")
        counts = np.searchsorted(self.hashes, looked_up, side="right") - first
        counts[counts > _MAX_BUCKET] = 0
        before = np.cumsum(counts) - counts
        found = np.arange(counts.sum()) + np.repeat(first - before, counts)
        landmarks = np.repeat(np.tile(of_song.landmarks.astype(np.int64), len(variants)), counts)
        is_other = self.songs[found] != song
        return landmarks[is_other], found[is_other]

    def compare(self, song: int, landmarks: IntArray, found: IntArray) -> NDArray[np.float64]:
        """Return the share of different bits around landmarks of a song and of the index."""
        around = np.arange(-(_WINDOW // 2), _WINDOW // 2)
        shares = np.ones(len(found))
        for start in range(0, len(found), _CHUNK):
            part = slice(start, start + _CHUNK)
            one = self.words[(self.starts[song] + landmarks[part])[:, np.newaxis] + around]
            other = self.words[self.frames[found[part]][:, np.newaxis] + around]
            is_common = (one & other) >= _VALID
            different = (_BIT_COUNTS[(one ^ other) % _VALID] * is_common).sum(axis=1)
            frames = is_common.sum(axis=1)
            has_enough = frames >= _MIN_COMMON
            shares[part][has_enough] = (different / (COEFFICIENTS * frames))[has_enough]
        return shares


def write_near_duplicates(pairs: Sequence[NearDuplicate], store: Store) -> None:
    """Write the pairs to a data set; without pairs, remove the file.

    Raises
    ------
    OSError
        if the file cannot be written.
    """
    if not pairs:
        store.remove([NEAR_DUPLICATES_FILE])
        return
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows((pair.song, pair.other, f"{pair.difference:.3f}") for pair in pairs)
    with store.create(NEAR_DUPLICATES_FILE) as file:
        file.write(text.getvalue().encode("utf-8", "surrogateescape"))


def read_near_duplicates(folder: Path) -> list[NearDuplicate]:
    """Read the pairs of a data set; a data set without the file has none.

    Raises
    ------
    DataError
        if the file is damaged.
    """
    path = folder / NEAR_DUPLICATES_FILE
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return [
                NearDuplicate(row["song"], row["other"], float(row["difference"]))
                for row in csv.DictReader(file)
            ]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise DataError(f"{path} is damaged: {error}; prepare the data set again.") from error


def _cepstrum(features: FloatArray, config: FeatureConfig) -> FloatArray:
    """Return cepstral coefficients without the first, which is the volume."""
    coefficients = features if config.kind == "mfcc" else dct(features, axis=-1, norm="ortho")
    kept: FloatArray = coefficients[..., 1 : 1 + COEFFICIENTS]
    return kept


def _timeline(segments: FloatArray, config: FeatureConfig) -> FloatArray:
    """Interpolate the frames of successive segments at :data:`FRAME_SECONDS`."""
    frames = np.arange(config.n_frames)
    if len(frames) > 4 * _EDGE:
        frames = frames[_EDGE:-_EDGE]
    starts = np.arange(len(segments))[:, np.newaxis] * config.segment_samples
    seconds = ((starts + frames * config.hop_length) / config.sample_rate).ravel()
    order = np.argsort(seconds, kind="stable")  # a last frame may be after the next segment's first
    grid = np.arange(seconds.min(), seconds.max(), FRAME_SECONDS)
    rows = segments[:, frames].reshape(len(seconds), -1)[order]
    columns = [np.interp(grid, seconds[order], column) for column in rows.T]
    return np.stack(columns, axis=1)


def _bits(changes: NDArray[np.floating]) -> IntArray:
    """Return a number for each row, with a bit for each value that rises."""
    bits: IntArray = ((changes > 0) << np.arange(changes.shape[1])).sum(axis=1)
    return bits


_VALID = 1 << 15
"""Bit of a word that is set where anything changes."""

_COLUMNS = ["song", "other", "difference"]

_BIT_COUNTS = np.array([number.bit_count() for number in range(1 << COEFFICIENTS)], np.uint8)
