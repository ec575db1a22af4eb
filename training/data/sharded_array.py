"""Read the shards of a data set as one array."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketgenre.features.config import FeatureConfig
from pocketgenre.text import count_of
from pocketgenre.training.data.shard_format import Shard
from pocketgenre.training.errors import DataError


class ShardedFeatures:
    """Array-like view of all segments, float32 [shape=(segments, frames, coefficients)].

    Parameters
    ----------
    folder : folder of the data set
    shards : shards in the order of the songs
    feature_config : parameters of the features
    """

    dtype = np.dtype(np.float32)

    def __init__(
        self, folder: Path, shards: Sequence[Shard], feature_config: FeatureConfig
    ) -> None:
        self._folder = folder
        self._shards = [shard for shard in shards if shard.segments]
        self._segment_shape = feature_config.shape
        self._arrays: dict[int, NDArray[np.float32]] = {}

    @property
    def files(self) -> list[Path]:
        """Feature files of the shards, in order."""
        return [self._folder / shard.file for shard in self._shards]

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Position of each shard's first segment, and of the end, int64 [shape=(shards + 1,)]."""
        counts = [shard.segments for shard in self._shards]
        return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])

    @property
    def shape(self) -> tuple[int, ...]:
        """(segments, frames, coefficients)."""
        return (int(self.starts[-1]), *self._segment_shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, positions: int | slice | NDArray[Any]) -> NDArray[np.float32]:
        if isinstance(positions, slice):
            positions = np.arange(*positions.indices(len(self)))
        index = np.asarray(positions)
        if index.dtype == bool:
            index = np.flatnonzero(index)
        if index.ndim == 0:
            segment: NDArray[np.float32] = self[index[np.newaxis]][0]
            return segment
        index = np.where(index < 0, index + len(self), index)
        if len(index) and not 0 <= index.min() <= index.max() < len(self):
            raise IndexError(f"index out of range for {count_of(len(self), 'segment')}")
        out = np.empty((len(index), *self._segment_shape), np.float32)
        owners = np.searchsorted(self.starts, index, side="right") - 1
        for owner in np.unique(owners):
            rows = owners == owner
            out[rows] = self.shard(int(owner))[index[rows] - self.starts[owner]]
        return out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        del copy  # indexing always copies
        return self[:].astype(dtype or np.float32, copy=False)

    def shard(self, number: int) -> NDArray[np.float32]:
        """Return one shard, memory-mapped.

        Raises
        ------
        DataError
            if the file cannot be read, or does not match the manifest.
        """
        if number not in self._arrays:
            path = self.files[number]
            expected = (self._shards[number].segments, *self._segment_shape)
            try:
                array = np.load(path, mmap_mode="r")
            except (OSError, ValueError) as error:
                raise DataError(
                    f"{path} cannot be read ({error}); prepare the data set again."
                ) from error
            if array.shape != expected or array.dtype != np.float32:
                raise DataError(
                    f"{path} contains {array.dtype} {array.shape}, but the manifest requires"
                    f" float32 {expected}; prepare the data set again."
                )
            self._arrays[number] = array
        return self._arrays[number]
