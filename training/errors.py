"""Define the error of everything that reads training data, runs and exported files."""

from pocketgenre.errors import PocketGenreError


class DataError(PocketGenreError):
    """Raised if a data set, or a file that it is made from, cannot be used."""


class ParityError(DataError):
    """Raised if an exported file predicts too many other labels than its network."""
