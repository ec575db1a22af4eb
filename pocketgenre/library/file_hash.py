"""Identify a moved file by a hash of its content."""

import hashlib
import os
from pathlib import Path

_SAMPLES = 16
_SAMPLE_BYTES = 4096


def hash_file(path: Path | str) -> bytes:
    """Hash a file's length and sixteen samples spread over it (BLAKE2b).

    Samples are enough to recognise a file that has moved: for a library of 10,000 songs 0.6 GB
    are read, not 100 GB. A false match needs another song of equal length and equal samples.

    Returns
    -------
    16 bytes

    Raises
    ------
    OSError
        if the file can't be read.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.blake2b(size.to_bytes(8, "little"), digest_size=16)
        last = max(0, size - _SAMPLE_BYTES)
        # The samples of a file up to 64 KB overlap, so that it is read completely.
        for number in range(_SAMPLES):
            file.seek(last * number // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.digest()


def hash_or_none(path: Path | str) -> bytes | None:
    """Hash a file as :func:`hash_file`; None if it can't be read."""
    try:
        return hash_file(path)
    except OSError:
        return None
