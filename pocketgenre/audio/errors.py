"""Define the errors of decoding."""

from pocketgenre.errors import AudioError


class UnreadableError(AudioError):
    """The file cannot be read; another attempt may succeed."""


class NotAudioError(AudioError):
    """The file contains no audio in a format that can be decoded."""


class DamagedAudioError(AudioError):
    """Decoding failed in the middle. Blocks yielded before the error are valid."""
