"""Errors a person can act on: one sentence, what was wrong with what, what to do."""


class PocketGenreError(Exception):
    """Base of every error this project raises on purpose; its text is meant for the user."""


class AudioError(PocketGenreError):
    """A file cannot be turned into at least one segment of audio."""


class ModelError(PocketGenreError):
    """A model file, its card or the TFLite runtime cannot be used."""


class CatalogError(PocketGenreError):
    """The catalogue cannot be read or written."""
