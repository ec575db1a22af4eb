"""Limit the work that a file may cause, independently of its headers."""

from pocketgenre import constants
from pocketgenre.audio.errors import DamagedAudioError
from pocketgenre.errors import AudioError

VALUES_PER_SECOND = 192_000
"""Largest number of samples in a second of a song, all channels together: two channels at 96 kHz,
or four at 48 kHz. Of a song with more, fewer seconds are decoded."""

_BYTES_PER_SECOND = 4 * VALUES_PER_SECOND  # uncompressed float32
_EMPTY_PACKET_SECONDS = 0.02  # a packet without samples counts as a usual packet of Opus or AAC
_LOWEST_RATE, _HIGHEST_RATE = 1_000, 1_536_000  # Hz


def check_rate(rate: float) -> None:
    """Check that a sample rate [Hz] is within the range of music files.

    Raises
    ------
    AudioError
        if it is out of range.
    """
    if not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
        raise AudioError(f"its sample rate of {rate} Hz is not supported")


class LimitError(DamagedAudioError):
    """Decoding ends at a limit. Blocks yielded before the error are valid."""


class WorkLimit:
    """Count the work of one decoder, in seconds of audio with :data:`VALUES_PER_SECOND`.

    The limit is :data:`pocketgenre.constants.MAX_SONG_SECONDS`, plus one second, so that a song of
    that length is complete.
    """

    def __init__(self) -> None:
        self._seconds_left = constants.MAX_SONG_SECONDS + 1

    def add_block(self, rate: float, frames: int, channels: int) -> None:
        """Count a decoded block.

        Parameters
        ----------
        rate : sample rate [Hz]
        frames : number of samples of each channel
        channels : number of channels

        Raises
        ------
        LimitError
            if the limit is exceeded.
        """
        self._add(max(frames / rate, frames * channels / VALUES_PER_SECOND))

    def add_empty_packet(self) -> None:
        """Count a packet without samples. Errors are those of :meth:`add_block`."""
        self._add(_EMPTY_PACKET_SECONDS)

    def _add(self, seconds: float) -> None:
        self._seconds_left -= seconds
        if self._seconds_left < 0:
            raise LimitError(limit_reason())


def max_bytes() -> int:
    """Return the largest number of bytes of a file that are decoded."""
    return int(constants.MAX_SONG_SECONDS * _BYTES_PER_SECOND)


def limit_reason() -> str:
    """Return the reason why the rest of a song is not decoded."""
    return f"too long: only the first {constants.MAX_SONG_SECONDS / 60:g} minutes are classified"
