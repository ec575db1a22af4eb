"""Read and write the mel spectra of whole songs, from which training cuts segments anywhere.

::

    DATASET/
        spectra.npy     float16 (frames of all songs, mel bands), decibels
        spectra.csv     one row for each song: name and number of frames; written last
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgenre.training.data.dataset import SPECTRA_ARRAY, Dataset
from pocketgenre.training.errors import DataError

Spectra = list[NDArray[np.float16]]
"""Decibels of each song [shape=(frames, mel bands)], memory-mapped."""

SPECTRA_FILE = "spectra.csv"

_COLUMNS = ["name", "frames"]


def save_spectra(dataset: Dataset, spectrum_files: Sequence[Path]) -> None:
    """Concatenate the songs' spectra.

    Parameters
    ----------
    dataset : data set of the songs
    spectrum_files : ``.npy`` file of each song's spectrum, in the same order
    """
    index = dataset.folder / SPECTRA_FILE
    index.unlink(missing_ok=True)
    counts = [len(np.load(file, mmap_mode="r")) for file in spectrum_files]
    temporary = dataset.folder / "spectra.part"
    shape = (sum(counts), dataset.feature_config.n_mels)
    spectra = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float16, shape=shape)
    for path, stop, count in zip(spectrum_files, np.cumsum(counts), counts, strict=True):
        spectra[stop - count : stop] = np.load(path)
    spectra.flush()
    del spectra
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
        if the spectra are missing, damaged, or do not match the songs.
    """
    try:
        with open(
            dataset.folder / SPECTRA_FILE, encoding="utf-8", errors="surrogateescape", newline=""
        ) as file:
            rows = list(csv.DictReader(file))
        spectra = np.load(dataset.folder / SPECTRA_ARRAY, mmap_mode="r")
        counts = [int(row["frames"]) for row in rows]
        names = [row["name"] for row in rows]
    except FileNotFoundError as error:
        raise DataError(
            f"The data set {dataset.folder} has no spectra; prepare it again with --spectra."
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"The spectra in {dataset.folder} are damaged: {error}.") from error
    expected = (sum(counts), dataset.feature_config.n_mels)
    if names != [song.name for song in dataset.songs] or spectra.shape != expected:
        raise DataError(
            f"The spectra in {dataset.folder} do not match its songs; prepare it again with"
            " --spectra."
        )
    return np.split(spectra, np.cumsum(counts)[:-1])
