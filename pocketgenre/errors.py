"""Define the errors that this project raises on purpose.

Each message is one sentence for the user: what is wrong with what, and what to do.
"""


class PocketGenreError(Exception):
    """Base class of all errors raised on purpose."""


class AudioError(PocketGenreError):
    """A file or signal cannot be converted to at least one segment of audio.

    The message continues a sentence that begins with the file's name.
    """


class ModelError(PocketGenreError):
    """A model file, its card or the TFLite runtime cannot be used."""


class CatalogError(PocketGenreError):
    """The catalogue cannot be read or written."""
