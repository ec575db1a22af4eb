"""The shards of a data set as one array."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketgenre.features.config import FeatureConfig
from pocketgenre.training.data.shard_format import Shard
from pocketgenre.training.data.songs import DataError


class ShardedFeatures:
    """Segments by their position, as of one array, read from the shards that they are in.

    Parameters
    ----------
    folder : of the data set
    shards : in the order of the songs
    feature_config : of the features
    """

    dtype = np.dtype(np.float32)

    def __init__(
        self, folder: Path, shards: Sequence[Shard], feature_config: FeatureConfig
    ) -> None:
        self._folder = folder
        self._shards = [shard for shard in shards if shard.segments]
        self._inner = feature_config.shape
        self._maps: dict[int, NDArray[np.float32]] = {}

    @property
    def files(self) -> list[Path]:
        """Of the shards, in order."""
        return [self._folder / shard.file for shard in self._shards]

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Position of each shard's first segment, and of the end, int64 [shape=(shards + 1,)]."""
        counts = [shard.segments for shard in self._shards]
        return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])

    @property
    def shape(self) -> tuple[int, ...]:
        """(segments, frames, coefficients)."""
        return (int(self.starts[-1]), *self._inner)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, positions: int | slice | NDArray[Any]) -> NDArray[np.float32]:
        if isinstance(positions, slice):
            positions = np.arange(*positions.indices(len(self)))
        wanted = np.asarray(positions)
        if wanted.dtype == bool:
            wanted = np.flatnonzero(wanted)
        if wanted.ndim == 0:
            one: NDArray[np.float32] = self[wanted[np.newaxis]][0]
            return one
        wanted = np.where(wanted < 0, wanted + len(self), wanted)
        if len(wanted) and not 0 <= wanted.min() <= wanted.max() < len(self):
            raise IndexError(f"there are {len(self)} segments")
        out = np.empty((len(wanted), *self._inner), np.float32)
        owners = np.searchsorted(self.starts, wanted, side="right") - 1
        for owner in np.unique(owners):
            here = owners == owner
            out[here] = self.shard(int(owner))[wanted[here] - self.starts[owner]]
        return out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        del copy  # it always is one
        return self[:].astype(dtype or np.float32, copy=False)

    def shard(self, number: int) -> NDArray[np.float32]:
        """One shard, mapped from disk.

        Raises
        ------
        DataError
            it is not what the manifest says.
        """
        if number not in self._maps:
            path, expected = self.files[number], (self._shards[number].segments, *self._inner)
            try:
                array = np.load(path, mmap_mode="r")
            except (OSError, ValueError) as error:
                raise DataError(f"{path} cannot be read ({error}); prepare it again.") from error
            if array.shape != expected or array.dtype != np.float32:
                raise DataError(
                    f"{path} holds {array.dtype} {array.shape}, but the manifest says float32"
                    f" {expected}; prepare the data set again."
                )
            self._maps[number] = array
        return self._maps[number]
