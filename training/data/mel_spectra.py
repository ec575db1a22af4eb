"""Whole songs' mel spectra beside a data set, from which training cuts at any place.

::

    DATASET/
        spectra.npy     float16 (frames of all songs, mel bands), decibels
        spectra.csv     one row a song: its name and frames
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgenre.training.data.dataset import SPECTRA_ARRAY, Dataset
from pocketgenre.training.data.songs import DataError

Spectra = list[NDArray[np.float16]]
"""Of each song, decibels [shape=(frames, mel bands)], mapped from disk."""

SPECTRA_FILE = "spectra.csv"

_COLUMNS = ["name", "frames"]


def save_spectra(dataset: Dataset, parts: Sequence[Path]) -> None:
    """Join the songs' spectra; their list is written last.

    Parameters
    ----------
    dataset : whose songs they are
    parts : a ``.npy`` file of each song's spectrum, in the same order
    """
    index = dataset.folder / SPECTRA_FILE
    index.unlink(missing_ok=True)
    counts = [len(np.load(part, mmap_mode="r")) for part in parts]
    temporary = dataset.folder / "spectra.part"
    shape = (sum(counts), dataset.feature_config.n_mels)
    joined = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float16, shape=shape)
    for part, stop, count in zip(parts, np.cumsum(counts), counts, strict=True):
        joined[stop - count : stop] = np.load(part)
    joined.flush()
    del joined
    temporary.replace(dataset.folder / SPECTRA_ARRAY)
    with open(temporary, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows(zip((song.name for song in dataset.songs), counts, strict=True))
    temporary.replace(index)


def load_spectra(dataset: Dataset) -> Spectra:
    """Open the spectra of a data set's songs.

    Raises
    ------
    DataError
        they are not there, or are those of other songs.
    """
    try:
        with open(
            dataset.folder / SPECTRA_FILE, encoding="utf-8", errors="surrogateescape", newline=""
        ) as file:
            rows = list(csv.DictReader(file))
        joined = np.load(dataset.folder / SPECTRA_ARRAY, mmap_mode="r")
        counts = [int(row["frames"]) for row in rows]
        names = [row["name"] for row in rows]
    except FileNotFoundError as error:
        raise DataError(
            f"The data set {dataset.folder} has no spectra; prepare it again with --spectra."
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"The spectra in {dataset.folder} are damaged: {error}.") from error
    expected = (sum(counts), dataset.feature_config.n_mels)
    if names != [song.name for song in dataset.songs] or joined.shape != expected:
        raise DataError(
            f"The spectra in {dataset.folder} are not those of its songs; prepare it again with"
            " --spectra."
        )
    return np.split(joined, np.cumsum(counts)[:-1])
