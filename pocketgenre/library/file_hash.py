"""Tell a file by what is in it, wherever it lies."""

import hashlib
import os
from pathlib import Path

_SAMPLES = 16
_SAMPLE_BYTES = 4096


def hash_file(path: Path | str) -> bytes:
    """BLAKE2b of a file's length and of sixteen samples spread from its first byte to its last.

    Of the samples and not of the whole: a moved library of 10,000 songs is then recognised from
    0.6 GB of reading, not from 100. It only decides whether a new file is one that is gone,
    where another song of equal length and equal samples would have to be mistaken.

    Returns
    -------
    16 bytes

    Raises
    ------
    OSError
        the file can't be read.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.blake2b(size.to_bytes(8, "little"), digest_size=16)
        last = max(0, size - _SAMPLE_BYTES)
        # A file of up to 16 samples is read as a whole: they lie side by side or overlap.
        for number in range(_SAMPLES):
            file.seek(last * number // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.digest()
