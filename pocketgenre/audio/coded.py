"""Detect coded bitstreams (DTS, AC-3) in a file that states uncompressed samples.

CDs with DTS, and recordings of a digital output (IEC 61937), are stored as WAV files with two
channels of 16 bits. As samples, they are noise.
"""

import re

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

# Sync words, with the next bits of a regular DTS frame (ETSI TS 102 114, 5.3.1).
_SYNCS = re.compile(
    rb"(?P<dts>\x7f\xfe\x80\x01[\xfc-\xff]"  # 16 bits, big-endian
    rb"|\xfe\x7f\x01\x80.[\xfc-\xff]"  # 16 bits, little-endian
    rb"|\xff\x1f\x00\xe8[\xf0-\xff]\x07"  # 14 bits, little-endian
    rb"|\x1f\xff\xe8\x00\x07[\xf0-\xff])"  # 14 bits, big-endian
    rb"|(?P<spdif>\x72\xf8\x1f\x4e)",  # IEC 61937
    re.DOTALL,
)
_CHECKED_BLOCKS = 2
_SILENT_PEAK = 2**-15  # one 16-bit step


class CodedDetector:
    """Search the first audible blocks of a song for sync words.

    Attributes
    ----------
    container : FFmpeg's name of the bitstream, ``dts`` or ``spdif``; empty if none was found
    position : samples of each channel before the first sync word
    """

    def __init__(self) -> None:
        self.container = ""
        self.position = 0
        self._checked = 0

    def finds(self, block: FloatArray) -> bool:
        """Check the next block [shape=(n, 2)]; two sync words are required."""
        if self._checked >= _CHECKED_BLOCKS:
            return False
        if max(block.max(initial=0), -block.min(initial=0)) <= _SILENT_PEAK:
            self.position += len(block)
            return False
        self._checked += 1
        with np.errstate(invalid="ignore"):
            samples = (block * np.float32(32_768)).astype("<i2").tobytes()
        syncs = [match for match in _SYNCS.finditer(samples) if not match.start() % 2]
        if len(syncs) < 2:
            self.position += len(block)
            return False
        self.container = str(syncs[0].lastgroup)
        self.position += syncs[0].start() // 4
        return True
